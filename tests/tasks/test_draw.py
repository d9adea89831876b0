"""Draw: its question, and noise that does not depend on what is drawn beside."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from decet.errors import BadInput
from decet.tasks.draw import CHUNK, Draw, between, fresh_of, noise_of


def test_a_pictures_noise_is_the_same_however_many_are_drawn() -> None:
    whole = noise_of((1, 4, 4), slice(0, 200), 7)
    for part in (slice(0, 1), slice(10, 70), slice(CHUNK, CHUNK + 5), slice(199, 200)):
        assert torch.equal(noise_of((1, 4, 4), part, 7), whole[part])


def test_seeds_steps_and_places_have_noise_of_their_own() -> None:
    first = noise_of((2,), slice(0, 130), 7)
    assert len(first.unique(dim=0)) == 130
    for other in (noise_of((2,), slice(0, 130), 8), noise_of((2,), slice(0, 130), 7, 1)):
        assert not torch.isclose(first, other).any(1).all()
    assert torch.equal(fresh_of((2,), slice(3, 9), 7, torch.device("cpu"))(0), noise_of((2,), slice(3, 9), 7, 1))


def test_the_way_between_two_is_as_long_as_noise_is() -> None:
    a, b = noise_of((400,), slice(0, 1), 1), noise_of((400,), slice(0, 1), 2)
    way = between(a, b, 5)
    torch.testing.assert_close(way[:1], a)
    torch.testing.assert_close(way[-1:], b)
    assert (way.norm(dim=1) > 0.9 * min(float(a.norm()), float(b.norm()))).all()


def test_between_one_and_itself_there_is_nothing_else() -> None:
    a = noise_of((10,), slice(0, 1), 1)
    torch.testing.assert_close(between(a, a, 3), a.expand(3, -1))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"steps": 0}, "steps must be"),
        ({"steps": 10_000}, "steps must be"),
        ({"guidance": -1.0}, "guidance must be"),
        ({"sampler": "euler"}, "sampler must be"),
        ({"labelled": "no"}, "labelled must be"),
    ],
)
def test_what_cannot_be_asked_is_told(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Draw(**asked)


def test_guidance_of_nothing_is_no_default() -> None:
    assert Draw(guidance=0.0).how().guidance == 0.0
    assert Draw().how().guidance == 1.0
