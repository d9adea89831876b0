"""The recipe's checks, and the learning-rate schedules by hand values."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from itertools import pairwise

import numpy as np
import pytest

from decet.errors import BadInput
from decet.settings import joined
from decet.training.recipe import FALLBACK, Recipe, rate


def test_nothing_is_said_by_default_and_the_fallback_says_all_but_what_has_no_general_answer():
    assert all(getattr(Recipe(), f.name) is None for f in fields(Recipe))
    unsaid = {f.name for f in fields(Recipe) if getattr(FALLBACK, f.name) is None}
    assert unsaid == {"steps", "metric", "window"}  # epochs say how long; the task its metric, the network its window


def test_a_search_over_the_rate_keeps_the_cells_epochs():
    cell = Recipe(epochs=60, lr=2e-3)
    assert joined(Recipe(lr=0.01), cell, FALLBACK).epochs == 60
    assert joined(Recipe(lr=0.01), cell, FALLBACK).lr == 0.01


def test_a_recipe_is_frozen_and_can_be_a_key():
    assert {Recipe(lr=0.1): "a"}[Recipe(lr=0.1)] == "a"
    with pytest.raises(FrozenInstanceError):
        Recipe().lr = 0.1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": 0}, "recipe.epochs must be a whole number of at least 1. Received: 0."),
        ({"steps": 1.5}, "recipe.steps must be a whole number of at least 1. Received: 1.5."),
        ({"batch": -3}, "recipe.batch must be a whole number of at least 1. Received: -3."),
        ({"accumulate": 0}, "recipe.accumulate must be a whole number of at least 1. Received: 0."),
        ({"members": 0}, "recipe.members must be a whole number between 1 and 1024. Received: 0."),
        ({"lr": 0}, "recipe.lr must be a number between 1e-12 and 100.0. Received: 0."),
        ({"lr": "fast"}, "recipe.lr must be a number between 1e-12 and 100.0. Received: 'fast'."),
        ({"weight_decay": -1}, "recipe.weight_decay must be a number between 0.0 and 10.0. Received: -1."),
        ({"momentum": 1}, "recipe.momentum must be a number between 0.0 and 0.9999. Received: 1."),
        ({"warmup": 1}, "recipe.warmup must be a number between 0.0 and 0.9. Received: 1."),
        ({"clip": -0.1}, "recipe.clip must be a number of at least 0.0. Received: -0.1."),
        ({"average": 1}, "recipe.average must be a number between 0.0 and 0.999999. Received: 1."),
        ({"patience": -1}, "recipe.patience must be a whole number of at least 0. Received: -1."),
        (
            {"optimizer": "adan"},
            "recipe.optimizer must be one of 'adamw', 'adam', 'sgd', 'muon'. Received: 'adan'. Did you mean 'adam'?",
        ),
        (
            {"schedule": "cosin"},
            "recipe.schedule must be one of 'constant', 'cosine', 'flat-cosine', 'one-cycle'. Received: 'cosin'. "
            "Did you mean 'cosine'?",
        ),
        (
            {"precision": "bf6"},
            "recipe.precision must be one of 'auto', 'fp32', 'bf16'. Received: 'bf6'. Did you mean 'bf16'?",
        ),
        (
            {"epochs": 3, "steps": 10},
            "recipe.epochs (3) and recipe.steps (10) both say how long; keep one.",
        ),
        ({"swa": 1.5}, "recipe.swa must be a number between 0.0 and 1.0. Received: 1.5."),
        (
            {"average": 0.99, "swa": 0.25},
            "recipe.average (0.99) and recipe.swa (0.25) both say what predicts; keep one.",
        ),
        ({"compile": "yes"}, "recipe.compile must be one of True, False. Received: 'yes'."),
        ({"flip": 1}, "recipe.flip must be one of True, False. Received: 1."),
        ({"crop": -1}, "recipe.crop must be a whole number between 0 and 4096. Received: -1."),
        ({"crop": 0.1}, "recipe.crop must be a whole number between 0 and 4096. Received: 0.1."),
        ({"rotate": 360}, "recipe.rotate must be a number between 0.0 and 180.0. Received: 360."),
        ({"zoom": 1.0}, "recipe.zoom must be a number between 0.0 and 0.9. Received: 1.0."),
        ({"colour": 2}, "recipe.colour must be a number between 0.0 and 1.0. Received: 2."),
        ({"erase": 1.0}, "recipe.erase must be a number between 0.0 and 0.9. Received: 1.0."),
        ({"mixup": -1}, "recipe.mixup must be a number between 0.0 and 10.0. Received: -1."),
        ({"cutmix": 11}, "recipe.cutmix must be a number between 0.0 and 10.0. Received: 11."),
        ({"grow": 0}, "recipe.grow must be a number between 0.25 and 1.0. Received: 0."),
    ],
)
def test_values_out_of_range_are_refused_with_the_rule(settings, sentence):
    with pytest.raises(BadInput) as caught:
        Recipe(**settings)
    assert str(caught.value) == sentence


def test_an_average_that_is_off_leaves_room_for_the_other():
    assert Recipe(average=0.0, swa=0.25).swa == 0.25
    assert Recipe(average=0.99, swa=0.0).average == 0.99
    assert joined(Recipe(swa=0.25), FALLBACK).average == 0.0


def test_values_of_a_grid_search_are_taken():
    assert Recipe(lr=np.float64(0.1), epochs=np.int64(3)) == Recipe(lr=0.1, epochs=3)


# ----------------------------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("constant", {0.0: 1.0, 0.5: 1.0, 1.0: 1.0}),
        ("cosine", {0.0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0.0}),
        ("flat-cosine", {0.0: 1.0, 0.5: 1.0, 0.72: 1.0, 0.86: 0.5, 1.0: 0.0}),
        ("one-cycle", {0.0: 1.0, 0.25: 0.75, 0.5: 0.5, 1.0: 0.0}),
    ],
)
def test_schedules_without_warm_up(schedule, values):
    recipe = Recipe(lr=2.0, schedule=schedule, warmup=0.0)
    for progress, share in values.items():
        assert rate(recipe, progress) == pytest.approx(2.0 * share, abs=1e-12)


def test_warm_up_rises_linearly_from_a_hundredth():
    recipe = Recipe(lr=2.0, schedule="constant", warmup=0.2)
    assert [rate(recipe, p) for p in (0.0, 0.001, 0.05, 0.1, 0.2, 0.9)] == pytest.approx([0.02, 0.02, 0.5, 1, 2, 2])


def test_cosine_falls_over_what_the_warm_up_left():
    recipe = Recipe(lr=1.0, schedule="cosine", warmup=0.2)
    assert rate(recipe, 0.2) == 1.0
    assert rate(recipe, 0.6) == pytest.approx(0.5)
    assert rate(recipe, 0.4) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert rate(recipe, 1.0) == 0.0


def test_one_cycle_is_a_straight_line_up_and_another_down():
    recipe = Recipe(lr=2.0, schedule="one-cycle", warmup=0.2)
    by_hand = {0.0: 0.02, 0.05: 0.5, 0.1: 1.0, 0.2: 2.0, 0.4: 1.5, 0.6: 1.0, 0.9: 0.25, 1.0: 0.0}
    for progress, expected in by_hand.items():
        assert rate(recipe, progress) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["cosine", "flat-cosine", "one-cycle"])
def test_a_rate_never_jumps_or_turns_negative(schedule):
    recipe = Recipe(lr=1.0, schedule=schedule, warmup=0.05)
    rates = [rate(recipe, step / 1000) for step in range(1001)]
    assert min(rates) >= 0.0
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.03
    assert rates[50:] == sorted(rates[50:], reverse=True)


def test_the_fallback_is_annealed_to_0():
    assert rate(FALLBACK, 1.0) == 0.0
    assert rate(FALLBACK, 0.5) == FALLBACK.lr
