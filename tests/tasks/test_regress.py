"""Regress: the losses, gaps and weights, every metric worked by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as peer

from decet.contracts import Batch, Body, Features, NumberSpec
from decet.errors import BadInput
from decet.tasks.regress import LOSSES, METRICS, Regress, Regressor


class _Given(Body):
    def __init__(self, width: int, members: int = 1, extras: dict[str, torch.Tensor] | None = None) -> None:
        super().__init__()
        self.width = self.summary_width = width
        self.members, self.extras = members, extras or {}

    def forward(self, inputs, *, condition=None):
        return Features(summary=inputs[0], members=self.members, extras=self.extras)


def _regressor(count: int, kind: str = "squared", members: int = 1, extras=None) -> Regressor:
    """A regressor whose answers are its inputs (B, M, J)."""
    learner = Regress(loss=kind).learner(_Given(count, members, extras), NumberSpec(count), members)
    eye = torch.eye(count)
    learner.head.weight.data = eye if members == 1 else eye.expand(members, -1, -1).clone()
    return learner


def _loss(learner: Regressor, answers: torch.Tensor, target: torch.Tensor, weight=None) -> float:
    return float(learner.loss(Batch((answers,), target, weight), "train").total.detach())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("squared", (0.5**2 + 3.0**2) / 2),
        ("absolute", (0.5 + 3.0) / 2),
        ("huber", (0.5 * 0.5**2 + (3.0 - 0.5)) / 2),  # quadratic up to 1, then linear
    ],
)
def test_losses_by_hand(kind, expected):
    answers, target = torch.tensor([[[0.5]], [[-3.0]]]), torch.zeros(2, 1)
    assert _loss(_regressor(1, kind), answers, target) == pytest.approx(expected)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("members", [1, 4])
def test_the_loss_is_the_mean_over_rows_members_and_numbers(kind, members):
    answers, target = torch.randn(6, members, 2), torch.randn(6, 2)
    each = [_loss(_regressor(2, kind), answers[:, m : m + 1], target) for m in range(members)]
    assert _loss(_regressor(2, kind, members), answers, target) == pytest.approx(sum(each) / members, rel=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("members", [1, 3])
def test_gaps_cost_nothing_and_give_no_gradient(kind, members):
    answers = torch.randn(3, members, 2, requires_grad=True)
    target = torch.tensor([[1.0, float("nan")], [float("nan"), -2.0], [float("nan")] * 2])
    loss = _regressor(2, kind, members).loss(Batch((answers,), target), "train").total
    known = answers.detach()[[0, 1], :, [0, 1]]  # (2, M)
    single = _loss(_regressor(1, kind, members), known.unsqueeze(-1), torch.tensor([[1.0], [-2.0]]))
    assert float(loss.detach()) == pytest.approx(single, rel=1e-5)
    loss.backward()
    assert bool(torch.isfinite(answers.grad).all())
    assert bool((answers.grad[2] == 0).all())
    assert bool((answers.grad[0, :, 1] == 0).all())
    assert bool((answers.grad[0, :, 0] != 0).all())


def test_a_batch_with_gaps_only_has_loss_0():
    assert _loss(_regressor(2), torch.randn(2, 1, 2), torch.full((2, 2), float("nan"))) == 0.0


def test_row_weights_scale_each_rows_loss():
    answers, target = torch.tensor([[[1.0]], [[2.0]], [[3.0]]]), torch.zeros(3, 1)
    weight = torch.tensor([0.5, 0.0, 2.5])  # mean 1
    assert _loss(_regressor(1), answers, target, weight) == pytest.approx((0.5 * 1 + 2.5 * 9) / 3)


def test_row_weights_and_gaps_together():
    answers = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    target = torch.tensor([[0.0, float("nan")], [0.0, 0.0]])
    loss = _loss(_regressor(2), answers, target, torch.tensor([3.0, 1.0]))
    assert loss == pytest.approx((3 * 1 + 9 + 16) / (3 + 1 + 1))


def test_auxiliary_losses_of_the_body_are_added_and_shown():
    learner = _regressor(1, extras={"loss:smooth": torch.tensor(0.25), "map": torch.ones(2)})
    loss = learner.loss(Batch((torch.ones(2, 1, 1),), torch.zeros(2, 1)), "train")
    assert float(loss.total.detach()) == pytest.approx(1.25)
    assert {name: float(part) for name, part in loss.parts.items()} == {"loss:smooth": 0.25}


def test_the_answer_is_the_mean_of_the_members():
    answers = torch.randn(5, 4, 2)
    torch.testing.assert_close(_regressor(2, members=4).predict((answers,)), answers.mean(1))


def test_answers_of_a_network_in_bf16_are_fp32():
    learner = _regressor(1).to(torch.bfloat16)
    assert learner.predict((torch.randn(5, 1, 1, dtype=torch.bfloat16),)).dtype == torch.float32


# ------------------------------------------------------------------------------------------------------------ metrics


def test_metrics_by_hand():
    answers, truth = np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [4.0], [7.0]])
    found = Regress().metrics(answers, truth, NumberSpec(1))
    assert found["rmse"] == pytest.approx(np.sqrt((0 + 4 + 1) / 3))
    assert found["mae"] == pytest.approx((0 + 2 + 1) / 3)
    assert found["r2"] == pytest.approx(1 - 5 / (9 + 0 + 9))


def test_metrics_equal_scikit_learns():
    rng = np.random.default_rng(0)
    answers, truth = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    found = Regress().metrics(answers, truth, NumberSpec(3))
    assert found["rmse"] == pytest.approx(peer.root_mean_squared_error(truth, answers))
    assert found["mae"] == pytest.approx(peer.mean_absolute_error(truth, answers))
    assert found["r2"] == pytest.approx(peer.r2_score(truth, answers))


def test_metrics_skip_gaps_and_columns_without_answers():
    truth = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    answers = np.array([[2.0, 9.0, 9.0], [3.0, 7.0, 9.0]])
    found = Regress().metrics(answers, truth, NumberSpec(3))
    assert found["mae"] == pytest.approx((0.5 + 2.0) / 2)
    assert found["r2"] == pytest.approx(1 - 1 / 2)  # undefined in the second column: one known answer


def test_r2_of_a_constant_is_undefined():
    found = Regress().metrics(np.array([[1.0], [2.0]]), np.array([[3.0], [3.0]]), NumberSpec(1))
    assert found["r2"] is None
    assert found["mae"] == 1.5
    nothing = Regress().metrics(np.ones((2, 1)), np.full((2, 1), np.nan), NumberSpec(1))
    assert set(nothing.values()) == {None}


def test_only_the_metrics_asked_for_are_worked_out():
    ones = np.ones((2, 1))
    assert Regress().metrics(ones, ones, NumberSpec(1), only=("mae",)) == {"mae": 0.0}
    assert Regress().metrics(ones, ones, NumberSpec(1)).keys() == METRICS.keys() == Regress.higher.keys()


def test_metrics_of_large_numbers_are_worked_out_in_float64():
    truth = np.array([[1e9], [1e9 + 1], [1e9 + 2]])
    assert Regress().metrics(truth + 0.25, truth, NumberSpec(1))["rmse"] == pytest.approx(0.25)


def test_an_unknown_loss_is_refused():
    with pytest.raises(BadInput) as caught:
        Regress(loss="square")
    assert str(caught.value) == (
        "loss must be one of 'squared', 'absolute', 'huber'. Received: 'square'. Did you mean 'squared'?"
    )


def test_sums_over_items_give_r2():
    rng = np.random.default_rng(0)
    answers, truth = rng.normal(1e6, 1, (50, 2)), rng.normal(1e6, 1, (50, 2))
    truth[:7, 1] = np.nan
    items = Regress().items(answers, truth, NumberSpec(2))
    for rows in (np.arange(50), rng.integers(0, 50, 50)):
        expected = Regress().metrics(answers[rows], truth[rows], NumberSpec(2))["r2"]
        assert float(Regress().of_items(items[rows].sum(0))) == pytest.approx(expected)
    flat = Regress().items(answers, np.ones((50, 2)), NumberSpec(2))
    assert np.isnan(Regress().of_items(flat.sum(0)))
