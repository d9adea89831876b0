"""Judging while learning: a text is told better by who takes up, as it goes along, what it has already said.

Dynamic evaluation (Krause et al., 1709.07432): after each segment, which is judged first, the weights take a step
against its loss, and are drawn back towards those that were learned:

    w <- w - rate g / rms(g) + DECAY (w_0 - w)          rms: of each tensor's gradient, in the long run

Neural cache (Grave et al., 1612.04426): the last positions are remembered, each with the token that came next; what
came next where the network stood alike is likelier now:

    p = (1 - SHARE) p_network + SHARE p_cache;   p_cache(w) ~ sum over remembered i, x_i = w, of exp(SHARP cos(h, h_i))

Differs from the papers: gradients are scaled by one number a tensor, found on the way, not by statistics of the
training texts, which a model does not carry; states are compared by their angle, so that SHARP suits all networks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from decet.errors import check_range
from decet.tasks.language import Writer

SEGMENT = 64  # tokens between two steps
DECAY = 0.002
LONG = 0.99  # of the mean of squared gradients
SHARE, SHARP = 0.1, 12.0


def adapted(learner: Writer, ids: Tensor, rate: float = 0.0, cache: int = 0) -> tuple[Tensor, Tensor]:
    """Of every token but the first its -log probability (n - 1,), and whether it was the network's likeliest.

    rate: of dynamic evaluation, 0 = off; the weights are the learned ones again afterwards. cache: positions that are
    remembered, 0 = off. The text is read from end to end: what is judged never was learned from before.
    """
    check_range("adapt", rate, 0.0, 1.0)
    check_range("cache", cache, 0, 1 << 20, whole=True)
    learner.eval()
    moving = _Moving(learner, rate) if rate else None
    memory = _Memory(cache) if cache else None
    found, likeliest = torch.zeros(len(ids) - 1), torch.zeros(len(ids) - 1, dtype=torch.bool)
    try:
        for begin, tokens, judged, state in _segments(learner, ids):
            with torch.set_grad_enabled(moving is not None):
                features, after = learner.decoder(tokens[:, :-1], state)
                values, asked = features.values[0, judged:], tokens[0, judged + 1 :]
                logits = learner.logits(values).float()
                each = F.cross_entropy(logits, asked, reduction="none")
            places = slice(begin, begin + len(asked))
            found[places] = (each if memory is None else memory.helped(each, values, asked)).detach().cpu()
            likeliest[places] = (logits.argmax(1) == asked).cpu()
            if moving is not None:
                moving.step(each.mean())
            state.tensors = after.detach().tensors
    finally:
        if moving is not None:
            moving.back()
    return found, likeliest


def _segments(learner: Writer, ids: Tensor) -> Any:
    """The stream in segments: where each begins, its tokens (1, T + 1) with those before that are read along, how many
    these are, and the state to go on from, which whoever takes them replaces."""
    device, context, count = learner.bias.device, learner.decoder.context, len(ids) - 1
    state = learner.decoder.start(None, 1)
    step = SEGMENT if context is None else max(1, min(SEGMENT, context // 2))
    for begin in range(0, count, step):
        end = min(begin + step, count)
        before = 0 if context is None else min(begin, context - (end - begin))
        tokens = ids[begin - before : end + 1].unsqueeze(0).to(device, torch.int64)
        yield begin, tokens, before, state
        if context is not None:
            state = learner.decoder.start(None, 1)


class _Moving:
    """Weights that move with a text, and back."""

    def __init__(self, learner: Writer, rate: float) -> None:
        self.parameters = [p for p in learner.parameters() if p.requires_grad]
        self.learned = [p.detach().clone() for p in self.parameters]
        self.squares = [torch.zeros((), device=p.device) for p in self.parameters]
        self.rate, self.steps = rate, 0

    def step(self, loss: Tensor) -> None:
        grads = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        self.steps += 1
        known = 1.0 - LONG**self.steps
        with torch.no_grad():
            for p, first, square, g in zip(self.parameters, self.learned, self.squares, grads, strict=True):
                if g is None:
                    continue
                square.lerp_(g.square().mean(), 1.0 - LONG)
                scale = float((square / known).sqrt()) + 1e-12
                p.add_(g, alpha=-self.rate / scale).lerp_(first, DECAY)

    def back(self) -> None:
        with torch.no_grad():
            for p, first in zip(self.parameters, self.learned, strict=True):
                p.copy_(first)


class _Memory:
    """The last positions, and what came next."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.states = torch.empty(0)
        self.tokens = torch.empty(0, dtype=torch.int64)

    @torch.no_grad()
    def helped(self, each: Tensor, values: Tensor, asked: Tensor) -> Tensor:
        """-log probabilities (T,) of tokens asked, mixed with what is remembered; then they are remembered too."""
        now = F.normalize(values.detach().float(), dim=1)
        states = torch.cat([self.states.to(now), now]) if len(self.states) else now
        tokens = torch.cat([self.tokens.to(asked.device), asked])
        old, steps = len(tokens) - len(asked), torch.arange(len(asked), device=asked.device)
        places = torch.arange(len(tokens), device=asked.device)
        ends = old + steps.unsqueeze(1)  # what stands before each position
        seen = (places < ends) & (places >= ends - self.most)
        weights = (SHARP * (now @ states.t())).masked_fill(~seen, -torch.inf).softmax(1).nan_to_num()
        chance = (weights * (tokens == asked.unsqueeze(1))).sum(1)
        share = SHARE * seen.any(1)
        self.states, self.tokens = states[-self.most :], tokens[-self.most :]
        return -((1.0 - share) * (-each.detach()).exp() + share * chance).clamp(min=1e-38).log()
