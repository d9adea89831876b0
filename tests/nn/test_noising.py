"""Noising: its closed forms, against the papers' own and against what is drawn."""

from __future__ import annotations

import math

import pytest
import torch

from decet.nn.noising import PREDICTIONS, SCHEDULES, Noising, spread

TIMES = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
ALL = [Noising(schedule, terminal) for schedule in SCHEDULES for terminal in (True, False)]


def named(noising: Noising) -> str:
    return f"{noising.schedule}{'-terminal' if noising.terminal else ''}"


@pytest.mark.parametrize("noising", ALL, ids=named)
def test_it_begins_with_the_picture_and_goes_down_to_noise(noising: Noising) -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert noising.signal(ends)[0] == pytest.approx(1.0)
    assert noising.noise(ends)[0] == pytest.approx(0.0, abs=1e-6)
    assert (noising.signal(TIMES).diff() < 0).all()
    assert (noising.noise(TIMES).diff() > 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_zero_terminal_snr_leaves_nothing_of_the_picture(schedule: str) -> None:
    assert float(Noising(schedule, terminal=True).signal(torch.ones(1))) == pytest.approx(0.0, abs=1e-6)


def test_ddpms_and_the_cosines_last_signal_is_small_but_there() -> None:
    assert float(Noising("linear", terminal=False).signal(torch.ones(1))) == pytest.approx(0.00635, abs=1e-3)
    assert 0 < float(Noising("cosine", terminal=False).signal(torch.ones(1))) < 0.005


def test_the_linear_schedule_is_ddpms_in_the_limit_of_many_steps() -> None:
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = (1 - betas).cumprod(0).sqrt()  # root of alpha bar, Ho et al.
    ours = Noising("linear", terminal=False).signal(torch.arange(1, 1001, dtype=torch.float64) / 1000)
    torch.testing.assert_close(ours, kept, rtol=0.06, atol=1e-3)


def test_the_cosine_is_nichol_and_dhariwals() -> None:
    def f(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    expected = torch.tensor([math.sqrt(f(float(t)) / f(0.0)) for t in TIMES], dtype=torch.float64)
    torch.testing.assert_close(Noising("cosine").signal(TIMES), expected)


@pytest.mark.parametrize("noising", ALL, ids=named)
def test_what_is_mixed_has_the_mean_and_variance_of_the_closed_form(noising: Noising) -> None:
    torch.manual_seed(0)
    t = torch.full((200_000,), 0.3)
    mixed = noising.mixed(torch.full((200_000, 1), 0.7), torch.randn(200_000, 1), t)
    assert float(mixed.mean()) == pytest.approx(0.7 * float(noising.signal(t)[0]), abs=5e-3)
    assert float(mixed.var()) == pytest.approx(float(noising.noise(t)[0]) ** 2, rel=0.02)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("noising", ALL, ids=named)
def test_the_picture_comes_back_from_whatever_is_told(noising: Noising, prediction: str) -> None:
    torch.manual_seed(1)
    pictures, noise = torch.rand(25, 1, 4, 4, dtype=torch.float64), torch.randn(25, 1, 4, 4, dtype=torch.float64)
    x = noising.mixed(pictures, noise, TIMES)
    told = noising.asked(pictures, noise, TIMES, prediction)
    torch.testing.assert_close(noising.picture(x, told, TIMES, prediction), pictures)


@pytest.mark.parametrize("noising", ALL, ids=named)
def test_the_velocity_points_where_the_mixture_goes(noising: Noising) -> None:
    pictures, noise = torch.tensor([[0.8]], dtype=torch.float64), torch.tensor([[-1.3]], dtype=torch.float64)
    t, step = torch.tensor([0.4], dtype=torch.float64), 1e-6
    slope = (noising.mixed(pictures, noise, t + step) - noising.mixed(pictures, noise, t - step)) / (2 * step)
    velocity = noising.asked(pictures, noise, t, "velocity")
    speed = (noising.noise(t + step) - noising.noise(t - step)) / (2 * step) / noising.slopes(t)[1]
    torch.testing.assert_close(slope, velocity * speed, rtol=1e-4, atol=1e-6)


def test_weights_are_min_snrs() -> None:
    noising, t = Noising("cosine", terminal=False), torch.tensor([0.1, 0.5, 0.9])
    snr = (noising.signal(t) / noising.noise(t)) ** 2
    capped = snr.clamp(max=5.0)
    torch.testing.assert_close(noising.weight(t, "picture", 5.0), capped)
    torch.testing.assert_close(noising.weight(t, "noise", 5.0), capped / snr)
    torch.testing.assert_close(noising.weight(t, "velocity", 5.0), (capped + 1) / (snr + 1))


@pytest.mark.parametrize("noising", ALL, ids=named)
def test_the_time_of_a_ratio_is_found_again(noising: Noising) -> None:
    ratio = noising.noise(TIMES) / noising.signal(TIMES)
    torch.testing.assert_close(noising.time(ratio), TIMES, rtol=1e-6, atol=1e-6)


def test_times_are_spread_evenly_over_a_batch() -> None:
    torch.manual_seed(2)
    found = spread(100, torch.device("cpu")).sort().values
    parts = torch.arange(100) / 100
    assert ((found >= parts) & (found <= parts + 0.01)).all()


def test_normal_times_lie_in_the_middle() -> None:
    torch.manual_seed(3)
    found = spread(10_000, torch.device("cpu"), normal=True)
    logits = torch.logit(found)
    assert float(logits.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(logits.std()) == pytest.approx(1.0, abs=0.02)
