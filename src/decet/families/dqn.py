"""DQN: a deep Q-network. It learns what each action is worth, from what was met and kept, and takes the best.

    repeat:  act by Q, some actions at random; keep (s, a, r, s')
             draw (s, a, r_1 .. r_n, s') from memory
             y = r_1 + c r_2 + .. + c^n max_a' Q'(s', a')          Q' a copy of Q that follows slowly
             take a step down the gradient of huber(Q(s, a) - y)

`double` chooses a' by Q and weighs it by Q', against over-estimation; `dueling` splits Q into a state's worth and an
action's advantage; `lookahead` is n; `priority` draws more often what was most wrong; `quantiles` learns the
distribution of returns instead of its mean; `noisy` explores by noise in the weights; `munchausen` adds how sure the
policy was of its action to the reward. Actions of several columns (joints) have a head each, whose mean is their worth
together (DecQN), so that seven joints need seven heads and not 3^7 outputs. Without memory (PQN) many copies play for
`lookahead` steps, which are learned from at once. What others played is learned from first, with actions that nobody
took held down (CQL), then a half of each batch is drawn from it (RLPD).

References: DQN Mnih et al., Nature 518, 2015; double 1509.06461; dueling 1511.06581; n steps and Rainbow 1710.02298;
priorities 1511.05952; quantiles (QR-DQN) 1710.10044; noisy nets 1706.10295; Munchausen 2007.14430; DecQN 2210.12566;
slow copies 1509.02971; PQN 2407.04811; CQL 2006.04779; RLPD 2302.02948.

Reads vectors and pictures, by a body of another family; a body that reads series (LSTM) sees the latest frames one
after the other. Good at: few actions, rewards that come soon. Weak at: rewards that hardly ever come (nothing here
explores on purpose), joints that need finer torques than a few values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Batch, Body, Clock, ImageSpec, LabelSpec, Learner, Loss, SeriesSpec, TableSpec
from decet.errors import BadInput, check_choice, check_range, listed
from decet.families.cnn import CNN
from decet.families.dnn import DNN
from decet.families.lstm import LSTM
from decet.families.resnet import ResNet
from decet.nn.noisy import NoisyLinear, noised
from decet.settings import check_whole, joined

CLIPPED = -1.0  # of Munchausen's logarithm, at least
TEMPERATURE = 0.03  # of its policy, as published
QUIET = {  # what a network is where it does not say
    DNN: DNN(norm="none", dropout=0.0),
    CNN: CNN(norm="none", dropout=0.0),
    ResNet: ResNet(norm="none", dropout=0.0),
    LSTM: LSTM(dropout=0.0, weight_dropout=0.0, word_dropout=0.0),
}
OF_MEMORY = ("priority", "quantiles", "munchausen")


@dataclass(frozen=True)
class DQN:
    """The method. None = not said: the cell of the map, then the fallback decides.

    network: the body's settings (DNN of vectors, CNN of pictures; an LSTM of the latest vectors).
    double: choose by the network, weigh by its slow copy. dueling: a state's worth and advantages apart.
    lookahead: steps of rewards in a target; without memory the steps that are played before learning from them.
    priority: exponent of errors by which transitions are drawn; 0: all alike.
    quantiles: of the distribution of returns; 0 learns the mean.
    noisy: size of the noise in the weights when training begins; 0 = none.
    munchausen: how much of the policy's sureness joins the reward; 0 = none.
    memory: steps that are kept; 0: none (PQN), what is played is learned from and forgotten.
    trace: without memory, how much of a target comes from further steps, 0 to 1 (lambda).
    warmup: steps at random before learning. ratio: steps of learning for each of the environment's, all copies
        together.
    explore, fade: share of random actions, which falls from 1 to `explore` over the share `fade` of the run.
    persist: how long a random action is held on to by each fourth copy: k steps with a chance as k^-persist
        (2006.01782), so that some explore far and some near; 0: one step.
    follow: how the copy follows the network: below 1 the share that it takes over each step, else all of it each so
        many steps.
    cautious: of learning from what others played, how much actions that they did not take are held down.
    """

    network: Any = None
    double: bool | None = None
    dueling: bool | None = None
    lookahead: int | None = None
    priority: float | None = None
    quantiles: int | None = None
    noisy: float | None = None
    munchausen: float | None = None
    memory: int | None = None
    trace: float | None = None
    warmup: int | None = None
    ratio: float | None = None
    explore: float | None = None
    fade: float | None = None
    persist: float | None = None
    follow: float | None = None
    cautious: float | None = None

    reads: ClassVar[tuple[type, ...]] = (TableSpec, ImageSpec, SeriesSpec)
    bodies: ClassVar[dict[str, tuple[type, ...]]] = {"network": (DNN, CNN, ResNet, LSTM)}

    def __post_init__(self) -> None:
        self._check_network()
        check_choice("double", self.double, (True, False))
        check_choice("dueling", self.dueling, (True, False))
        check_whole(self, ("lookahead",), 1, 1_000)
        check_whole(self, ("quantiles",), 0, 1_000)
        check_range("munchausen", self.munchausen, 0.0, 1.0)
        check_range("priority", self.priority, 0.0, 1.0)
        check_range("noisy", self.noisy, 0.0, 10.0)
        check_range("trace", self.trace, 0.0, 1.0)
        check_range("cautious", self.cautious, 0.0, 1e3)
        check_whole(self, ("memory", "warmup"), 0, 1_000_000_000)
        check_range("ratio", self.ratio, 1e-6, 1e3)
        check_range("explore", self.explore, 0.0, 1.0)
        check_range("fade", self.fade, 0.0, 1.0)
        if self.persist is not None and self.persist != 0.0:
            check_range("persist", self.persist, 1.01, 100.0)
        check_range("follow", self.follow, 1e-6, 1e9)

    def _check_network(self) -> None:
        network = self.network
        if network is None:
            return
        if isinstance(network, type) or not hasattr(network, "encoder"):
            what = network.__name__ if isinstance(network, type) else type(network).__name__
            raise BadInput(f"network must be settings of a body, as DNN(width=64). Received: {what}.")
        if not set(network.reads) & set(self.reads):
            raise BadInput(
                f"{type(network).__name__} reads neither vectors, series nor pictures. "
                f"A network may be {listed(body.__name__ for body in self.bodies['network'])}."
            )

    @classmethod
    def plain(cls) -> DQN:
        """As of 2015: no double, dueling or further steps; the copy replaced each so many steps."""
        return cls(
            double=False, dueling=False, lookahead=1, priority=0.0, quantiles=0, noisy=0.0, munchausen=0.0, persist=0.0,
            follow=500,
        )  # fmt: skip

    @classmethod
    def rainbow(cls) -> DQN:
        """What Rainbow puts together (1710.02298), its distribution by quantiles instead of fixed values."""
        return cls(double=True, dueling=True, lookahead=3, priority=0.5, quantiles=51, noisy=0.5, explore=0.0, fade=0.0)

    @classmethod
    def parallel(cls) -> DQN:
        """PQN (2407.04811): no memory, no copy; say many copies (inputs.copies) and a network with norms of layers."""
        return cls(memory=0, lookahead=32, trace=0.65, warmup=0, ratio=1 / 32, double=False, persist=0.0)

    def settled(self) -> DQN:
        """These settings, and what is usual for what they leave open: a network without dropout, which would be noise
        in targets, and without norms of batches, which follow what is played."""
        found, network = joined(self, FALLBACK), self.network
        quiet = QUIET.get(type(network))
        return found if quiet is None else replace(found, network=joined(network, quiet))

    def learner(self, spec: Any, answer: LabelSpec, beside: int = 0) -> QLearner:
        """The learner of an environment that shows `spec`, `beside` numbers beside it, and takes `answer`'s choices."""
        settings = self.settled()
        if settings.network is None:
            raise BadInput("a DQN needs a network: settings of a body, as DNN(width=64).")
        if settings.munchausen and len(answer.classes) > 1:
            raise BadInput("munchausen is of one choice, and this environment takes several at once. Leave it out.")
        if not settings.memory and (settings.lookahead or 0) < 2:
            raise BadInput("without memory (memory=0) lookahead must be 2 or more: the steps that are learned from.")
        if not settings.memory and (known := [name for name in OF_MEMORY if getattr(settings, name)]):
            raise BadInput(f"{known[0]} needs replay memory, and memory=0 keeps none. Leave it out.")
        body = settings.network.encoder(spec)
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in body.modules()):
            raise BadInput("batch norm follows what is played, and the values with it: say norm='none' of the network.")
        return QLearner(body, answer, settings, beside)


FALLBACK = DQN(
    double=True,
    dueling=False,
    lookahead=3,
    priority=0.0,
    quantiles=0,
    noisy=0.0,
    munchausen=0.0,
    memory=100_000,
    trace=0.65,
    warmup=1_000,
    ratio=0.25,
    explore=0.01,
    fade=0.2,
    persist=1.5,
    follow=200,
    cautious=1.0,
)


class QNetwork(nn.Module):
    """inputs -> what each choice of each column is worth (B, J, K, N), N quantiles; choices that are none: -inf.

    beside: numbers (B, beside) that are the last of the inputs; a layer joins them to what the body says of the others.
    """

    def __init__(self, body: Body, answer: LabelSpec, settings: DQN, beside: int):
        super().__init__()
        self.columns, self.most, self.quantiles = len(answer.classes), max(answer.classes), settings.quantiles or 1
        self.body, width = body, body.summary_width
        self.join = nn.Sequential(nn.Linear(width + beside, width), nn.ReLU()) if beside else None
        self.head = nn.Linear(width, self.columns * self.most * self.quantiles)
        self.worth = nn.Linear(width, self.columns * self.quantiles) if settings.dueling else None
        self.choices, self.uneven = answer.classes, len(set(answer.classes)) > 1
        if settings.noisy:
            noised(self, settings.noisy)

    def forward(self, inputs: tuple[Any, ...]) -> Tensor:
        if self.join is None:
            pooled = self.body(inputs).pooled()[:, 0]
        else:
            pooled = self.join(torch.cat([self.body(inputs[:-1]).pooled()[:, 0], inputs[-1]], 1))
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

    def __init__(self, body: Body, answer: LabelSpec, settings: DQN, beside: int = 0):
        super().__init__()
        self.settings = settings
        self.network = QNetwork(body, answer, settings, beside)
        self.copies: list[QNetwork] = []  # the slow copy, which is no part of the model
        self.wrong: tuple[Tensor, Tensor] | None = None  # places of the last batch, and how wrong each was

    @property
    def body(self) -> Body:
        return self.network.body

    def values(self, inputs: tuple[Any, ...]) -> Tensor:
        return middle(self.network(inputs))

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.values(inputs)

    @property
    def slow(self) -> QNetwork:
        """The slow copy of the network."""
        if not self.copies:
            self.copies.append(copy.deepcopy(self.network).requires_grad_(False).eval())
            for part in self.copies[0].modules():
                if isinstance(part, NoisyLinear):
                    part.train()  # its noise is its own (1706.10295)
        return self.copies[0]

    def loss(self, batch: Batch, phase: str) -> Loss:
        return self.error(batch, self.network(batch.inputs))

    def error(self, batch: Batch, values: Tensor) -> Loss:
        """How wrong the values (B, J, K, N) of a batch are."""
        chosen, reward, discount, then = batch.target
        said = of_choices(values, chosen)  # (B, N)
        with torch.no_grad():
            wanted = reward.unsqueeze(1)
            if then is not None:
                wanted = self._wanted(batch.inputs, chosen, reward, discount, then)  # (B, N)
        each = quantile_huber(said, wanted) if self.settings.quantiles else huber(said, wanted)  # (B,)
        if batch.weight is not None and batch.rows is not None:
            apart = (wanted.mean(1) - said.mean(1)).abs() if not self.settings.quantiles else each
            self.wrong = batch.rows, apart.detach()
            each = each * batch.weight
        return Loss(each.mean(), {"value": said.detach().mean()})

    def errors(self) -> tuple[Any, Any] | None:
        """The places (B,) of the last batch in the memory, and how wrong each was; told once."""
        if self.wrong is None:
            return None
        rows, apart = self.wrong
        self.wrong = None
        return rows.cpu().numpy(), apart.float().cpu().numpy()

    def cautious(self) -> Cautious:
        """The learner of the same network from what others played."""
        return Cautious(self)

    def _wanted(self, inputs: Any, chosen: Tensor, reward: Tensor, discount: Tensor, then: Any) -> Tensor:
        """What the values should have been (B, N)."""
        slow, ahead = self.slow, discount.unsqueeze(1)
        future = slow(then)
        if not self.settings.munchausen:
            judge = self.network(then) if self.settings.double else future
            return reward.unsqueeze(1) + ahead * of_choices(future, middle(judge).argmax(-1))
        now, later = (middle(found)[:, 0] / TEMPERATURE for found in (slow(inputs), future))  # (B, K)
        sure = TEMPERATURE * now.log_softmax(-1).gather(1, chosen).clamp(CLIPPED / TEMPERATURE)
        bonus = self.settings.munchausen * sure.clamp(CLIPPED, 0.0)
        policy, doubt = later.softmax(-1), TEMPERATURE * later.log_softmax(-1)
        worth = (policy.unsqueeze(-1) * (future[:, 0] - doubt.unsqueeze(-1))).sum(1)
        return reward.unsqueeze(1) + bonus + ahead * worth

    def after_step(self, clock: Clock) -> None:
        if not self.settings.memory:
            return
        share = self.settings.follow or 1.0
        if share >= 1.0:
            share = float((clock.step + 1) % round(share) == 0)
        if share:
            mine = [tensor.detach() for tensor in self.network.state_dict().values() if tensor.is_floating_point()]
            its = [tensor for tensor in self.slow.state_dict().values() if tensor.is_floating_point()]
            torch._foreach_lerp_(its, mine, share)

    def state(self) -> dict[str, Any]:
        return {"slow": self.slow.state_dict()} if self.settings.memory else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.wrong = None
        if self.settings.memory:
            self.slow.load_state_dict(state["slow"])


class Cautious(QLearner):
    """Learns from what others played: actions that they did not take are held down (CQL, 2006.04779), since nobody
    would find out that they are worth less than the network says."""

    def __init__(self, learner: QLearner):
        nn.Module.__init__(self)
        self.settings, self.network, self.copies, self.wrong = learner.settings, learner.network, learner.copies, None

    def loss(self, batch: Batch, phase: str) -> Loss:
        values = self.network(batch.inputs)
        found, mean = self.error(batch, values), middle(values)  # (B, J, K)
        taken = mean.gather(2, batch.target[0].unsqueeze(2)).squeeze(2)
        above = (mean.logsumexp(2) - taken).mean()
        return Loss(found.total + (self.settings.cautious or 0.0) * above, {**found.parts, "above": above.detach()})


def middle(values: Tensor) -> Tensor:
    """What values (B, J, K, N) of N quantiles are in the mean (B, J, K)."""
    return values.squeeze(-1) if values.shape[-1] == 1 else values.mean(-1)


def of_choices(values: Tensor, chosen: Tensor) -> Tensor:
    """Values (B, J, K, N) of the choices (B, J): the mean over columns (B, N)."""
    where = chosen[:, :, None, None].expand(-1, -1, 1, values.shape[-1])
    return values.gather(2, where).squeeze(2).mean(1)


def huber(said: Tensor, wanted: Tensor) -> Tensor:
    """Huber's loss (B,) of what was said (B, N)."""
    return F.smooth_l1_loss(said, wanted.expand_as(said), reduction="none").mean(1)


def quantile_huber(said: Tensor, wanted: Tensor) -> Tensor:
    """Huber's loss (B,) of each quantile said (B, N) against each wanted (B, N), tilted by its share (1710.10044)."""
    count = said.shape[1]
    shares = (torch.arange(count, device=said.device) + 0.5) / count
    apart = wanted.unsqueeze(1) - said.unsqueeze(2)  # (B, N said, N wanted)
    tilt = (shares.view(1, -1, 1) - (apart.detach() < 0).float()).abs()
    size = F.smooth_l1_loss(apart, torch.zeros_like(apart), reduction="none")
    return (tilt * size).mean(2).sum(1)
