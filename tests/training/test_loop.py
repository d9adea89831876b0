"""The one loop: what it keeps, when it stops, how it saves itself, and that a killed run ends with the same bits."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from decet.contracts import Batch, Clock, ImageSpec, Learner, Loss, Phase, Source, Stage
from decet.data.resident import Resident
from decet.errors import BadInput, Diverged
from decet.settings import joined
from decet.training import loop, optimizers
from decet.training.augment import Augmentation
from decet.training.checkpoint import copy_tree, read_tree, same_tree, write_tree
from decet.training.loop import CHECKPOINT, Outcome, train
from decet.training.progress import Quiet
from decet.training.recipe import FALLBACK, Recipe, rate

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(96, 4, generator=GENERATOR)
Y = X @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.1 * torch.randn(96, 1, generator=GENERATOR)


class Stop(Exception):
    """What ends a run in the middle."""


class Network(Learner):
    """Batch statistics, dropout and a counter: everything that a resumed run must take back."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.calls, self.stop_at = 0, stop_at
        self.turns = 0

    def loss(self, batch: Batch, phase: str) -> Loss:
        if self.calls == self.stop_at:
            raise Stop
        self.calls += 1
        error = self.layers(batch.inputs[0]) - batch.target
        return Loss(error.square().mean(), {"mae": error.abs().mean().detach()})

    def after_step(self, clock: Clock) -> None:
        self.turns += 1

    def state(self):
        return {"turns": self.turns}

    def restore(self, state) -> None:
        self.turns = state["turns"]


def recipe(**settings) -> Recipe:
    base = FALLBACK if "steps" not in settings else Recipe(**{**vars(FALLBACK), "epochs": None})
    return joined(Recipe(**{"lr": 0.02, "batch": 16, "schedule": "constant", "warmup": 0.0, **settings}), base)


def stage(learner: Learner | None = None, validate=None, name: str = "train", **settings) -> Stage:
    own = recipe(**{"epochs": 4, **settings} if "steps" not in settings else settings)
    source = Resident((X,), Y, batch=own.batch)
    return Stage(Network() if learner is None else learner, source, own, validate, name)


def bits(learner: Learner) -> dict[str, torch.Tensor]:
    return copy_tree(learner.state_dict())


def same_history(one: Outcome, other: Outcome) -> bool:
    """Equal but for the seconds."""
    a, b = ([{k: v for k, v in record.items() if k != "seconds"} for record in o.history] for o in (one, other))
    return a == b


@pytest.fixture
def saving(monkeypatch):
    """Save points come every 4 steps, in the middle of epochs of 6, and each is written to the disk."""
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 4))
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)


# --------------------------------------------------------------------------------------------------- what training is


def test_training_learns_and_tells_what_happened_each_epoch():
    learner = Network()
    outcome = train([stage(learner, epochs=3, lr=0.05)])
    assert [record["epoch"] for record in outcome.history] == [1, 2, 3]
    assert [record["step"] for record in outcome.history] == [6, 12, 18]
    assert list(outcome.history[0]) == ["stage", "epoch", "step", "loss", "mae", "rate", "seconds"]
    assert outcome.history[-1]["loss"] < 0.7 * outcome.history[0]["loss"]
    assert (outcome.best_epoch, outcome.interrupted, outcome.resumed) == (None, False, False)
    assert learner.turns == 18
    assert all(p.grad is None for p in learner.parameters())


def test_the_plan_says_what_was_decided_once():
    outcome = train([stage(epochs=3)])
    assert outcome.plan == {
        "threads": torch.get_num_threads(),
        "precision": "fp32",
        "save_every": 102,  # whole epochs, at least 100 steps
        "steps": 18,
        "device": "cpu",
        "torch": torch.__version__,
    }


def test_a_step_is_what_one_would_write_by_hand():
    learner, reference = Network(), Network()
    own = stage(learner, epochs=2, optimizer="adamw", weight_decay=0.0, clip=0.5, warmup=0.5, schedule="cosine")
    train([own], seed=5)
    source, optimizer = Resident((X,), Y, batch=16), torch.optim.AdamW(reference.parameters(), fused=True)
    optimizer.param_groups[0]["weight_decay"] = 0.0
    for step in range(12):
        clock = Clock(seed=5, step=step, plan=[(0, 0.0, 12)])
        torch.manual_seed(clock.key("step"))
        batch = source.next(clock)
        optimizer.zero_grad()
        reference(batch, "train").total.backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        optimizer.param_groups[0]["lr"] = rate(own.recipe, clock.progress)
        optimizer.step()
    for one, other in zip(learner.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_steps_say_how_long_instead_of_epochs():
    outcome = train([stage(steps=8)])
    assert [(record["epoch"], record["step"]) for record in outcome.history] == [(1, 6), (2, 8)]


def test_the_rate_of_each_epoch_is_the_schedules():
    outcome = train([stage(epochs=4, schedule="cosine")])
    assert [record["rate"] for record in outcome.history] == pytest.approx(
        [0.02 * (2 + 2**0.5) / 4, 0.01, 0.02 * (2 - 2**0.5) / 4, 0.0]
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(precision):
    learners = [Network() for _ in range(3)]
    for learner, seed in zip(learners, (3, 3, 4), strict=True):
        torch.rand(7)  # what happened before does not matter
        train([stage(learner, precision=precision)], seed=seed)
    assert same_tree(bits(learners[0]), bits(learners[1]))
    assert not same_tree(bits(learners[0]), bits(learners[2]))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_optimiser_steps_in_the_precision_of_the_run(precision, monkeypatch):
    """Muon's products are of matrices as large as the network's, so they are made in bf16 where it pays."""
    seen = []
    plain = optimizers.orthogonal
    monkeypatch.setattr(optimizers, "orthogonal", lambda m: seen.append(torch.is_autocast_enabled("cpu")) or plain(m))
    train([stage(optimizer="muon", epochs=1, precision=precision)])
    assert set(seen) == {precision == "bf16"}


def test_accumulating_two_batches_equals_one_of_twice_the_size():
    halves, whole = (nn.Linear(4, 1) for _ in range(2))
    halves.load_state_dict(whole.state_dict())
    train([stage(_line(halves), batch=8, accumulate=2, clip=0.1)])
    train([stage(_line(whole), batch=16, clip=0.1)])
    torch.testing.assert_close(halves.weight, whole.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(halves.bias, whole.bias, atol=1e-6, rtol=0)


def test_what_is_left_over_at_an_epochs_end_is_one_smaller_optimiser_step():
    steps = []

    class Counting(Learner):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def loss(self, batch: Batch, phase: str) -> Loss:
            steps.append(float(self.weight.detach()))
            return Loss(self.weight.sum(), {})

    sgd = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip": 0.0, "lr": 1.0}
    train([stage(Counting(), epochs=2, accumulate=4, **sgd)])  # 6 batches an epoch: 4 and 2
    assert steps == [0, 0, 0, 0, -1, -1, -2, -2, -2, -2, -3, -3]  # the mean gradient is 1 each time


def _line(layer: nn.Linear) -> Learner:
    learner = Learner()
    learner.layer = layer
    learner.loss = lambda batch, phase: Loss((layer(batch.inputs[0]) - batch.target).square().mean(), {})
    return learner


# --------------------------------------------------------------------------------------------- surroundings come back


def test_the_users_generators_flags_and_threads_are_as_before():
    torch.manual_seed(9)
    random.seed(9)
    np.random.seed(9)  # the global generator is what is looked at
    expected = (torch.rand(3), random.random(), np.random.rand())
    torch.manual_seed(9)
    random.seed(9)
    np.random.seed(9)
    threads = torch.get_num_threads()
    assert not torch.are_deterministic_algorithms_enabled()
    seen = []

    class Looking(Network):
        def loss(self, batch: Batch, phase: str) -> Loss:
            seen.append((torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled()))
            return super().loss(batch, phase)

    with torch.no_grad():
        train([stage(Looking())])
        assert not torch.is_grad_enabled()
    with pytest.raises(Stop):
        train([stage(Network(stop_at=3))])
    assert set(seen) == {(True, True)}
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]


# ------------------------------------------------------------------------------------------- validation and early stop


def scripted(*scores: float):
    """A validation whose scores are known, which remembers the weights it saw."""
    seen = []

    def validate(learner: Learner) -> dict[str, float]:
        assert not learner.training
        seen.append(bits(learner))
        return {"accuracy": len(seen) / 100, "score": scores[len(seen) - 1]}

    validate.seen = seen
    return validate


def test_early_stopping_ends_after_patience_and_keeps_the_best_weights():
    learner, validate = Network(), scripted(1.0, 3.0, 2.0, 3.0, 2.5, 9.0)
    outcome = train([stage(learner, validate, epochs=6, patience=3)])
    assert outcome.best_epoch == 2  # an equal score is not better
    assert len(outcome.history) == 5
    assert same_tree(bits(learner), validate.seen[1])
    assert [record["accuracy"] for record in outcome.history] == [0.01, 0.02, 0.03, 0.04, 0.05]
    assert "score" not in outcome.history[0]


def test_the_best_epoch_is_kept_also_when_training_runs_to_its_end():
    learner, validate = Network(), scripted(1.0, 3.0, 2.0)
    outcome = train([stage(learner, validate, epochs=3, patience=10)])
    assert (outcome.best_epoch, len(outcome.history)) == (2, 3)
    assert same_tree(bits(learner), validate.seen[1])


def test_without_patience_validation_is_only_shown():
    learner, validate = Network(), scripted(3.0, 2.0, 1.0)
    outcome = train([stage(learner, validate, epochs=3)])
    assert outcome.best_epoch is None
    assert same_tree(bits(learner), validate.seen[-1])


def test_a_validation_that_never_gives_a_number_keeps_the_first_epoch_and_still_stops():
    learner, validate = Network(), scripted(*[-float("inf")] * 6)
    outcome = train([stage(learner, validate, epochs=6, patience=2)])
    assert (outcome.best_epoch, len(outcome.history)) == (1, 3)


def test_a_score_that_is_no_number_counts_as_the_worst():
    learner, validate = Network(), scripted(float("nan"), 1.0, float("nan"))
    outcome = train([stage(learner, validate, epochs=3, patience=5)])
    assert outcome.best_epoch == 2
    assert same_tree(bits(learner), validate.seen[1])


def test_the_moving_average_is_what_is_validated_kept_and_left_behind():
    learner, validate = Network(), scripted(1.0, 3.0, 2.0)
    train([stage(learner, validate, epochs=3, patience=5, average=0.9)])
    assert same_tree(bits(learner), validate.seen[1])
    plain, averaged = Network(), Network()
    train([stage(plain, epochs=3)])
    train([stage(averaged, epochs=3, average=0.9)])
    assert not same_tree(bits(plain), bits(averaged))
    by_hand, weights = None, []
    train([stage(Recording(weights), epochs=3)])
    for t, now in enumerate(weights[1:]):
        by_hand = weights[0] if by_hand is None else by_hand
        decay = min(0.9, (1 + t) / (10 + t))
        by_hand = decay * by_hand + (1 - decay) * now
    torch.testing.assert_close(averaged.layers[0].weight, by_hand, atol=1e-6, rtol=1e-5)


def test_the_moving_average_counts_optimiser_steps_not_batches():
    learner, weights = Network(), []
    train([stage(learner, epochs=3, average=0.9, accumulate=6)])
    train([stage(Recording(weights), epochs=3, accumulate=6)])
    by_hand = weights[0]
    for t, now in enumerate(weights[6::6]):
        decay = min(0.9, (1 + t) / (10 + t))
        by_hand = decay * by_hand + (1 - decay) * now
    torch.testing.assert_close(learner.layers[0].weight, by_hand, atol=1e-6, rtol=1e-5)


class Recording(Network):
    """Writes its first weights down after every step."""

    def __init__(self, weights: list[torch.Tensor]) -> None:
        super().__init__()
        self.weights = weights
        weights.append(self.layers[0].weight.detach().clone())

    def after_step(self, clock: Clock) -> None:
        self.weights.append(self.layers[0].weight.detach().clone())


# ------------------------------------------------------------------------------------------- equal averages at the end


def test_the_weights_of_the_last_share_of_training_are_averaged_equally():
    learner, weights = Network(), []
    train([stage(learner, swa=0.25)])  # 24 steps: the last 6
    train([stage(Recording(weights))])
    torch.testing.assert_close(learner.layers[0].weight, torch.stack(weights[-6:]).mean(0), atol=1e-6, rtol=1e-5)


def test_with_accumulation_the_weights_of_optimiser_steps_are_averaged():
    learner, weights = Network(), []
    train([stage(learner, swa=0.5, accumulate=3)])  # optimiser steps after batches 3, 6, ... 24
    train([stage(Recording(weights), accumulate=3)])
    expected = torch.stack([weights[step] for step in (15, 18, 21, 24)]).mean(0)
    torch.testing.assert_close(learner.layers[0].weight, expected, atol=1e-6, rtol=1e-5)


def test_the_means_of_batch_norms_are_those_of_the_averaged_weights_on_the_last_batches():
    learner = Network()
    train([stage(learner, swa=0.5)], seed=5)
    source = Resident((X,), Y, batch=16)
    batches = [source.next(Clock(seed=5, step=step)).inputs[0] for step in range(18, 24)]  # the last epoch
    hidden = [learner.layers[0](batch).detach() for batch in batches]
    norm = learner.layers[1]
    torch.testing.assert_close(norm.running_mean, torch.stack([h.mean(0) for h in hidden]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([h.var(0) for h in hidden]).mean(0))


def test_means_of_batch_norms_are_of_ten_batches_at_most_and_of_none_twice(monkeypatch):
    seen = []
    original = Resident.next

    def next_(self, clock: Clock) -> Batch:
        seen.append(clock.step)
        return original(self, clock)

    monkeypatch.setattr(Resident, "next", next_)
    train([stage(Network(), swa=0.5, batch=6, epochs=2)])  # epochs of 16 steps
    assert seen == [*range(32), *range(31, 21, -1)]
    seen.clear()
    own = stage(Network(), lambda learner: {"score": 1.0}, swa=1.0, batch=6, steps=3)
    train([own])
    assert seen == [0, 1, 2, 2, 1, 0, 2, 1, 0]  # the run ends within its first epoch: validation, then the end


def test_what_is_validated_is_the_average_as_it_would_predict():
    learner, validate = Network(), scripted(1.0, 2.0, 3.0, 4.0)
    train([stage(learner, validate, swa=0.5)])
    plain, unaveraged = scripted(1.0, 2.0, 3.0, 4.0), Network()
    train([stage(unaveraged, plain)])
    for epoch in (0, 1):  # nothing is averaged yet: the weights themselves
        assert same_tree(validate.seen[epoch], plain.seen[epoch])
    for epoch in (2, 3):
        assert not same_tree(validate.seen[epoch], plain.seen[epoch])
    assert same_tree(validate.seen[3], bits(learner))


def test_validating_on_the_way_does_not_change_what_averaging_ends_with():
    with_, without = Network(), Network()
    train([stage(with_, scripted(1.0, 2.0, 3.0, 4.0), swa=0.5)])
    train([stage(without, swa=0.5)])
    assert same_tree(bits(with_), bits(without))


def test_the_best_averaged_epoch_is_kept_with_its_own_batch_norms():
    learner, validate = Network(), scripted(1.0, 2.0, 9.0, 3.0)
    outcome = train([stage(learner, validate, swa=0.5, patience=5)])
    assert outcome.best_epoch == 3
    assert same_tree(bits(learner), validate.seen[2])


def test_a_share_shorter_than_a_step_averages_nothing():
    learner, plain = Network(), Network()
    train([stage(learner, swa=0.001)])
    train([stage(plain)])
    assert same_tree(bits(learner), bits(plain))


# ------------------------------------------------------------------------------------------------ varied while trained

PIXELS = torch.randint(0, 256, (48, 3, 8, 8), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.randint(0, 4, (48, 1), generator=GENERATOR)
VARIED = {"flip": True, "crop": 2, "rotate": 20.0, "zoom": 0.2, "colour": 0.3, "erase": 0.3}
VARIED |= {"mixup": 1.0, "cutmix": 1.0, "grow": 0.5}


class Pictures(Learner):
    """One convolution with a norm; which batches it saw is kept."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.filters, self.norm, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Linear(6, 4)
        self.seen: list[Batch] = []
        self.stop_at = stop_at

    def loss(self, batch: Batch, phase: str) -> Loss:
        if len(self.seen) == self.stop_at:
            raise Stop
        self.seen.append(batch)
        x = self.norm(self.filters(batch.inputs[0].float() / 255)).relu().mean((2, 3))
        target = batch.target if batch.target.is_floating_point() else batch.target[:, 0]
        return Loss(nn.functional.cross_entropy(self.head(x), target), {})


def pictures(learner: Learner, validate=None, **settings) -> Stage:
    own = recipe(**{"epochs": 4, "batch": 8, **VARIED, **settings})  # epochs of 6 steps
    source = Resident((PIXELS,), LABELS, batch=own.batch)
    augment = Augmentation(own, ImageSpec(3, 8, 8), source.steps, 4)
    return Stage(learner, source, own, validate, augment=augment)


def test_what_is_trained_on_is_the_varied_batch_and_the_data_stay_as_they_were():
    learner, before = Pictures(), PIXELS.clone()
    train([pictures(learner, epochs=1, **dict.fromkeys(VARIED) | {"flip": True})])
    rows = torch.cat([batch.rows for batch in learner.seen])
    pixels = torch.cat([batch.inputs[0] for batch in learner.seen])
    mirrored = (pixels == PIXELS[rows].flip(-1)).all(-1).all(-1).all(-1)
    same = (pixels == PIXELS[rows]).all(-1).all(-1).all(-1)
    assert bool((mirrored ^ same).all())
    assert bool(mirrored.any())
    assert bool(same.any())
    assert torch.equal(PIXELS, before)


def test_pictures_vary_by_the_clock_from_step_to_step_and_not_by_what_happened_before():
    learners = [Pictures() for _ in range(3)]
    for learner, seed in zip(learners, (3, 3, 4), strict=True):
        torch.rand(7)
        train([pictures(learner)], seed=seed)
    one, again, other = (torch.cat([b.inputs[0].flatten() for b in learner.seen]) for learner in learners)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    sizes = [batch.inputs[0].shape[-1] for batch in learners[0].seen]
    assert (sizes[0], sizes[-1]) == (4, 8)
    assert sizes == sorted(sizes)


def test_batch_norms_of_averaged_weights_are_settled_on_varied_pictures():
    learner = Pictures()
    train([pictures(learner, swa=0.5)])
    trained, settled = learner.seen[:24], learner.seen[24:]
    assert len(settled) == 6
    assert all(batch.inputs[0].is_floating_point() for batch in settled)
    assert {tuple(b.rows.tolist()) for b in settled} == {tuple(b.rows.tolist()) for b in trained[-6:]}


# ------------------------------------------------------------------------------------------------------------- compiled


def test_compiling_is_refused_where_there_is_no_compiler(monkeypatch):
    monkeypatch.setattr(loop.shutil, "which", lambda name: None)
    with pytest.raises(BadInput) as caught:
        train([stage(compile=True)])
    assert str(caught.value) == (
        "recipe.compile needs a C++ compiler (g++ or clang++), and there is none. Leave it out."
    )
    train([stage(epochs=1)])  # and not missed where it is not asked for


def test_a_compiler_named_by_the_environment_is_found(monkeypatch):
    calls = []

    def compile_(learner: Learner):
        def call(batch: Batch, phase: str) -> Loss:
            calls.append(phase)
            return learner(batch, phase)

        return call

    monkeypatch.setenv("CXX", "my-compiler")
    monkeypatch.setattr(loop.shutil, "which", lambda name: "/bin/my-compiler" if name == "my-compiler" else None)
    monkeypatch.setattr(torch, "compile", compile_)
    compiled, plain = Network(), Network()
    train([stage(compiled, compile=True)])
    train([stage(plain)])
    assert calls == ["train"] * 24  # every step goes through what torch compiled
    assert same_tree(bits(compiled), bits(plain))


class Normed(Learner):
    """What torch may compile whole: no counters, no dropout."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))

    def loss(self, batch: Batch, phase: str) -> Loss:
        return Loss((self.layers(batch.inputs[0]) - batch.target).square().mean(), {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own parts
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler")
def test_a_compiled_learner_learns_the_same():
    """Also where averaged weights stand in for its own at validation."""
    histories = []
    for compiled in (True, False):
        learner = Normed()
        own = stage(learner, lambda learner: {"score": 1.0}, epochs=3, swa=0.5, compile=compiled)
        histories.append([record["loss"] for record in train([own]).history])
    assert histories[0] == pytest.approx(histories[1], abs=1e-4)
    assert histories[0][-1] < histories[0][0]


# ----------------------------------------------------------------------------------------------------------- on_epoch


def test_on_epoch_sees_each_record_and_may_stop():
    told = []

    def on_epoch(record):
        told.append(record["epoch"])
        record["loss"] = "spoilt"
        return record["epoch"] == 2

    outcome = train([stage(epochs=5)], on_epoch=on_epoch)
    assert told == [1, 2]
    assert len(outcome.history) == 2
    assert all(isinstance(record["loss"], float) for record in outcome.history)
    assert not outcome.interrupted


# ---------------------------------------------------------------------------------------------------------- interrupt


def test_an_interrupt_ends_training_and_keeps_the_best():
    learner, validate = Network(), scripted(1.0, 3.0, 2.0, 4.0)
    before = signal.getsignal(signal.SIGINT)

    def on_epoch(record):
        if record["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = train([stage(learner, validate, epochs=50, patience=50)], on_epoch=on_epoch)
    assert outcome.interrupted
    assert len(outcome.history) == 3
    assert outcome.best_epoch == 2
    assert same_tree(bits(learner), validate.seen[1])
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_keeps_the_best_also_where_nothing_would_have_stopped_early():
    learner, validate = Network(), scripted(1.0, 3.0, 2.0)

    def on_epoch(record):
        if record["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    outcome = train([stage(learner, validate, epochs=50)], on_epoch=on_epoch)
    assert (outcome.interrupted, outcome.best_epoch) == (True, 2)
    assert same_tree(bits(learner), validate.seen[1])


def test_an_interrupt_in_the_middle_of_an_epoch_still_tells_and_judges_it():
    class Interrupted(Network):
        def after_step(self, clock: Clock) -> None:
            if clock.step == 8:
                os.kill(os.getpid(), signal.SIGINT)

    learner, validate = Interrupted(), scripted(1.0, 2.0)
    outcome = train([stage(learner, validate, epochs=50, patience=50)])
    assert [record["step"] for record in outcome.history] == [6, 9]
    assert outcome.best_epoch == 2


def test_a_second_interrupt_ends_it_at_once():
    class Impatient(Network):
        def loss(self, batch: Batch, phase: str) -> Loss:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            return super().loss(batch, phase)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train([stage(Impatient())])
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_leaves_later_stages_untrained():
    first, second = Network(), Network()
    outcome = train(
        [stage(first, name="a"), stage(second, name="b")], on_epoch=lambda record: os.kill(os.getpid(), signal.SIGINT)
    )
    assert outcome.interrupted
    assert {record["stage"] for record in outcome.history} == {"a"}
    assert same_tree(bits(second), bits(Network()))


def test_training_works_in_a_thread_where_no_signal_arrives():
    learner, done = Network(), []
    thread = threading.Thread(target=lambda: done.append(train([stage(learner)])))
    thread.start()
    thread.join()
    reference = Network()
    train([stage(reference)])
    assert same_tree(bits(learner), bits(reference))


# ---------------------------------------------------------------------------------------------------- resume, same bits


@pytest.mark.parametrize("stop_at", [0, 1, 4, 9, 13, 23])
@pytest.mark.parametrize(
    "settings",
    [
        {"average": 0.9},
        {"accumulate": 4},
        {"optimizer": "sgd"},
        {"precision": "bf16"},
        {"optimizer": "muon"},
        {"swa": 0.5},
        {"swa": 0.8, "accumulate": 4},
    ],
    ids=str,
)
def test_a_run_that_broke_off_ends_with_the_same_bits(saving, tmp_path, stop_at, settings):
    unbroken = Network()
    expected = train([stage(unbroken, **settings)], seed=3)
    with pytest.raises(Stop):
        train([stage(Network(stop_at), **settings)], seed=3, folder=tmp_path)
    torch.rand(11)
    learner = Network()
    outcome = train([stage(learner, **settings)], seed=3, folder=tmp_path, resume=True)
    assert outcome.resumed
    assert same_tree(bits(learner), bits(unbroken))
    assert learner.turns == unbroken.turns == 24
    assert same_history(outcome, expected)
    assert outcome.plan == expected.plan


@pytest.mark.parametrize("stop_at", [3, 13, 20])
def test_a_broken_off_run_that_averages_and_validates_ends_with_the_same_bits(saving, tmp_path, stop_at):
    """Validation sets the means of batch norms of the averaged weights, which go on being averaged."""

    def validate(learner: Learner) -> dict[str, float]:
        return {"score": -float((learner.layers(X) - Y).square().mean().detach())}

    unbroken, learner = Network(), Network()
    expected = train([stage(unbroken, validate, swa=0.7, patience=9)])
    with pytest.raises(Stop):
        train([stage(Network(stop_at), validate, swa=0.7, patience=9)], folder=tmp_path)
    outcome = train([stage(learner, validate, swa=0.7, patience=9)], folder=tmp_path, resume=True)
    assert same_tree(bits(learner), bits(unbroken))
    assert same_history(outcome, expected)


@pytest.mark.parametrize(("stop_at", "swa"), [(1, 0.0), (13, 0.0), (10, 0.8), (22, 0.5)])
def test_a_broken_off_run_with_varied_pictures_ends_with_the_same_bits(saving, tmp_path, stop_at, swa):
    unbroken, learner = Pictures(), Pictures()
    expected = train([pictures(unbroken, swa=swa)], seed=3)
    with pytest.raises(Stop):
        train([pictures(Pictures(stop_at), swa=swa)], seed=3, folder=tmp_path)
    torch.rand(11)
    outcome = train([pictures(learner, swa=swa)], seed=3, folder=tmp_path, resume=True)
    assert same_tree(bits(learner), bits(unbroken))
    assert same_history(outcome, expected)


def test_early_stopping_is_resumed_with_its_best_weights(saving, tmp_path):
    scores = (1.0, 3.0, 2.0, 2.5, 2.0, 9.0)
    unbroken, expected = Network(), None
    expected = train([stage(unbroken, scripted(*scores), epochs=6, patience=3)])
    with pytest.raises(Stop):
        train([stage(Network(20), scripted(*scores), epochs=6, patience=3)], folder=tmp_path)
    learner = Network()
    outcome = train([stage(learner, scripted(*scores[3:]), epochs=6, patience=3)], folder=tmp_path, resume=True)
    assert same_tree(bits(learner), bits(unbroken))
    assert outcome.best_epoch == expected.best_epoch == 2
    assert [record["epoch"] for record in outcome.history] == [1, 2, 3, 4, 5]


def test_a_run_may_break_off_again_and_again(saving, tmp_path):
    unbroken = Network()
    train([stage(unbroken)])
    for _ in range(20):
        learner = Network(stop_at=5)  # each try takes five steps; the rest was saved
        try:
            train([stage(learner)], folder=tmp_path, resume=True)
        except Stop:
            continue
        break
    assert same_tree(bits(learner), bits(unbroken))


def test_resuming_a_run_that_had_ended_gives_its_weights(saving, tmp_path):
    first, again = Network(), Network()
    train([stage(first)], folder=tmp_path)
    outcome = train([stage(again)], folder=tmp_path, resume=True)
    assert same_tree(bits(first), bits(again))
    assert len(outcome.history) == 4


def test_resuming_an_averaged_run_that_had_ended_settles_its_batch_norms_alike(saving, tmp_path):
    first, again = Pictures(), Pictures()
    train([pictures(first, swa=0.5)], folder=tmp_path)
    torch.rand(11)
    train([pictures(again, swa=0.5)], folder=tmp_path, resume=True)
    assert len(again.seen) == 6  # no step, the settling alone
    assert same_tree(bits(first), bits(again))


def test_resuming_says_where_and_resuming_nothing_starts_afresh(saving, tmp_path):
    shown = Telling()
    assert not train([stage()], folder=tmp_path, resume=True, show=shown).resumed
    assert shown.sentences == [f"nothing to resume in {tmp_path}: starting afresh"]
    with pytest.raises(Stop):
        train([stage(Network(9))], folder=tmp_path / "other")
    shown = Telling()
    train([stage()], folder=tmp_path / "other", resume=True, show=shown)
    assert shown.sentences == ["resumed at step 8 of 24"]


class Telling(Quiet):
    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.shares: list[float] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def step(self, done: float, facts) -> None:
        self.shares.append(done)
        assert all(isinstance(value, float) for value in facts.values())


def test_a_save_point_comes_at_an_epochs_end_and_the_disk_is_written_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_STEPS", (10, 500))
    written = []
    monkeypatch.setattr(loop, "write_tree", lambda path, tree: written.append(tree["run"]["clock"]["step"]))
    outcome = train([stage(epochs=6)], folder=tmp_path)
    assert outcome.plan["save_every"] == 12
    assert written == [0]  # the plan; the later save points were reached within seconds
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    train([stage(epochs=6)], folder=tmp_path)
    assert written[1:] == [0, 12, 24, 36]


def test_the_resumed_run_uses_the_plan_of_the_first_and_measures_nothing(saving, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "resolve", lambda *args: "bf16")
    with pytest.raises(Stop):
        train([stage(Network(9), precision="auto")], folder=tmp_path)
    monkeypatch.setattr(loop, "resolve", lambda *args: pytest.fail("measured again"))
    outcome = train([stage(precision="auto")], folder=tmp_path, resume=True)
    assert outcome.plan["precision"] == "bf16"


def test_source_and_learner_memory_travel_in_the_checkpoint(saving, tmp_path):
    class Remembering(Source):
        """Hands out a running sum of all that it gave before, as a replay memory would."""

        steps = 6

        def __init__(self) -> None:
            self.total = torch.zeros(1)

        def next(self, clock: Clock) -> Batch:
            self.total = self.total + torch.rand(1)
            return Batch((X[:16] * self.total,), Y[:16])

        def example(self) -> Batch:
            return Batch((X[:16],), Y[:16])

        def state(self):
            return {"total": self.total}

        def restore(self, state) -> None:
            self.total = state["total"]

    def own(learner: Learner) -> Stage:
        return Stage(learner, Remembering(), recipe(epochs=4))

    unbroken, learner = Network(), Network()
    train([own(unbroken)])
    with pytest.raises(Stop):
        train([own(Network(15))], folder=tmp_path)
    train([own(learner)], folder=tmp_path, resume=True)
    assert same_tree(bits(learner), bits(unbroken))


# ------------------------------------------------------------------------------------------ checkpoints that do not fit


@pytest.fixture
def broken_off(saving, tmp_path):
    with pytest.raises(Stop):
        train([stage(Network(9))], folder=tmp_path, identity={"data": "aaa", "recipe": "fast", "seed": "0"})
    return tmp_path


def test_a_checkpoint_of_another_run_is_refused(broken_off):
    with pytest.raises(BadInput) as caught:
        train([stage()], folder=broken_off, resume=True, identity={"data": "bbb", "recipe": "slow", "seed": "0"})
    assert str(caught.value) == (
        f"the checkpoint in {broken_off / 'checkpoint'} belongs to another run: data, recipe differ. "
        "Repeat that run's settings, choose another --out, or start anew with --overwrite."
    )


def test_what_identifies_a_run_may_hold_tuples_and_numbers(saving, tmp_path):
    identity = {"hidden": (8, 6), "lr": 0.1, "nested": {"a": (1, None)}}
    with pytest.raises(Stop):
        train([stage(Network(9))], folder=tmp_path, identity=identity)
    assert train([stage()], folder=tmp_path, resume=True, identity=identity).resumed
    with pytest.raises(BadInput, match="belongs to another run: hidden differ"):
        train([stage()], folder=tmp_path, resume=True, identity={**identity, "hidden": (8,)})


def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(broken_off):
    path = broken_off / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    damaged = path.read_bytes()
    with pytest.raises(BadInput, match=r"is not a whole checkpoint \(.*\)\. Remove it, or start with --overwrite\.$"):
        train([stage()], folder=broken_off, resume=True)
    assert path.read_bytes() == damaged


def test_another_programs_tree_is_no_checkpoint(broken_off):
    write_tree(broken_off / CHECKPOINT, {"epochs": 3})
    with pytest.raises(BadInput, match="is not a checkpoint of a run"):
        train([stage()], folder=broken_off, resume=True)


def test_what_a_kill_left_half_written_is_swept(broken_off):
    stale = broken_off / "checkpoint" / "state.safetensors.tmp"
    stale.write_bytes(b"half")
    train([stage()], folder=broken_off, resume=True, identity={"data": "aaa", "recipe": "fast", "seed": "0"})
    assert not stale.exists()


def killed(folder: str) -> None:
    """Run in a child process: train, and die without a word in the middle of the third epoch."""
    loop.SAVE_STEPS, loop.WRITE_SECONDS = (1, 4), 0.0

    class Dying(Network):
        def after_step(self, clock: Clock) -> None:
            super().after_step(clock)
            if clock.step == 14:
                os.kill(os.getpid(), signal.SIGKILL)

    train([stage(Dying(), average=0.9)], seed=3, folder=Path(folder))


def test_kill_9_and_resume_ends_with_the_same_bits(tmp_path, monkeypatch):
    code = f"from tests.training.test_loop import killed; killed({str(tmp_path)!r})"
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    child = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert child.returncode == -signal.SIGKILL
    assert read_tree(tmp_path / CHECKPOINT)["run"]["clock"]["step"] == 12
    learner, unbroken = Network(), Network()
    outcome = train([stage(learner, average=0.9)], seed=3, folder=tmp_path, resume=True)
    expected = train([stage(unbroken, average=0.9)], seed=3)
    assert outcome.resumed
    assert same_tree(bits(learner), bits(unbroken))
    assert same_history(outcome, expected)


# ---------------------------------------------------------------------------------------------------------- NaN guard


class Exploding(Network):
    """Its loss is not finite while the rate is above what it can stand, from the tenth step on."""

    def __init__(self, stands: float, stop_at: int | None = None) -> None:
        super().__init__(stop_at)
        self.stands, self.step_size = stands, 0.0
        self.last = self.layers[0].weight.detach().clone()

    def loss(self, batch: Batch, phase: str) -> Loss:
        loss = super().loss(batch, phase)
        now = self.layers[0].weight.detach()
        if float((now - self.last).abs().max()) > self.stands:
            loss = Loss(loss.total * float("nan"), loss.parts)
        self.last = now.clone()
        return loss

    def restore(self, state) -> None:
        super().restore(state)
        self.last = self.layers[0].weight.detach().clone()


SGD = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip": 1.0}


def test_a_loss_that_is_not_finite_goes_back_halves_the_rate_and_names_the_rows():
    shown = Telling()
    learner = Exploding(stands=0.011)
    outcome = train([stage(learner, lr=0.08, **SGD)], show=shown)
    assert len(outcome.history) == 4
    assert outcome.history[-1]["rate"] < 0.08
    assert all(np.isfinite(record["loss"]) for record in outcome.history)
    assert all(bool(torch.isfinite(p).all()) for p in learner.parameters())
    rows = Resident((X,), Y, batch=16).next(Clock(step=1)).rows.tolist()
    named = f"(rows {rows[0]}, {rows[1]}, {rows[2]} and 13 more)"
    assert shown.sentences[0] == (
        f"the loss of step 1 is not finite {named}: back to step 0, learning rate halved to 0.04"
    )


def test_epochs_that_are_done_again_stand_in_the_history_once(saving):
    class Once(Network):
        failed = False

        def loss(self, batch: Batch, phase: str) -> Loss:
            loss = super().loss(batch, phase)
            if self.turns == 19 and not self.failed:  # after a save point in step 16 and an epoch's end in 18
                self.failed = True
                return Loss(loss.total + float("inf"), loss.parts)
            return loss

    learner = Once()
    outcome = train([stage(learner)])
    assert [record["epoch"] for record in outcome.history] == [1, 2, 3, 4]
    assert [record["step"] for record in outcome.history] == [6, 12, 18, 24]
    assert [record["rate"] for record in outcome.history] == [0.02, 0.02, 0.01, 0.01]
    assert learner.turns == 24


class Tainted(Network):
    """Once a step was too large, all is lost from step 9 on, whatever the rate is by then."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(stop_at)
        self.lost, self.at = False, 0

    def loss(self, batch: Batch, phase: str) -> Loss:
        loss = super().loss(batch, phase)
        return Loss(loss.total * float("nan"), loss.parts) if self.lost and self.at >= 9 else loss

    def after_step(self, clock: Clock) -> None:
        super().after_step(clock)
        self.lost, self.at = self.lost or clock.rate > 0.011, clock.step + 1

    def state(self):
        return {**super().state(), "lost": self.lost, "at": self.at}

    def restore(self, state) -> None:
        super().restore(state)
        self.lost, self.at = state["lost"], state["at"]


@pytest.mark.parametrize("stop_at", [None, 7, 10, 11, 13, 17, 22])
def test_where_the_save_point_itself_is_spoilt_training_begins_anew(saving, tmp_path, stop_at):
    unbroken, shown = Tainted(), Telling()
    expected = train([stage(unbroken, lr=0.04)], show=shown)
    assert [sentence.partition(": ")[2] for sentence in shown.sentences] == [
        "back to step 8, learning rate halved to 0.02",
        "back to step 0, learning rate halved to 0.01",
    ]
    assert len(expected.history) == 4
    if stop_at is not None:
        learner = Tainted()
        with pytest.raises(Stop):
            train([stage(Tainted(stop_at), lr=0.04)], folder=tmp_path)
        outcome = train([stage(learner, lr=0.04)], folder=tmp_path, resume=True)
        assert same_tree(bits(learner), bits(unbroken))
        assert same_history(outcome, expected)


def test_a_loss_that_is_never_finite_is_given_up_with_a_sentence():
    target = Y.clone()
    target[37] = float("nan")
    own = stage()
    own.source.target = target
    shown = Telling()
    with pytest.raises(Diverged) as caught:
        train([own], show=shown)
    message = str(caught.value)
    assert message.startswith("the loss of step ")
    assert (
        ", even with the learning rate halved 6 times from 0.02. Look at these rows for extreme values, or" in message
    )
    assert message.endswith("set a smaller --recipe.lr.")
    assert "(rows " in message
    assert len(shown.sentences) == 6


@pytest.mark.parametrize("stop_at", [3, 11, 17, 22])
def test_a_run_that_went_back_and_then_broke_off_ends_with_the_same_bits(saving, tmp_path, stop_at):
    settings = {"lr": 0.08, **SGD}
    unbroken, learner = Exploding(0.011), Exploding(0.011)
    expected = train([stage(unbroken, **settings)])
    with pytest.raises(Stop):
        train([stage(Exploding(0.011, stop_at), **settings)], folder=tmp_path)
    outcome = train([stage(learner, **settings)], folder=tmp_path, resume=True)
    assert same_tree(bits(learner), bits(unbroken))
    assert same_history(outcome, expected)


class FailingWork(Learner):
    works = True

    def __init__(self) -> None:
        super().__init__()
        self.count = nn.Parameter(torch.zeros(1), requires_grad=False)

    def work(self, batch: Batch, clock: Clock):
        self.count += 1
        return {"loss": float("nan") if 37 in batch.rows else 1.0}


def test_a_learner_whose_work_fails_is_guarded_too():
    with pytest.raises(Diverged, match=r"^the loss of step \d+ is not finite \(rows "):
        train([stage(FailingWork())])


def test_a_stage_without_a_guard_says_at_once_that_its_loss_is_not_finite():
    with pytest.raises(Diverged, match=r"^the loss of step \d+ is not finite\. Set a --recipe\.lr below "):
        train([replace(stage(FailingWork()), guarded=False)])


# ------------------------------------------------------------------------------------------------------------- budget


class Slow(Network):
    """Moves a made-up wall clock forward, `pace(step)` seconds a step."""

    def __init__(self, now: list[float], pace) -> None:
        super().__init__()
        self.now, self.pace = now, pace

    def after_step(self, clock: Clock) -> None:
        super().after_step(clock)
        self.now[0] += self.pace(clock.step)


@pytest.fixture
def wall(monkeypatch):
    now = [5000.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(loop, "SAVE_STEPS", (6, 500))
    return now


@pytest.mark.parametrize(
    "pace",
    [
        lambda step: 0.01,
        lambda step: 0.01 if step < 300 else 0.03,  # other work arrives midway
        lambda step: 0.03 if step < 100 else 0.01,  # a slow start
    ],
    ids=["steady", "slower", "faster"],
)
def test_a_budget_is_kept_and_the_rate_is_annealed_in_time(wall, pace):
    outcome = train([stage(Slow(wall, pace), epochs=10_000, schedule="cosine")], budget=10.0)
    spent = wall[0] - 5000.0
    assert 9.0 < spent <= 10.0  # 5 % are kept back for what comes after
    assert outcome.history[-1]["rate"] == pytest.approx(0.0, abs=0.02 * 0.01)
    rates = [record["rate"] for record in outcome.history]
    assert rates == sorted(rates, reverse=True)  # what was decided is never taken back


def test_a_budget_that_is_not_needed_changes_nothing(wall):
    with_budget, without = Slow(wall, lambda step: 0.001), Network()
    outcome = train([stage(with_budget, schedule="cosine")], budget=100.0)
    expected = train([stage(without, schedule="cosine")])
    assert same_tree(bits(with_budget), bits(without))
    assert same_history(outcome, expected)


def test_a_machine_that_stalls_is_cut_off_at_the_deadline_and_the_best_is_kept(wall):
    validate = scripted(*[1.0] * 10_000)
    learner = Slow(wall, lambda step: 0.01 if step < 49 else 30.0)
    outcome = train([stage(learner, validate, epochs=10_000, patience=10_000)], budget=10.0)
    assert outcome.history[-1]["step"] == 50
    assert outcome.best_epoch == 1


def test_a_budget_of_wall_time_is_kept_on_this_machine():
    started = time.monotonic()
    outcome = train([stage(epochs=1_000_000, schedule="cosine")], budget=1.0)
    assert 0.5 < time.monotonic() - started < 1.5
    assert outcome.history[-1]["rate"] < 0.02 * 0.2


def test_what_was_spent_before_a_kill_counts(wall, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (12, 500))

    class Breaking(Slow):
        def after_step(self, clock: Clock) -> None:
            super().after_step(clock)
            if clock.step == 120:
                raise Stop

    with pytest.raises(Stop):
        train([stage(Breaking(wall, lambda step: 0.05), epochs=10_000)], budget=10.0, folder=tmp_path)
    wall[0] += 1e6  # what passes between the two does not count
    begun = wall[0]
    train([stage(Slow(wall, lambda step: 0.05), epochs=10_000)], budget=10.0, folder=tmp_path, resume=True)
    assert wall[0] - begun == pytest.approx(9.5 - 6.0, abs=0.7)


# ------------------------------------------------------------------------------------------ phases, stages, self-steps


class Players(Learner):
    """Two players that pull in turn: the first in every step, the second in every second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.zeros(1)) for _ in range(2))

    def phases(self):
        return (
            Phase("up", (self.first,), Recipe(lr=1.0)),
            Phase("down", (self.second,), Recipe(lr=0.5), every=2),
        )

    def loss(self, batch: Batch, phase: str) -> Loss:
        both = self.first + 10 * self.second
        return Loss((-both if phase == "up" else both).sum(), {f"{phase}/size": torch.tensor(2.0)})


def test_each_phase_moves_its_own_parameters_at_its_own_rate_in_its_own_steps():
    learner = Players()
    train([stage(learner, epochs=1, **{**SGD, "clip": 0.0})])
    assert float(learner.first.detach()) == pytest.approx(6 * 1.0)
    assert float(learner.second.detach()) == pytest.approx(-3 * 0.5 * 10)


def test_the_history_has_the_mean_over_each_phases_own_steps():
    (record,) = train([stage(Players(), epochs=1, lr=1e-9, **{**SGD, "clip": 0.0})]).history
    assert record["up/size"] == pytest.approx(2.0)
    assert record["down/size"] == pytest.approx(2.0)
    assert {"up", "down"} < set(record)


def test_a_phase_leaves_the_gradients_of_all_other_parameters_alone():
    seen = []

    class Looking(Players):
        def after_step(self, clock: Clock) -> None:
            seen.append(self.bystander.grad)

        def __init__(self) -> None:
            super().__init__()
            self.bystander = nn.Parameter(torch.ones(1))

        def loss(self, batch: Batch, phase: str) -> Loss:
            loss = super().loss(batch, phase)
            return Loss(loss.total + 0.0 * self.bystander.sum(), loss.parts)

    learner = Looking()
    train([stage(learner, epochs=1, **{**SGD, "clip": 0.0})])
    assert seen == [None] * 6
    assert float(learner.bystander.detach()) == 1.0


def test_with_accumulation_every_second_turn_is_every_second_optimiser_step():
    learner = Players()
    train([stage(learner, epochs=1, accumulate=2, **{**SGD, "clip": 0.0})])  # 6 batches: 3 optimiser steps
    assert float(learner.first.detach()) == pytest.approx(3 * 1.0)
    assert float(learner.second.detach()) == pytest.approx(-2 * 0.5 * 10)  # the first and the third


def test_stages_of_one_name_count_their_own_epochs():
    outcome = train([stage(epochs=2), stage(epochs=1)])
    assert [record["epoch"] for record in outcome.history] == [1, 2, 1]


def test_stages_share_a_budget(wall):
    train([stage(Slow(wall, lambda step: 0.05), epochs=10_000) for _ in range(2)], budget=10.0)
    assert wall[0] - 5000.0 == pytest.approx(9.5, abs=0.5)


def test_stages_follow_one_another_and_share_a_learner():
    learner = Network()
    outcome = train([stage(learner, name="pre", epochs=2), stage(learner, name="fine", epochs=1)])
    assert [(record["stage"], record["epoch"]) for record in outcome.history] == [("pre", 1), ("pre", 2), ("fine", 1)]
    assert learner.turns == 18


@pytest.mark.parametrize("stop_at", [10, 27, 40])
def test_a_run_broken_off_in_any_stage_ends_with_the_same_bits(saving, tmp_path, stop_at):
    def stages(stop_at: int | None = None):
        teacher, pupil = Network(stop_at), Network(None if stop_at is None else stop_at - 24)
        return [stage(teacher, name="teach", average=0.9), stage(pupil, name="learn")]

    unbroken, again = stages(), stages()
    expected = train(unbroken)
    with pytest.raises(Stop):
        train(stages(stop_at), folder=tmp_path)
    outcome = train(again, folder=tmp_path, resume=True)
    for one, other in zip(unbroken, again, strict=True):
        assert same_tree(bits(one.learner), bits(other.learner))
        assert one.learner.turns == other.learner.turns == 24
    assert same_history(outcome, expected)


def test_a_learner_may_take_the_whole_step_itself(saving, tmp_path):
    class Counter(Learner):
        works = True

        def __init__(self, stop_at: int | None = None) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2), requires_grad=False)
            self.stop_at = stop_at

        def work(self, batch: Batch, clock: Clock):
            if clock.step == self.stop_at:
                raise Stop
            self.weight += clock.rate * torch.rand(2)  # the clock knows the rate of this step
            return {"loss": float(self.weight[0]), "words": 3.0}

    unbroken, learner = Counter(), Counter()
    expected = train([stage(unbroken)])
    with pytest.raises(Stop):
        train([stage(Counter(15))], folder=tmp_path)
    outcome = train([stage(learner)], folder=tmp_path, resume=True)
    assert same_tree(bits(learner), bits(unbroken))
    assert same_history(outcome, expected)
    assert expected.history[0]["words"] == 3.0
    assert bool((unbroken.weight > 0).all())


def test_progress_is_told_while_it_runs(monkeypatch):
    now = [0.0]

    def monotonic() -> float:
        now[0] += 0.15
        return now[0]

    monkeypatch.setattr(loop.time, "monotonic", monotonic)
    shown = Telling()
    train([stage(name="a"), stage(name="b")], show=shown)
    assert shown.shares == sorted(shown.shares)
    assert 0 < shown.shares[0] < 0.5 < shown.shares[-1] <= 1.0
