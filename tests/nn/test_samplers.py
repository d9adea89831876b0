"""Samplers against the one case that is solved on paper: pictures that are Gaussian.

Of x ~ N(m, d^2) the picture in x_t is E[x | x_t] = m + d^2 s / (s^2 d^2 + n^2) (x_t - s m), and the way without fresh
noise takes noise z to m + d z.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from decet.nn.noising import SCHEDULES, Noising
from decet.nn.samplers import SAMPLERS, Drawing, begun, dense, even, sampled

MEAN, SPREAD = 0.4, 0.3


def seen(noising: Noising) -> Callable[[Tensor, float], Tensor]:
    def denoise(x: Tensor, t: float) -> Tensor:
        time = torch.tensor(t, dtype=torch.float64)
        s, n = float(noising.signal(time)), float(noising.noise(time))
        return MEAN + SPREAD**2 * s / (s**2 * SPREAD**2 + n**2) * (x - s * MEAN)

    return denoise


def drawn(name: str, noising: Noising, steps: int, count: int = 1_000) -> tuple[Tensor, Tensor]:
    """Noise, and the pictures that come of it."""
    source = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 1, dtype=torch.float64, generator=source)

    def fresh(step: int) -> Tensor:
        return torch.randn(count, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(step + 1))

    *_, last = sampled(seen(noising), noising, noise, Drawing(name, steps, 1.0, fresh))
    return noise, last.x


def error(name: str, noising: Noising, steps: int) -> float:
    noise, found = drawn(name, noising, steps)
    return float((found - MEAN - SPREAD * noise).abs().mean())


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["ddim", "dpm", "heun"])
def test_without_fresh_noise_the_paper_solution_is_reached(name: str, schedule: str) -> None:
    assert error(name, Noising(schedule), 400) < 5e-3


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["ddpm", "euler-ancestral"])
def test_with_fresh_noise_the_distribution_is_reached(name: str, schedule: str) -> None:
    _, found = drawn(name, Noising(schedule), 400, count=20_000)
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.01)
    assert float(found.std()) == pytest.approx(SPREAD, rel=0.05)


def test_the_second_order_needs_fewer_evaluations_than_the_first() -> None:
    noising = Noising("cosine")
    assert error("dpm", noising, 40) < 0.5 * error("ddim", noising, 40)
    assert error("heun", noising, 80) < 0.5 * error("ddim", noising, 80)


@pytest.mark.parametrize(("name", "share"), [("ddim", (0.4, 0.6)), ("dpm", (0.0, 0.35)), ("heun", (0.1, 0.35))])
def test_errors_fall_with_the_step_or_with_its_square(name: str, share: tuple[float, float]) -> None:
    low, high = share
    assert low < error(name, Noising("cosine"), 80) / error(name, Noising("cosine"), 40) < high


@pytest.mark.parametrize("name", list(SAMPLERS))
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50])
def test_steps_are_evaluations_of_the_network(name: str, steps: int) -> None:
    noising, counted = Noising("cosine"), []

    def denoise(x: Tensor, t: float) -> Tensor:
        counted.append(t)
        return seen(noising)(x, t)

    noise = torch.randn(4, 1, dtype=torch.float64)
    *_, last = sampled(denoise, noising, noise, Drawing(name, steps, 1.0))
    assert torch.isfinite(last.x).all()
    assert steps - 1 <= len(counted) <= steps + 1 if name == "heun" else len(counted) == steps


def test_steps_taken_again_leave_the_distribution_as_it_is() -> None:
    noising, counted = Noising("cosine"), []
    source = torch.Generator().manual_seed(0)

    def denoise(x: Tensor, t: float) -> Tensor:
        counted.append(t)
        return seen(noising)(x, t)

    def fresh(step: int) -> Tensor:
        return torch.randn(20_000, 1, dtype=torch.float64, generator=source)

    *_, last = sampled(denoise, noising, fresh(0), Drawing("ddpm", 100, 1.0, fresh, again=3))
    assert len(counted) == 3 * 99 + 1  # the last step ends at the picture, from which there is no way back
    assert float(last.x.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(last.x.std()) == pytest.approx(SPREAD, rel=0.1)


def test_all_of_them_end_at_the_picture_that_the_network_sees() -> None:
    noising, picture = Noising("cosine"), torch.full((2, 1), 0.25, dtype=torch.float64)
    noise = torch.randn(2, 1, dtype=torch.float64)
    for name in SAMPLERS:
        *_, last = sampled(lambda x, t: picture, noising, noise, Drawing(name, 10, 1.0))
        torch.testing.assert_close(last.x, picture, msg=name, rtol=1e-4, atol=1e-4)


def test_times_go_down_from_noise_to_the_picture() -> None:
    for grid in (even, dense):
        moments = grid(Noising("cosine"), 12)
        times = [moment.time for moment in moments]
        assert len(moments) == 13
        assert times == sorted(times, reverse=True)
        assert moments[-1].noise == pytest.approx(0.0, abs=1e-6)
    assert even(Noising("cosine"), 4)[0].signal == pytest.approx(0.0, abs=1e-9)


def test_what_just_began_has_some_noise() -> None:
    assert 0 < begun(Noising("cosine")).noise < 0.1
