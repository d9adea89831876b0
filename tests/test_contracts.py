"""The nouns: features, decoder state, the clock."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import nn

from decet.contracts import (
    Batch,
    Body,
    Clock,
    Decoder,
    Family,
    Features,
    GraphSpec,
    ImageSpec,
    LabelSpec,
    Learner,
    NumberSpec,
    SeriesSpec,
    Source,
    Stage,
    State,
    TableSpec,
    TokenSpec,
)
from decet.errors import Unsupported
from decet.families.dnn import DNN
from decet.training.recipe import Recipe


@pytest.mark.parametrize(
    "spec",
    [
        TableSpec(numbers=3, categories=(4, 5)),
        ImageSpec(3, 32, 32),
        TokenSpec(100),
        SeriesSpec(7),
        GraphSpec(16),
        LabelSpec((3,)),
        NumberSpec(2),
    ],
)
def test_specs_are_frozen_and_can_be_keys(spec):
    assert {spec: 1}[spec] == 1
    with pytest.raises(FrozenInstanceError):
        spec.numbers = 5


def test_dnn_is_a_family():
    assert isinstance(DNN(), Family)


# ---------------------------------------------------------------------------------------------------------- features


def test_pooled_is_the_mean_over_positions():
    values = torch.randn(2, 3, 4)
    torch.testing.assert_close(Features(values).pooled(), values.mean(1).unsqueeze(1))
    torch.testing.assert_close(Features(values[:, :1]).pooled(), values[:, :1])


def test_pooled_leaves_out_masked_positions():
    values, mask = torch.randn(2, 3, 4), torch.tensor([[True, True, False], [False, False, False]])
    pooled = Features(values, mask=mask).pooled()
    torch.testing.assert_close(pooled[0, 0], values[0, :2].mean(0))
    assert bool((pooled[1] == 0).all())  # an item without a real position is zeros, not NaN


def test_pooled_of_ragged_items_is_the_mean_over_an_items_own_rows():
    values, owner = torch.randn(5, 4), torch.tensor([0, 0, 0, 2, 2])
    pooled = Features(values, owner=owner, size=3).pooled()
    assert pooled.shape == (3, 1, 4)
    torch.testing.assert_close(pooled[0, 0], values[:3].mean(0))
    torch.testing.assert_close(pooled[2, 0], values[3:].mean(0))
    assert bool((pooled[1] == 0).all())


def test_pooled_separates_members():
    values = torch.randn(2 * 3, 5, 4)  # (B*M, P, D)
    pooled = Features(values, members=3).pooled()
    assert pooled.shape == (2, 3, 4)
    torch.testing.assert_close(pooled[1, 0], values[3].mean(0))


def test_pooled_prefers_the_bodys_own_summary():
    summary = torch.randn(2, 4)
    torch.testing.assert_close(Features(summary=summary).pooled(), summary.unsqueeze(1))
    members = torch.randn(2, 3, 4)
    torch.testing.assert_close(Features(torch.randn(2, 1, 9), summary=members).pooled(), members)


def test_features_without_what_is_asked_say_so():
    with pytest.raises(Unsupported, match="^this body gives neither positions nor a summary, so there is nothing to"):
        Features().pooled()
    with pytest.raises(Unsupported, match="^this body gives no picture scales. Bodies that do: CNN, ResNet.$"):
        Features(torch.randn(2, 3, 4)).pyramid()
    maps = (torch.randn(2, 3, 8, 8), torch.randn(2, 6, 4, 4))
    assert Features(maps=maps).pyramid() == maps


def test_state_select_reorders_repeats_and_resets_rows():
    state = State({"h": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "cache": torch.ones(2, 3, 4)})
    chosen = state.select(torch.tensor([1, 1, -1]))
    assert chosen.tensors["h"].tolist() == [[3, 4], [3, 4], [0, 0]]
    assert chosen.tensors["cache"].sum((1, 2)).tolist() == [12, 12, 0]
    assert state.tensors["h"].tolist() == [[1, 2], [3, 4]]  # what it was taken from is as before


# ------------------------------------------------------------------------------- what a part does when it says nothing


def test_default_phase_trains_every_parameter_that_may_move():
    learner = Learner()
    learner.layer, learner.frozen = nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
    (phase,) = learner.phases()
    assert [id(p) for p in phase.parameters] == [id(p) for p in learner.layer.parameters()]
    assert (phase.name, phase.recipe, phase.every) == ("train", None, 1)
    assert learner.averaged() is learner
    assert (learner.state(), Source().state()) == ({}, {})
    assert (learner.restore({}), learner.after_step(Clock()), Source().restore({})) == (None, None, None)
    assert not learner.works
    assert Stage(learner, Source(), Recipe()).name == "train"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Learner()(Batch(()), "train"), "Learner has no loss."),
        (lambda: Learner().work(Batch(()), Clock()), "Learner does not step by itself."),
        (lambda: Learner().predict(()), "Learner does not predict."),
        (lambda: Source().next(Clock()), "Source yields nothing."),
        (lambda: Source().example(), "Source has no example."),
        (lambda: Body()(()), "Body has no forward pass."),
        (lambda: Decoder().start(None, 1), "Decoder cannot generate."),
        (lambda: Decoder()(torch.zeros(1, 1), State({})), "Decoder cannot generate."),
    ],
)
def test_what_a_part_does_not_do_it_says(call, sentence):
    with pytest.raises(Unsupported) as caught:
        call()
    assert str(caught.value) == sentence


# ------------------------------------------------------------------------------------------------------------- clock


def test_keys_are_one_to_one_in_step_and_differ_by_purpose_rank_and_seed():
    clock = Clock(seed=3)
    keys = {clock.key("step", step) for step in range(20_000)}
    assert len(keys) == 20_000
    assert all(0 <= key < 2**32 for key in keys)
    others = (clock.key("order", 5), Clock(seed=4).key("step", 5), Clock(seed=3, rank=1).key("step", 5))
    assert len({clock.key("step", 5), *others}) == 4


def test_a_key_is_a_function_of_the_clock_alone():
    assert Clock(seed=3, step=5).key("step") == Clock(seed=3).key("step", 5)
    assert Clock(seed=0).key("step", 0) == 3_140_080_582  # pinned: another value would break every checkpoint


def test_progress_is_linear_and_ends_at_exactly_1():
    clock = Clock(plan=[(0, 0.0, 8)])
    assert clock.last == 8
    for step, progress in [(0, 0.0), (2, 0.25), (8, 1.0), (9, 1.0)]:
        clock.step = step
        assert clock.progress == progress


def test_a_decision_bends_progress_but_never_moves_it():
    clock = Clock(step=4, plan=[(0, 0.0, 8)])
    before = clock.progress
    clock.plan.append((4, before, 6))  # the end comes earlier than was planned
    assert clock.progress == before == 0.5
    clock.step = 5
    assert clock.progress == 0.75
    clock.step = 6
    assert clock.progress == 1.0
