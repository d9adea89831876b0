"""Precision: said, or measured once; a measurement changes nothing of the run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decet.contracts import Batch, Learner, Loss
from decet.training import precision
from decet.training.checkpoint import copy_tree, same_tree
from decet.training.precision import autocast, resolve
from decet.training.recipe import Recipe

CPU = torch.device("cpu")
BATCH = Batch((torch.randn(8, 4),), torch.randn(8, 1))
AUTO = Recipe(precision="auto", lr=0.01, optimizer="adamw", schedule="constant")


class _Line(Learner):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(4, 1)

    def loss(self, batch: Batch, phase: str) -> Loss:
        return Loss((self.line(batch.inputs[0]) - batch.target).square().mean(), {})


class _Worker(_Line):
    works = True


@pytest.mark.parametrize(("said", "used"), [("fp32", "fp32"), ("bf16", "bf16"), (None, "fp32")])
def test_what_is_said_is_used(said, used):
    assert resolve(_Line(), BATCH, Recipe(precision=said), CPU) == used


def test_a_learner_that_steps_by_itself_is_not_measured():
    assert resolve(_Worker(), BATCH, AUTO, CPU) == "fp32"


@pytest.fixture
def trials(monkeypatch):
    """Trials whose (seconds, loss) are known, by mode; which were made is kept. The processor is said to have bf16."""
    made = []

    def trial(learner, example, recipe, mode, device, steps):
        made.append((mode, steps))
        return trial.known[mode]

    trial.made = made
    monkeypatch.setattr(precision, "_trial", trial)
    monkeypatch.setattr(precision, "has_short_products", lambda: True)
    return trial


@pytest.mark.parametrize(
    ("fp32", "bf16", "answer"),
    [
        ((1.0, 0.500), (0.5, 0.501), "bf16"),  # twice as fast, loss within 2 %
        ((1.0, 0.500), (0.9, 0.500), "fp32"),  # a tenth faster is noise
        ((1.0, 0.500), (0.5, 0.600), "fp32"),  # fast, but it learns worse
        ((1.0, 0.500), (0.5, float("nan")), "fp32"),
        ((1.0, 0.500), (2.0, 0.500), "fp32"),
    ],
)
def test_auto_takes_the_faster_one_that_learns_as_well(trials, fp32, bf16, answer):
    trials.known = {"fp32": fp32, "bf16": bf16}
    assert resolve(_Line(), BATCH, AUTO, CPU) == answer


def test_only_where_four_steps_show_a_gain_are_ten_compared(trials):
    trials.known = {"fp32": (1.0, 0.5), "bf16": (0.9, 0.5)}
    resolve(_Line(), BATCH, AUTO, CPU)
    assert trials.made == [("fp32", 4), ("bf16", 4)]
    trials.made.clear()
    trials.known = {"fp32": (1.0, 0.5), "bf16": (0.5, 0.5)}
    resolve(_Line(), BATCH, AUTO, CPU)
    assert trials.made == [("fp32", 4), ("bf16", 4), ("fp32", 10), ("bf16", 10)]


def test_only_some_rows_of_a_large_batch_are_tried():
    """A whole batch in full precision takes twice the memory that training in bf16 will."""
    rows = torch.arange(300)
    large = Batch((torch.randn(300, 4), None), torch.randn(300, 1), torch.ones(300), rows=rows)
    part = precision._part(large)
    assert part.rows.tolist() == list(range(0, 300, 5))  # of all classes, should they lie one after the other
    assert torch.equal(part.inputs[0], large.inputs[0][::5])
    assert part.inputs[1] is None
    assert len(part.target) == len(part.weight) == 60 <= precision.ROWS


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(Batch((torch.randn(300, 4), torch.randn(7, 2)), torch.randn(300, 1)), id="other rows"),
        pytest.param(Batch((torch.randn(300, 4),), torch.randn(9, 1), index=torch.arange(9)), id="rows asked by index"),
        pytest.param(Batch((object(),), torch.randn(300, 1)), id="no tensor"),
        pytest.param(Batch((torch.randn(9, 4),), torch.randn(9, 1)), id="small"),
    ],
)
def test_a_batch_that_is_small_or_has_no_rows_of_its_own_is_tried_whole(batch):
    part = precision._part(batch)
    assert part.inputs[0] is batch.inputs[0] or torch.equal(part.inputs[0], batch.inputs[0])
    assert len(part.target) == len(batch.target)


def test_a_gain_of_four_steps_that_ten_do_not_show_was_noise(trials, monkeypatch):
    seconds = {4: {"fp32": 1.0, "bf16": 0.5}, 10: {"fp32": 1.0, "bf16": 0.9}}
    monkeypatch.setattr(precision, "_trial", lambda *given: (seconds[given[5]][given[3]], 0.5))
    assert resolve(_Line(), BATCH, AUTO, CPU) == "fp32"


def test_a_processor_without_short_products_is_spared_the_trial_and_an_accelerator_is_not_asked(trials, monkeypatch):
    trials.known = {"fp32": (1.0, 0.5), "bf16": (0.5, 0.5)}
    monkeypatch.setattr(precision, "has_short_products", lambda: False)
    assert resolve(_Line(), BATCH, AUTO, CPU) == "fp32"
    assert trials.made == []
    assert resolve(_Line(), BATCH, AUTO, torch.device("cuda")) == "bf16"


def test_the_processor_is_asked_once_and_without_a_draw_of_the_users():
    before = torch.get_rng_state()
    assert isinstance(precision.has_short_products(), bool)
    asked = precision.has_short_products.cache_info().hits
    assert precision.has_short_products() in (True, False)
    assert precision.has_short_products.cache_info().hits == asked + 1
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_leaves_the_learner_as_it_was(monkeypatch):
    monkeypatch.setattr(precision, "has_short_products", lambda: True)
    monkeypatch.setattr(precision, "MARGIN", 0.0)  # compare to the end, whatever the clock says
    learner = _Line()
    before = copy_tree(learner.state_dict())
    assert resolve(learner, BATCH, AUTO, CPU) in ("fp32", "bf16")
    assert same_tree(before, learner.state_dict())
    assert all(p.grad is None for p in learner.parameters())


def test_a_trial_trains_a_copy_for_ten_steps_in_its_mode():
    seen = []

    class Watched(_Line):
        def loss(self, batch: Batch, phase: str) -> Loss:
            seen.append(self.line(batch.inputs[0]).dtype)
            return super().loss(batch, phase)

    learner = Watched()
    first = float(learner(BATCH, "train").total.detach())
    seconds, loss = precision._trial(learner, BATCH, AUTO, "bf16", CPU)
    assert seen[1:] == [torch.bfloat16] * 10
    assert seconds > 0
    assert loss < first
    precision._trial(learner, BATCH, AUTO, "fp32", CPU, 4)
    assert seen[11:] == [torch.float32] * 4


def test_autocast_runs_the_forward_pass_in_bf16_and_fp32_leaves_it_alone():
    line, x = nn.Linear(4, 2), torch.randn(3, 4)
    with autocast("bf16", CPU):
        assert line(x).dtype == torch.bfloat16
    with autocast("fp32", CPU):
        assert line(x).dtype == torch.float32
