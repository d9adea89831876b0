"""What the players of a GAN lose, worked by hand; slopes are autograd's, and have gradients themselves."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from decet.nn.games import LOSSES, between, critic_loss, generator_loss, off_one, squared_slopes, told_right

REAL, DRAWN = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])


def f(t: float) -> float:
    return math.log1p(math.exp(t))


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("vanilla", (f(-2) + f(-0.5) + f(-3) + f(1)) / 2, (f(3) + f(-1)) / 2),
        ("hinge", (0 + 0.5 + 0 + 2) / 2, 1.0),
        ("wasserstein", -1.0 - 1.25, 1.0),
        ("relativistic", (f(-5) + f(0.5)) / 2, (f(5) + f(-0.5)) / 2),
    ],
)
def test_losses_are_their_papers(loss: str, critic: float, generator: float) -> None:
    assert loss in LOSSES
    assert float(critic_loss(loss, REAL, DRAWN)) == pytest.approx(critic)
    assert float(generator_loss(loss, REAL, DRAWN)) == pytest.approx(generator)


def test_a_critic_that_tells_nothing_tells_a_half_right() -> None:
    assert float(told_right(REAL, DRAWN)) == 0.5
    assert float(told_right(REAL, REAL)) == 0.5
    assert float(told_right(REAL, REAL - 1)) == 1.0


def cubes(pictures: Tensor, scale: Tensor) -> Tensor:
    """D(x) = a sum of x^3, whose slope is 3 a x^2."""
    return scale * pictures.pow(3).sum((1, 2, 3))


def test_slopes_and_their_gradient() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 0.0]).view(2, 1, 1, 2).requires_grad_()
    a = torch.tensor(2.0, requires_grad=True)
    squared = squared_slopes(cubes(x, a), x)
    by_hand = [9 * 4 * (1 + 16), 9 * 4 * 81]
    assert squared.tolist() == by_hand
    (of_a,) = torch.autograd.grad(squared.sum(), a)
    assert float(of_a) == sum(by_hand) * 2 / 2  # of a^2 c it is 2 a c


def test_slopes_of_one_cost_nothing() -> None:
    assert float(off_one(torch.tensor([1.0, 9.0]))) == pytest.approx(2.0)
    flat = torch.zeros(2, requires_grad=True)
    off_one(flat).backward()
    assert torch.isfinite(flat.grad).all()


def test_lines_go_from_drawn_to_real_pictures() -> None:
    torch.manual_seed(0)
    real, drawn = torch.ones(200, 1, 2, 2), -torch.ones(200, 1, 2, 2)
    lines = between(real, drawn)

    assert lines.requires_grad
    assert torch.equal(lines.amin((1, 2, 3)), lines.amax((1, 2, 3)))  # one place a picture
    assert float(lines.min()) >= -1
    assert float(lines.max()) <= 1
    assert abs(float(lines.mean())) < 0.15
