"""Language: what comes next? A distribution over the next token, and texts written token by token.

    loss = - mean over t of log p(token_t | tokens before)

Metrics, over every token of what is judged: loss (nats a token) and perplexity, its exponential, depend on how texts
are cut; bits_per_byte, the loss in bits over the bytes of the text in UTF-8, does not; lower is better. log_likelihood,
minus the loss, and accuracy of the likeliest token; higher is better.

Writing: the logits of tokens that were there lately are lowered (repetition penalty; Keskar et al., 1909.05858),
divided by the temperature, and of what is left only the likeliest are drawn from: the `top_k` first (Fan et al.,
1805.04833), those that make up `top_p` (nucleus; Holtzman et al., 1904.09751), those of at least `min_p` of the
likeliest one's probability (2407.01082).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decet.contracts import Batch, Decoder, Learner, Loss, State
from decet.errors import check_range
from decet.nn.vocabulary import AT_ONCE, answers

LANES = 16  # that a decoder without a limit reads what it is judged by in, at most
WARM = 4_096  # tokens of a lane, at least: each begins without knowing what came before
READ = 4_096  # tokens that are read together, where there are more of them than in 16 windows
STRETCH = 256  # tokens that are judged together
LATELY = 256  # tokens whose repetition is penalised

Array = NDArray[Any]


@dataclass(frozen=True)
class Language:
    """The question "what comes next?", and how it is answered in writing.

    temperature: 1 draws as the network says, less is safer, 0 takes the likeliest token always.
    top_k: tokens drawn from, at most. top_p: share of probability drawn from. min_p: share of the likeliest token's
        probability that a token must have.
    penalty: what logits of tokens that were there lately are divided by (multiplied, below 0); 1 = off.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    penalty: float | None = None

    higher: ClassVar[dict[str, bool]] = {
        "loss": False,
        "perplexity": False,
        "bits_per_byte": False,
        "accuracy": True,
        "log_likelihood": True,
    }

    def __post_init__(self) -> None:
        check_range("temperature", self.temperature, 0.0, 100.0)
        check_range("top_k", self.top_k, 1, whole=True)
        check_range("top_p", self.top_p, 1e-6, 1.0)
        check_range("min_p", self.min_p, 0.0, 1.0)
        check_range("penalty", self.penalty, 0.01, 100.0)

    def learner(self, decoder: Decoder) -> Writer:
        return Writer(decoder)

    def metrics(self, answers: Array, target: Array, spec: None) -> dict[str, float | None]:
        """answers (n, 2): of each token its surprise in nats, and 1 where it was the likeliest (NaN: not asked for).
        target (n,): bytes of each token."""
        loss, hits = float(answers[:, 0].mean()), float(answers[:, 1].mean())
        return {
            "loss": loss,
            "perplexity": math.exp(min(loss, 700.0)),
            "bits_per_byte": float(answers[:, 0].sum() / math.log(2) / max(1.0, target.sum())),
            "accuracy": None if math.isnan(hits) else hits,
            "log_likelihood": -loss,
        }

    def items(self, answers: Array, target: Array, spec: None) -> Array:
        """What each stretch of `STRETCH` tokens brings (n, 2): tokens, and the sum of their surprises; neighbouring
        tokens are no draws of their own."""
        begins = np.arange(0, len(answers), STRETCH)
        sizes = np.diff(np.append(begins, len(answers)))
        return np.stack([sizes.astype(np.float64), np.add.reduceat(answers[:, 0], begins)], 1)

    def of_items(self, sums: Array) -> Array:
        """The log-likelihood of stretches whose `items` add up to these sums (..., 2)."""
        found: Array = -sums[..., 1] / sums[..., 0]
        return found

    def chosen(self, logits: Tensor, lately: Tensor | None, drawn: torch.Generator) -> Tensor:
        """Tokens (B,) drawn from logits (B, V), `lately` (B, L) those before."""
        logits = logits.float()
        if self.penalty not in (None, 1.0) and lately is not None and lately.shape[1]:
            found = logits.gather(1, lately)
            logits = logits.scatter(1, lately, torch.where(found > 0, found / self.penalty, found * self.penalty))
        warm = 1.0 if self.temperature is None else self.temperature
        if warm == 0.0:
            return logits.argmax(1)
        logits = logits / warm
        if self.top_k is not None and self.top_k < logits.shape[1]:
            least = logits.topk(self.top_k, 1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.min_p:
            logits = logits.masked_fill(logits < logits.amax(1, keepdim=True) + math.log(self.min_p), -torch.inf)
        chances = logits.softmax(1)
        if self.top_p is not None and self.top_p < 1.0:
            ordered, places = chances.sort(1, descending=True)
            beyond = ordered.cumsum(1) - ordered >= self.top_p  # the token that reaches the share stays
            chances = chances.scatter(1, places, ordered.masked_fill(beyond, 0.0))
        return torch.multinomial(chances, 1, generator=drawn).squeeze(1)


class Writer(Learner):
    """A decoder and the vectors of the tokens that come out. predict: (tokens (B, T),) -> the next one's log
    probabilities (B, V).

    A decoder without a limit (`context` None) carries its state from batch to batch, without gradients.
    """

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder
        self.own = None if decoder.tied else answers(decoder.words)
        self.bias = nn.Parameter(torch.zeros(decoder.words.vocabulary))
        self.carried: State | None = None

    @property
    def words(self) -> Any:
        return self.decoder.words if self.own is None else self.own

    def loss(self, batch: Batch, phase: str) -> Loss:
        tokens = batch.inputs[0]  # (B, T + 1)
        features, state = self.decoder(tokens[:, :-1], self._begun(tokens, batch.fresh))
        if self.decoder.context is None and batch.fresh is not None:
            self.carried = state.detach()
        total = self.words.loss(features.values.flatten(0, 1), self.bias, tokens[:, 1:].flatten())
        return Loss(total, {})

    def _begun(self, tokens: Tensor, fresh: Tensor | None) -> State:
        """The state that a batch goes on from."""
        rows = len(tokens)
        if self.carried is None or fresh is None or bool(fresh.all()) or self.decoder.context is not None:
            begun: State = self.decoder.start(None, rows)
            return begun
        places = torch.arange(rows, device=tokens.device)
        return self.carried.select(places.masked_fill(fresh, -1)) if bool(fresh.any()) else self.carried

    def state(self) -> dict[str, Any]:
        return {} if self.carried is None else {"carried": self.carried.tensors}

    def restore(self, state: Any) -> None:
        carried = state.get("carried")
        device = self.bias.device
        self.carried = None if carried is None else State({name: tensor.to(device) for name, tensor in carried.items()})

    def logits(self, values: Tensor) -> Tensor:
        """Of features (..., D) -> (..., V)."""
        found: Tensor = self.words.logits(values, self.bias)
        return found

    @torch.no_grad()
    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        tokens = inputs[0]
        if self.decoder.context is not None:
            tokens = tokens[:, -self.decoder.context :]
        features, _ = self.decoder(tokens, self.decoder.start(None, len(tokens)))
        return self.logits(features.values[:, -1]).float().log_softmax(-1)


@torch.no_grad()
def surprises(learner: Writer, ids: Tensor, batch: int | None = None) -> tuple[Tensor, Tensor]:
    """Of every token but the first its -log probability (n - 1,), and whether it was the likeliest.

    A decoder with a limit reads windows that overlap by half, so that each token but the first ones is told from at
    least half a window; one without reads lanes from end to end.
    """
    learner.eval()
    count, context = len(ids) - 1, learner.decoder.context
    found, likeliest = torch.zeros(count), torch.zeros(count, dtype=torch.bool)
    if context is None:
        rows = max(1, min(LANES, count // WARM))
        lane = -(-count // rows)
        starts, step, state = torch.arange(rows) * lane, 256, learner.decoder.start(None, rows)
        for begin in range(0, lane, step):
            size = min(step, lane - begin)
            places = starts.unsqueeze(1) + torch.arange(
                begin, begin + size + 1
            )  # the last lane may end before the others
            state = _judged(learner, ids, places, state, 0, found, likeliest)
        return found, likeliest
    length = min(context, count)
    batch = batch or max(16, READ // length)
    half = max(1, length // 2)
    starts = torch.arange(0, max(1, count - length + half), half).clamp(max=count - length)
    for begin in range(0, len(starts), batch):
        part = starts[begin : begin + batch]
        places = part.unsqueeze(1) + torch.arange(length + 1)
        state = learner.decoder.start(None, len(part))
        _judged(learner, ids, places, state, length - half, found, likeliest)
    return found, likeliest


def _judged(
    learner: Writer, ids: Tensor, places: Tensor, state: State, skip: int, found: Tensor, likeliest: Tensor
) -> State:
    """Write down what tokens at these places (B, T + 1) bring, those from `skip` on of every row but the stream's
    first."""
    device = learner.bias.device
    tokens = ids[places.clamp(max=len(ids) - 1)].to(device, torch.int64)
    features, state = learner.decoder(tokens[:, :-1], state)
    wanted = places[:, 1:] < len(ids)  # beyond the stream's end nothing is asked
    wanted &= (torch.arange(wanted.shape[1]) >= skip) | (places[:, :1] == 0)
    at, chosen = places[:, 1:][wanted] - 1, wanted.to(device)
    values, asked = features.values[chosen], tokens[:, 1:][chosen]
    size = max(1, AT_ONCE // learner.words.vocabulary)
    for begin in range(0, len(at), size):
        part = slice(begin, begin + size)
        each, hit = learner.words.surprises(values[part], learner.bias, asked[part])
        found[at[part]], likeliest[at[part]] = each.cpu(), hit.cpu()
    return state


@torch.inference_mode()
def written(learner: Writer, prompt: Tensor, count: int, question: Language, seed: int) -> Iterator[Tensor]:
    """Tokens (count,) after a prompt (T,), one step after another, without end.

    A decoder with a limit that has read so many tokens begins anew from the last half of them.
    """
    device, context = learner.bias.device, learner.decoder.context
    drawn = torch.Generator(device).manual_seed(seed)
    tokens = prompt.to(device).unsqueeze(0).expand(count, -1)
    read = tokens if context is None else tokens[:, -context:]
    features, state = learner.decoder(read, learner.decoder.start(None, count))
    kept = max(LATELY, context or 0)
    age, lately = read.shape[1], tokens[:, -kept:]
    while True:
        new = question.chosen(learner.logits(features.values[:, -1]), lately[:, -LATELY:], drawn)
        yield new
        lately = torch.cat([lately, new.unsqueeze(1)], 1)[:, -kept:]
        if context is not None and age >= context:
            read = lately[:, -max(1, context // 2) :]
            features, state = learner.decoder(read, learner.decoder.start(None, count))
            age = read.shape[1]
        else:
            features, state = learner.decoder(new.unsqueeze(1), state)
            age += 1
