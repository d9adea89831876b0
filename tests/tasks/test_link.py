"""Links: figures as scikit-learn has them, the loss by hand, directions, weights of products."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from decet.contracts import Batch, Body, Features
from decet.errors import BadInput
from decet.tasks.link import TOP, Joiner, Link


class Held(Body):
    """The vectors of nodes as they are."""

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.weight = torch.nn.Parameter(vectors)
        self.width = self.summary_width = vectors.shape[1]

    def forward(self, inputs: tuple, *, condition: Tensor | None = None) -> Features:
        return Features(summary=self.weight[inputs[0]])


def test_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(300) < 0.5).astype(float)
    answers = np.round(target * 0.3 + rng.random(300), 1)  # with ties
    found = Link().metrics(answers, target)
    assert found["auc"] == pytest.approx(roc_auc_score(target, answers))
    assert found["average_precision"] == pytest.approx(average_precision_score(target, answers))
    bar = np.sort(answers[target == 0])[-TOP]
    assert found["hits@20"] == pytest.approx((answers[target == 1] > bar).mean())
    assert Link().metrics(answers[:30], target[:30])["hits@20"] is None  # of fewer pairs than twenty
    items = Link().items(answers, target)
    assert items.shape == (int(target.sum()), 2)
    assert Link().of_items(items.sum(0)) == pytest.approx(found["auc"])
    assert Link().metrics(answers, np.ones(300)) == dict.fromkeys(Link.higher)


def test_the_loss_is_that_of_the_formula() -> None:
    z = torch.randn(4, 3)
    learner = Joiner(Held(z), directed=False)
    with torch.no_grad():
        learner.scale.copy_(torch.tensor([1.0, 2.0, -1.0]))
        learner.shift.fill_(0.3)
    pairs, target = torch.tensor([[0, 1], [2, 3], [0, 2], [1, 1]]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])  # the last pair is none that counts
    found = learner.loss(Batch((torch.arange(4),), target, weight, index=pairs), "train")
    s = (z[pairs[:, 0]] * z[pairs[:, 1]] * learner.scale).sum(1) + 0.3
    wanted = -(s[:2].sigmoid().log().mean() + (-s[2]).sigmoid().log())
    assert float(found.total.detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)


def test_of_directed_edges_each_half_of_a_vector_is_for_one_end() -> None:
    z = torch.randn(3, 4)
    learner = Joiner(Held(z), directed=True)
    both = learner.scores(z, torch.tensor([[0, 1], [1, 0]]))
    assert float(both[0]) == pytest.approx(float(z[0, :2] @ z[1, 2:]), rel=1e-5)
    assert float(both[1]) == pytest.approx(float(z[1, :2] @ z[0, 2:]), rel=1e-5)
    begin, end = learner.ends(z)
    assert torch.allclose((begin @ end.T)[0, 1] + learner.shift, both[0])
    with pytest.raises(BadInput, match="3 is odd"):
        Joiner(Held(torch.randn(3, 3)), directed=True)


def test_products_of_vectors_that_are_there_are_weighed() -> None:
    torch.manual_seed(0)
    z = torch.randn(200, 4)
    pairs = torch.randint(200, (3_000, 2))
    target = ((z[pairs[:, 0], 1] * z[pairs[:, 1], 1]) > 0).float()  # the second number alone tells
    learner = Joiner(Held(z), directed=False)
    learner.regress(z, pairs, target)
    scale = learner.scale.detach().abs()
    assert int(scale.argmax()) == 1
    assert float(scale[1]) > 10 * float(scale[[0, 2, 3]].max())


@pytest.mark.parametrize(
    ("said", "message"),
    [({"held": 0.9}, "held"), ({"chosen": 0.0}, "chosen"), ({"masked": 1.0}, "masked")],
)
def test_shares_out_of_range_are_refused(said: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Link(**said)
