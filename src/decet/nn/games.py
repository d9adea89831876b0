"""What the two players of a GAN lose, and what the slope of a critic costs it.

A critic says D(x) of real pictures x and of drawn ones x', any numbers; f(t) = log(1 + e^t):

                       critic                              generator
    "vanilla"          mean f(-D(x)) + mean f(D(x'))       mean f(-D(x'))             Goodfellow et al., 1406.2661
    "hinge"            mean (1 - D(x))+ + (1 + D(x'))+     mean -D(x')                Lim & Ye, 1705.02894
    "wasserstein"      mean D(x') - D(x)                   mean -D(x')                Arjovsky et al., 1701.07875
    "relativistic"     mean f(D(x') - D(x))                mean f(D(x) - D(x'))       Jolicoeur-Martineau, 1807.00734

"vanilla" is the generator's non-saturating form. Relativistic losses are of pairs, one real and one drawn (2501.05441).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LOSSES = ("relativistic", "vanilla", "hinge", "wasserstein")
TINY = 1e-12  # added to a slope's square, for a length of zero has no gradient


def critic_loss(loss: str | None, real: Tensor, drawn: Tensor) -> Tensor:
    """What the critic loses that says these of real and of drawn pictures (B,)."""
    match loss:
        case "vanilla":
            return F.softplus(-real).mean() + F.softplus(drawn).mean()
        case "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + drawn).mean()
        case "wasserstein":
            return drawn.mean() - real.mean()
        case _:
            return F.softplus(drawn - real).mean()


def generator_loss(loss: str | None, real: Tensor, drawn: Tensor) -> Tensor:
    """What the generator loses; what is said of real pictures counts in pairs alone."""
    match loss:
        case "vanilla":
            return F.softplus(-drawn).mean()
        case "hinge" | "wasserstein":
            return -drawn.mean()
        case _:
            return F.softplus(real - drawn).mean()


def told_right(real: Tensor, drawn: Tensor) -> Tensor:
    """The share of pairs whose real picture is held to be the more real one, ties by half: 0.5 = by chance, 1 = all."""
    return ((real > drawn).float() + (real >= drawn).float()).mean() / 2


def squared_slopes(said: Tensor, pictures: Tensor) -> Tensor:
    """|dD/dx|^2 (B,) of what was said (B,) of each picture; it has gradients itself.

    Its mean at real or at drawn pictures, times gamma / 2, is the penalty R1 or R2 (Mescheder et al., 1801.04406).
    """
    (slope,) = torch.autograd.grad(said.sum(), pictures, create_graph=True)
    return slope.float().square().sum((1, 2, 3))


def off_one(squared: Tensor) -> Tensor:
    """Mean of (|dD/dx| - 1)^2 out of squared slopes (B,), the penalty of WGAN-GP (Gulrajani et al., 1704.00028)."""
    return ((squared + TINY).sqrt() - 1).square().mean()


def between(real: Tensor, drawn: Tensor) -> Tensor:
    """Pictures anywhere on the lines from drawn to real ones, ready to be asked for slopes: where that penalty is."""
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    return torch.lerp(drawn, real, share).detach().requires_grad_()
