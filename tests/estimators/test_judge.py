"""The judge: told pictures apart after its recipe, turns where there are no labels, comes back from its arrays."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from decet.contracts import Batch, Clock, ImageSpec
from decet.errors import BadInput
from decet.estimators import judge as judging
from decet.estimators.judge import SEEN, Judge
from decet.training.loop import train

SPEC = ImageSpec(1, 8, 8, scale=((80.0, 90.0),))
CPU = torch.device("cpu")


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    found = load_digits()
    return torch.from_numpy(found.images * 15).to(torch.uint8).unsqueeze(1), torch.from_numpy(found.target)


def trained(labelled: bool) -> Judge:
    x, y = digits()
    torch.manual_seed(0)
    learner = judging.network(SPEC, 10 if labelled else 0)
    train([judging.stage(learner, x, y.unsqueeze(1) if labelled else None, torch.arange(1_400))], seed=0)
    return Judge(learner, SPEC, 10 if labelled else 0, CPU)


@pytest.fixture(scope="module")
def knowing() -> Judge:
    return trained(labelled=True)


def test_it_tells_labels_of_pictures_that_it_has_not_seen(knowing: Judge) -> None:
    x, y = digits()
    seen, told = knowing.see(x[1_400:])
    assert seen.shape == (397, SEEN)
    assert float((told == y[1_400:]).float().mean()) > 0.93


def test_without_labels_it_tells_turns() -> None:
    x, _ = digits()
    judge = trained(labelled=False)
    batch = judging.turned(Batch((x[1_400:],)), Clock())
    _, told = judge.see(batch.inputs[0])
    assert float((told == batch.target[:, 0]).float().mean()) > 0.8


@pytest.mark.parametrize("size", [(8, 8), (8, 6)])
def test_turned_pictures_are_turned_by_their_label(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (40, 1, *size), dtype=torch.uint8)
    batch = judging.turned(Batch((pixels,)), Clock())
    ways = 4 if size[0] == size[1] else 2
    assert set(batch.target[:, 0].tolist()) == set(range(ways))
    for picture, found, way in zip(pixels, batch.inputs[0], batch.target[:, 0].tolist(), strict=True):
        assert torch.equal(found, torch.rot90(picture, way * 4 // ways, (1, 2)))


@pytest.mark.parametrize("side", [1, 4, 8, 28, 32, 64, 100])
def test_pictures_of_any_size_are_seen(side: int) -> None:
    spec = ImageSpec(3, side, side)
    seen, _ = Judge(judging.network(spec, 5), spec, 5, CPU).see(torch.zeros(2, 3, side, side, dtype=torch.uint8))
    assert seen.shape == (2, SEEN)


def test_it_comes_back_from_its_arrays(knowing: Judge) -> None:
    x, _ = digits()
    again = Judge.restore(knowing.state(), SPEC, 10, CPU)
    assert torch.equal(again.see(x[:50])[0], knowing.see(x[:50])[0])


def test_arrays_of_another_judge_are_refused(knowing: Judge) -> None:
    with pytest.raises(BadInput, match="the judge's"):
        Judge.restore(knowing.state(), SPEC, 7, CPU)
