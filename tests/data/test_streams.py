"""Batches of one long stream."""

from __future__ import annotations

import torch

from decet.contracts import Clock
from decet.data.streams import Lanes, Windows

IDS = torch.arange(1_000, dtype=torch.int32)


def clock(step: int, seed: int = 0) -> Clock:
    return Clock(seed=seed, step=step, plan=[(0, 0.0, 10_000)])


def test_windows_hold_consecutive_tokens_each_in_one_window_an_epoch() -> None:
    source = Windows(IDS, 16, 4)
    seen = list[int]()
    for step in range(source.steps):
        (tokens,) = source.next(clock(step)).inputs
        assert tokens.shape == (4, 17)
        assert (tokens.diff(dim=1) == 1).all()
        seen += tokens[:, :-1].flatten().tolist()
    assert len(set(seen)) == len(seen) > 900


def test_windows_of_another_epoch_begin_elsewhere_and_are_functions_of_the_clock() -> None:
    source = Windows(IDS, 16, 4)
    first = source.next(clock(0)).inputs[0]
    later = source.next(clock(source.steps)).inputs[0]
    assert not torch.equal(first, later)
    assert torch.equal(Windows(IDS, 16, 4).next(clock(source.steps)).inputs[0], later)
    assert not torch.equal(Windows(IDS, 16, 4).next(clock(0, seed=1)).inputs[0], first)


def test_lanes_go_on_where_the_step_before_left_off() -> None:
    source, before = Lanes(IDS, 16, 4), None
    for step in range(source.steps):
        batch = source.next(clock(step))
        (tokens,) = batch.inputs
        assert batch.fresh is not None
        assert bool(batch.fresh.all()) == (step == 0)
        assert before is None or torch.equal(tokens[:, 0], before)
        before = tokens[:, -1]
    assert source.next(clock(source.steps)).fresh.all()  # type: ignore[union-attr]


def test_lanes_read_every_token_of_an_epoch_once() -> None:
    source = Lanes(IDS, 16, 4)
    read = torch.cat([source.next(clock(step)).inputs[0][:, 1:].flatten() for step in range(source.steps)])
    assert len(read.unique()) == len(read) >= 995


def test_streams_shorter_than_what_is_asked_are_read_all_the_same() -> None:
    assert Windows(IDS[:9], 8, 64).next(clock(0)).inputs[0].tolist() == [list(range(9))]
    assert Lanes(IDS[:9], 50, 64).next(clock(0)).inputs[0].shape == (4, 3)
