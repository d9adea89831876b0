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
def test_auto_takes_the_faster_one_that_learns_as_well(monkeypatch, fp32, bf16, answer):
    trials = {"fp32": fp32, "bf16": bf16}
    monkeypatch.setattr(precision, "_trial", lambda learner, example, recipe, mode, device: trials[mode])
    assert resolve(_Line(), BATCH, AUTO, CPU) == answer


def test_measuring_leaves_the_learner_as_it_was():
    learner = _Line()
    before = copy_tree(learner.state_dict())
    assert resolve(learner, BATCH, AUTO, CPU) in ("fp32", "bf16")
    assert same_tree(before, learner.state_dict())
    assert all(p.grad is None for p in learner.parameters())


def test_a_trial_trains_a_copy_for_twenty_steps_in_its_mode():
    seen = []

    class Watched(_Line):
        def loss(self, batch: Batch, phase: str) -> Loss:
            seen.append(self.line(batch.inputs[0]).dtype)
            return super().loss(batch, phase)

    learner = Watched()
    first = float(learner(BATCH, "train").total.detach())
    seconds, loss = precision._trial(learner, BATCH, AUTO, "bf16", CPU)
    assert seen[1:] == [torch.bfloat16] * 20
    assert seconds > 0
    assert loss < first


def test_autocast_runs_the_forward_pass_in_bf16_and_fp32_leaves_it_alone():
    line, x = nn.Linear(4, 2), torch.randn(3, 4)
    with autocast("bf16", CPU):
        assert line(x).dtype == torch.bfloat16
    with autocast("fp32", CPU):
        assert line(x).dtype == torch.float32
