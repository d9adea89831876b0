"""DQN: a deep Q-network. It learns what each action is worth, from what was met and kept, and takes the best.

    repeat:  act by Q, some actions at random; keep (s, a, r, s')
             draw (s, a, r_1 .. r_n, s') from memory
             y = r_1 + c r_2 + .. + c^n max_a' Q'(s', a')          Q' a copy of Q that follows slowly
             take a step down the gradient of huber(Q(s, a) - y)

`double` chooses a' by Q and weighs it by Q', against over-estimation; `dueling` splits Q into a state's worth and an
action's advantage; `lookahead` is n; `quantiles` learns the distribution of returns instead of its mean; `munchausen`
adds how sure the policy was of its action to the reward. Actions of several columns (joints) have a head each, whose
mean is their worth together (DecQN), so that seven joints need seven heads and not 3^7 outputs.

References: DQN Mnih et al., Nature 518, 2015; double 1509.06461; dueling 1511.06581; n steps and Rainbow 1710.02298;
quantiles (QR-DQN) 1710.10044; Munchausen 2007.14430; DecQN 2210.12566; slow copies 1509.02971.

Reads vectors and pictures, by a body of another family. Good at: few actions, rewards that come soon. Weak at: rewards
that hardly ever come (nothing here explores on purpose), joints that need finer torques than a few values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Batch, Body, Clock, ImageSpec, LabelSpec, Learner, Loss, TableSpec
from decet.errors import BadInput, check_choice, check_range
from decet.families.cnn import CNN
from decet.families.dnn import DNN
from decet.families.lstm import LSTM
from decet.families.resnet import ResNet
from decet.settings import check_whole, joined

CLIPPED = -1.0  # of Munchausen's logarithm, at least
TEMPERATURE = 0.03  # of its policy, as published


@dataclass(frozen=True)
class DQN:
    """The method. None = not said: the cell of the map, then the fallback decides.

    network: the body's settings (DNN of vectors, CNN of pictures).
    double: choose by the network, weigh by its slow copy. dueling: a state's worth and advantages apart.
    lookahead: steps of rewards in a target. quantiles: of the distribution of returns; 0 learns the mean.
    munchausen: how much of the policy's sureness joins the reward; 0 = none.
    memory: steps that are kept. warmup: steps at random before learning. ratio: steps of learning for each of the
        environment's, all copies together.
    explore: share of random actions from `fade` (a share of the run) on; it falls there from 1.
    persist: how long a random action is held on to: k steps with a chance as k^-persist (2006.01782); 0: one step.
    follow: how the copy follows the network: below 1 the share that it takes over each step, else all of it each so
        many steps.
    """

    network: Any = None
    double: bool | None = None
    dueling: bool | None = None
    lookahead: int | None = None
    quantiles: int | None = None
    munchausen: float | None = None
    memory: int | None = None
    warmup: int | None = None
    ratio: float | None = None
    explore: float | None = None
    fade: float | None = None
    persist: float | None = None
    follow: float | None = None

    reads: ClassVar[tuple[type, ...]] = (TableSpec, ImageSpec)
    bodies: ClassVar[dict[str, tuple[type, ...]]] = {"network": (DNN, CNN, ResNet, LSTM)}

    def __post_init__(self) -> None:
        if self.network is not None and (isinstance(self.network, type) or not hasattr(self.network, "encoder")):
            raise BadInput(f"network must be settings of a body, as DNN(width=64). Received: {self.network!r}.")
        check_choice("double", self.double, (True, False))
        check_choice("dueling", self.dueling, (True, False))
        check_whole(self, ("lookahead",), 1, 1_000)
        check_whole(self, ("quantiles",), 0, 1_000)
        check_range("munchausen", self.munchausen, 0.0, 1.0)
        check_whole(self, ("memory",), 2, 1_000_000_000)
        check_whole(self, ("warmup",), 0, 1_000_000_000)
        check_range("ratio", self.ratio, 1e-6, 1e3)
        check_range("explore", self.explore, 0.0, 1.0)
        check_range("fade", self.fade, 0.0, 1.0)
        if self.persist is not None and self.persist != 0.0:
            check_range("persist", self.persist, 1.01, 100.0)
        check_range("follow", self.follow, 1e-6, 1e9)

    @classmethod
    def plain(cls) -> DQN:
        """As of 2015: no double, dueling or further steps; the copy replaced each so many steps."""
        return cls(double=False, dueling=False, lookahead=1, quantiles=0, munchausen=0.0, follow=500)

    @classmethod
    def rainbow(cls) -> DQN:
        """What Rainbow puts together, as far as it is here: double, dueling, three steps, a distribution."""
        return cls(double=True, dueling=True, lookahead=3, quantiles=51)

    def settled(self) -> DQN:
        """These settings, and what is usual for what they leave open."""
        return joined(self, FALLBACK)

    def learner(self, spec: Any, answer: LabelSpec) -> QLearner:
        """The learner of an environment that shows `spec` and takes `answer`'s choices."""
        settings = self.settled()
        if settings.network is None:
            raise BadInput("a DQN needs a network: settings of a body, as DNN(width=64).")
        if settings.munchausen and len(answer.classes) > 1:
            raise BadInput("munchausen is of one choice, and this environment takes several at once. Leave it out.")
        body = settings.network.encoder(spec)
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in body.modules()):
            raise BadInput("batch norm follows what is played, and the values with it: say norm='none' of the network.")
        return QLearner(body, answer, settings)


FALLBACK = DQN(
    double=True,
    dueling=False,
    lookahead=3,
    quantiles=0,
    munchausen=0.0,
    memory=100_000,
    warmup=1_000,
    ratio=0.25,
    explore=0.05,
    fade=0.2,
    persist=0.0,
    follow=200,
)


class QNetwork(nn.Module):
    """inputs -> what each choice of each column is worth (B, J, K, N), N quantiles; choices that are none: -inf."""

    def __init__(self, body: Body, answer: LabelSpec, quantiles: int, dueling: bool):
        super().__init__()
        self.columns, self.most, self.quantiles = len(answer.classes), max(answer.classes), max(1, quantiles)
        self.body = body
        self.head = nn.Linear(body.summary_width, self.columns * self.most * self.quantiles)
        self.worth = nn.Linear(body.summary_width, self.columns * self.quantiles) if dueling else None
        self.choices, self.uneven = answer.classes, len(set(answer.classes)) > 1

    def forward(self, inputs: tuple[Any, ...]) -> Tensor:
        pooled = self.body(inputs).pooled()[:, 0]
        found = self.head(pooled).float().view(-1, self.columns, self.most, self.quantiles)
        there = self._there(found.device) if self.uneven else None
        if self.worth is not None:
            shares = torch.full_like(found[0, :, :, :1], 1 / self.most) if there is None else there / there.sum(1, True)
            mean = (found * shares).sum(2, keepdim=True)
            found = found - mean + self.worth(pooled).float().view(-1, self.columns, 1, self.quantiles)
        return found if there is None else found.masked_fill(~there, -torch.inf)

    def _there(self, device: torch.device) -> Tensor:
        """Which choices there are (J, K, 1)."""
        counts = torch.tensor(self.choices, device=device).view(-1, 1, 1)
        return torch.arange(self.most, device=device).view(1, -1, 1) < counts


class QLearner(Learner):
    """The box above. values and predict: inputs -> (B, J, K), each choice's worth."""

    def __init__(self, body: Body, answer: LabelSpec, settings: DQN):
        super().__init__()
        self.settings = settings
        self.network = QNetwork(body, answer, settings.quantiles or 0, bool(settings.dueling))
        self.copies: list[QNetwork] = []  # the slow copy, which is no part of the model

    @property
    def body(self) -> Body:
        return self.network.body

    def values(self, inputs: tuple[Any, ...]) -> Tensor:
        found: Tensor = self.network(inputs).mean(-1)
        return found

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.values(inputs)

    @property
    def slow(self) -> QNetwork:
        """The slow copy of the network."""
        if not self.copies:
            self.copies.append(copy.deepcopy(self.network).requires_grad_(False).eval())
        return self.copies[0]

    def loss(self, batch: Batch, phase: str) -> Loss:
        chosen, reward, discount, then = batch.target
        said = of_choices(self.network(batch.inputs), chosen)  # (B, N)
        with torch.no_grad():
            wanted = self._wanted(batch.inputs, chosen, reward, discount, then)  # (B, N)
        total = quantile_huber(said, wanted) if self.settings.quantiles else F.smooth_l1_loss(said, wanted)
        return Loss(total, {"value": said.detach().mean()})

    def _wanted(self, inputs: Any, chosen: Tensor, reward: Tensor, discount: Tensor, then: Any) -> Tensor:
        """What the values should have been (B, N)."""
        slow, ahead = self.slow, discount.unsqueeze(1)
        future = slow(then)
        if not self.settings.munchausen:
            judge = self.network(then) if self.settings.double else future
            return reward.unsqueeze(1) + ahead * of_choices(future, judge.mean(-1).argmax(-1))
        now, later = (found.mean(-1)[:, 0] / TEMPERATURE for found in (slow(inputs), future))  # (B, K)
        sure = TEMPERATURE * now.log_softmax(-1).gather(1, chosen).clamp(CLIPPED / TEMPERATURE)
        bonus = self.settings.munchausen * sure.clamp(CLIPPED, 0.0)
        policy, doubt = later.softmax(-1), TEMPERATURE * later.log_softmax(-1)
        worth = (policy.unsqueeze(-1) * (future[:, 0] - doubt.unsqueeze(-1))).sum(1)
        return reward.unsqueeze(1) + bonus + ahead * worth

    def after_step(self, clock: Clock) -> None:
        share = self.settings.follow or 1.0
        if share >= 1.0:
            share = float((clock.step + 1) % round(share) == 0)
        if share:
            mine = [tensor.detach() for tensor in self.network.state_dict().values() if tensor.is_floating_point()]
            its = [tensor for tensor in self.slow.state_dict().values() if tensor.is_floating_point()]
            torch._foreach_lerp_(its, mine, share)

    def state(self) -> dict[str, Any]:
        return {"slow": self.slow.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.slow.load_state_dict(state["slow"])


def of_choices(values: Tensor, chosen: Tensor) -> Tensor:
    """Values (B, J, K, N) of the choices (B, J): the mean over columns (B, N)."""
    where = chosen[:, :, None, None].expand(-1, -1, 1, values.shape[-1])
    return values.gather(2, where).squeeze(2).mean(1)


def quantile_huber(said: Tensor, wanted: Tensor) -> Tensor:
    """Huber's loss of each quantile said (B, N) against each wanted (B, N), tilted by its share (1710.10044)."""
    count = said.shape[1]
    shares = (torch.arange(count, device=said.device) + 0.5) / count
    apart = wanted.unsqueeze(1) - said.unsqueeze(2)  # (B, N said, N wanted)
    tilt = (shares.view(1, -1, 1) - (apart.detach() < 0).float()).abs()
    size = F.smooth_l1_loss(apart, torch.zeros_like(apart), reduction="none")
    return (tilt * size).mean(2).sum(1).mean()
