"""Classifying nodes by several views: their agreement by hand, what is refused, and that one view is plain."""

from __future__ import annotations

import pytest
import torch

from decet.contracts import Batch, GraphSpec, LabelSpec
from decet.errors import BadInput
from decet.families.gnn import GNN
from decet.tasks.classify import Classify
from decet.tasks.classify_nodes import ClassifyNodes, disagreement
from decet.tensors import Edges, Web


def test_views_that_agree_and_are_sure_are_not_apart() -> None:
    sure = torch.tensor([1.0, 0.0]).expand(4, 5, 1, 2)
    assert float(disagreement(sure, 0.5)) == 0.0


def test_disagreement_by_hand() -> None:
    """p = (.8, .2) and (.4, .6): mean (.6, .4), squared and made to sum to 1: (9, 4) / 13."""
    chances = torch.tensor([[[[0.8, 0.2]]], [[[0.4, 0.6]]]])
    q = torch.tensor([9 / 13, 4 / 13])
    expected = ((chances - q) ** 2).sum(-1).mean()
    assert float(disagreement(chances, 0.5)) == pytest.approx(float(expected))


def test_what_views_are_to_agree_on_has_no_gradient() -> None:
    logits = torch.randn(2, 3, 1, 4, requires_grad=True)
    chances = logits.softmax(-1)
    disagreement(chances, 0.5).backward()
    agreed = (chances.detach().mean(0) ** 2) / (chances.detach().mean(0) ** 2).sum(-1, keepdim=True)
    mine, logits.grad = logits.grad, None
    (logits.softmax(-1) - agreed).square().sum(-1).mean().backward()
    torch.testing.assert_close(mine, logits.grad)


def batch() -> Batch:
    torch.manual_seed(0)
    web = Web(torch.randn(6, 4), Edges(torch.tensor([[0, 1, 2, 3, 4, 5], [1, 0, 3, 2, 5, 4]]), 6))
    return Batch((torch.tensor([0, 2]), web), torch.tensor([[0], [1]]), rows=torch.tensor([0, 1]))


def learner(**said):
    torch.manual_seed(0)
    body = GNN(width=8, dropout=said.pop("dropout", 0.0)).encoder(GraphSpec(4))
    return ClassifyNodes(**said).learner(body, LabelSpec((2,)), 1)


def test_one_view_is_the_plain_loss() -> None:
    plain = Classify().learner(learner().body, LabelSpec((2,)), 1)
    one = learner()
    plain.load_state_dict(one.state_dict())
    assert torch.equal(plain.loss(batch(), "train").total, one.loss(batch(), "train").total)


def test_nodes_without_labels_teach_where_views_are_to_agree() -> None:
    several = learner(views=3, dropout=0.5, consistency=2.0)
    found = several.loss(batch(), "train")
    assert float(found.parts["disagreement"]) > 0
    found.total.backward()
    assert all(p.grad is not None for p in several.parameters() if p.requires_grad)
    same = learner(views=3, sharpening=1.0)
    assert float(same.loss(batch(), "train").parts["disagreement"]) == pytest.approx(0.0, abs=1e-12)


def test_views_of_sets_of_labels_are_refused() -> None:
    with pytest.raises(BadInput, match="views agree on one column of labels. Say views=1"):
        ClassifyNodes(views=2).check(LabelSpec((2, 2), exclusive=False))
    ClassifyNodes(views=1).check(LabelSpec((2, 2), exclusive=False))


@pytest.mark.parametrize("said", [{"views": 0}, {"consistency": -1.0}, {"sharpening": 0.0}])
def test_settings_that_cannot_be_are_refused(said: dict) -> None:
    with pytest.raises(BadInput, match=f"{next(iter(said))} must be"):
        ClassifyNodes(**said)


def test_agreement_of_many_classes_sums_to_one_however_sharp() -> None:
    chances = torch.full((2, 3, 1, 40), 1 / 40)
    assert float(disagreement(chances, 0.05)) == pytest.approx(0.0, abs=1e-9)
