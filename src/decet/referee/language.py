"""Writers compared: everybody reads one text, and is asked how surprising each token of another part of it is.

The score is the mean log-likelihood of a token in nats, with an interval by resampled stretches of text. The baselines
count: n-grams of Kneser and Ney (`decet.kneser_ney`), and how often each token stands there at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from decet.data.passages import Passages
from decet.data.prose import ProseCodec
from decet.errors import BadInput
from decet.estimators.reading import Given
from decet.estimators.writing import cut_in_two, official, passages_in, stream_of, told
from decet.kneser_ney import KneserNey
from decet.referee.contenders import Array, Network, Terms
from decet.referee.rows import Ground
from decet.referee.verdict import BASELINE, FLOOR
from decet.tasks.language import STRETCH

ORDERS = (2, 3, 4, 5, 6, 8)  # of n-grams, that are tried
CHOSEN_BY = 0.05  # share of the text, its end, by which the order is chosen
LEAST = 1_000  # tokens that are counted
RATE = 150_000  # tokens a second and order that are counted at least


@dataclass(frozen=True)
class Stretches:
    """A stream of tokens (n,), to be asked stretch by stretch or as a whole."""

    ids: torch.Tensor

    @property
    def shape(self) -> tuple[int]:
        """Stretches, the last may be short."""
        return (-(-(len(self.ids) - 1) // STRETCH),)

    def take(self, places: Array) -> Stretches:
        """One stretch, as a stream of its own."""
        begin = int(places[0]) * STRETCH
        return Stretches(self.ids[begin : begin + STRETCH + 1])


def language_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """A text to read, and one to be asked: the official test part of a public set, or the end of the text.

    X: texts, as `fit` takes them. y, groups, order: of rows with answers.
    """
    if y is not None or groups is not None or order is not None:
        raise BadInput("writers are judged by the text itself. Leave target, groups and order out.")
    prose = template._inputs()
    whole, name = passages_in(X, prose, "train")
    judged = official(X, prose, "test")
    how = f"the last {test:.0%} of the text" if judged is None else "the official test part"
    train, asked = cut_in_two(whole, test) if judged is None else (whole, judged)
    codec = prose.fit(train)
    ids, size = stream_of(codec, asked)
    if len(ids) < 2:
        raise BadInput(f"there are {len(ids)} tokens in the part of {name} to judge by, and two are needed.")
    count = len(stream_of(codec, train)[0])
    return Ground(
        train=Given(train, None, source=name, beside=codec),
        test=Given(Stretches(ids), None),
        target=np.full(len(ids) - 1, size / (len(ids) - 1)),
        spec=None,
        how=how,
        sizes=(count, len(ids) - 1),
        baselines=[
            Counted("frequencies", FLOOR, codec, (1,)),
            Counted("n-grams (Kneser-Ney)", BASELINE, codec, ORDERS),
        ],
        network=Writing,
        items="tokens",
    )


class Writing(Network):
    """A family of the row, asked what comes next."""

    def answers(self, rows: Stretches) -> Array:
        return told(self.estimator.learner_, rows.ids)


class Counted:
    """N-grams, of the order that tells the end of the text best; of as much of its end as the time allows."""

    def __init__(self, name: str, kind: str, codec: ProseCodec, orders: tuple[int, ...]) -> None:
        self.name, self.kind, self.codec, self.orders = name, kind, codec, orders

    def fit(self, given: Given, terms: Terms) -> None:
        passages: Passages = given.rows
        ids = stream_of(self.codec, passages)[0].numpy()
        if terms.seconds is not None:
            ids = ids[-max(LEAST, int(RATE * terms.seconds / sum(self.orders))) :]
        vocabulary, cut = self.codec.spec.vocabulary, max(1, int(len(ids) * (1 - CHOSEN_BY)))
        first, last = ids[:cut], ids[cut - 1 :]
        losses = []
        for order in self.orders:
            if len(self.orders) > 1 and len(last) > 1:
                losses.append(float(KneserNey(first, vocabulary, order).surprises(last).mean()))
                if len(losses) > 1 and losses[-1] > losses[-2]:  # longer ones are worse still
                    break
        self.order = self.orders[int(np.argmin(losses)) if losses else 0]
        self.rows, self.model = len(ids), KneserNey(ids, vocabulary, self.order)

    def answers(self, rows: Stretches) -> Array:
        """No likeliest token is looked for: that would ask for each of the vocabulary."""
        found = self.model.surprises(rows.ids.numpy())
        return np.stack([found, np.full(len(found), np.nan)], 1)

    def about(self) -> dict[str, Any]:
        return {"rows": self.rows, "megabytes": self.model.nbytes / 1e6}
