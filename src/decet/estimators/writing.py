"""Estimators that write: from texts to a network that tells what comes next, and texts from it."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from decet.contracts import Learner, Stage
from decet.data.datasets import Loaded
from decet.data.passages import Passages
from decet.data.pictures import free_memory
from decet.data.prose import Prose, ProseCodec
from decet.data.streams import Lanes, Windows
from decet.errors import BadInput, check_range
from decet.estimators.base import Estimator
from decet.estimators.calls import Call, loaded, ready
from decet.estimators.reading import DataWarning, Given, TextReader, check_there
from decet.nn.vocabulary import CHUNK
from decet.settings import joined
from decet.tasks.adapting import adapted
from decet.tasks.language import Language, Writer, surprises, written
from decet.training.loop import train
from decet.training.needs import needed, seconds_of, weights_of
from decet.training.progress import Show
from decet.training.recipe import FALLBACK, Recipe

HELD = 0.1  # share of the text, its end, that is held out, where there is no official part
FOLLOWED = 8_192  # held-out tokens by which training is followed, at least,
SHARE = 64  # or one for so many that are learned from
LOGIT = 12  # bytes that an answer takes while it is made: three numbers of float32
PROBE = 32  # tokens of the small step by which the memory of a large one is told
UNSETTLED = 32  # tokens of a text that are turned into characters anew with each further one
LENGTH = 500  # tokens that are written, where it is not said


class Writes(Estimator):
    """Estimators that answer with text."""

    kind = Prose
    reader = TextReader()
    question = Language
    scored = "log_likelihood"
    card = ("text-generation", "tokens", "generate(prompt)")

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        start: str | Path | None = None,
        budget: float | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
        show: Show | None = None,
    ) -> Self:
        """Learn to write from texts X.

        X: a path (text; a table; a folder or zip of texts), a list of texts, an iterable of texts that starts afresh
            each time, or the name of a public set.
        y: not used; texts have no answers.
        validation: texts that training is judged by; by default the official part of a public set, or the last tenth.
        start: a saved model to go on from, ours or a GPT-2 in Hugging Face's form: its tokens, the settings that are
            not said, and weights whose shapes agree are taken.
        budget, out, resume, overwrite, on_epoch, show: as in every estimator's `fit`.

        Raises BadInput, before any training, for texts or settings that cannot work. Ctrl-C keeps the best so far.
        """
        call = Call.begun(
            start=start, budget=budget, out=out, resume=resume, overwrite=overwrite, on_epoch=on_epoch, show=show
        )
        if y is not None:
            raise BadInput("to write is learned from texts alone. Leave the target out.")
        cell = self._cell()
        with ready(self, call):
            _Learning(self, cell, call).run(X, validation)
        return self

    # ------------------------------------------------------------------------------------------------- writing

    def generate(
        self,
        prompt: str = "",
        *,
        count: int = 1,
        length: int = LENGTH,
        stop: str | Sequence[str] = (),
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        penalty: float | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """Texts that go on from a prompt, without it.

        count: how many, written side by side. length: tokens of each, at most. stop: texts at which one ends.
        temperature, top_k, top_p, min_p, penalty: in place of the estimator's own; see `decet.tasks.language.Language`.
        seed: of the draws; None: the estimator's.
        """
        check_range("count", count, 1, 65536, whole=True)
        said = Language(temperature, top_k, top_p, min_p, penalty)
        *_, texts = self._written(prompt, count, length, _listed(stop), said, seed, told=False)
        return texts

    def stream(
        self,
        prompt: str = "",
        *,
        length: int = LENGTH,
        stop: str | Sequence[str] = (),
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        penalty: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """One text as it is written, piece by piece; all pieces together are what `generate` gives."""
        said, told = Language(temperature, top_k, top_p, min_p, penalty), 0
        ends = _listed(stop)
        hold = max((len(end) for end in ends), default=1) - 1  # what may be the begin of where to stop
        text = ""
        for (text,) in self._written(prompt, 1, length, ends, said, seed, told=True):
            ready_ = len(text.removesuffix("\ufffd")) - hold
            if ready_ > told:
                yield text[told:ready_]
                told = ready_
        if len(text) > told:
            yield text[told:]

    def _written(
        self, prompt: str, count: int, length: int, stop: list[str], said: Language, seed: int | None, *, told: bool
    ) -> Iterator[list[str]]:
        """The texts once all have ended; told: and after each token before."""
        self._check_fitted()
        check_range("length", length, 1, whole=True)
        if not isinstance(prompt, str):
            raise BadInput(f"prompt must be a str. Received: {type(prompt).__name__}.")
        learner, codec, question = self.learner_, self.codec_, joined(said, self._asked())
        ids = torch.from_numpy(codec.numbers(prompt).astype(np.int64))
        context = learner.decoder.context
        if context is not None and len(ids) > context:
            warnings.warn(
                f"the prompt has {len(ids):,} tokens, and the network looks {context:,} back: the first "
                f"{len(ids) - context:,} are not read.",
                DataWarning,
                stacklevel=3,
            )
        if not len(ids):
            ids = torch.tensor([codec.begin])
        rows, texts, open_ = [_Row(codec, int(ids[-1])) for _ in range(count)], [""] * count, set(range(count))
        steps = written(learner, ids, count, question, int(self.seed if seed is None else seed))
        for _, new in zip(range(length), steps, strict=False):
            for row, token in enumerate(new.tolist()):
                if row not in open_:
                    continue
                rows[row].tokens.append(token)
                if told or stop:
                    texts[row] = rows[row].text()
                end = min((at for at in (texts[row].find(text) for text in stop) if at >= 0), default=None)
                if end is not None:
                    texts[row] = texts[row][:end]
                if end is not None or token == codec.end:
                    open_.discard(row)
            if told:
                yield texts
            if not open_:
                break
        yield texts if told or stop else [row.text() for row in rows]

    # ------------------------------------------------------------------------------------------------- judging

    def evaluate(self, X: Any, y: Any = None, *, adapt: float = 0.0, cache: int = 0) -> dict[str, float | None]:
        """Loss, perplexity, bits a byte and accuracy over every token of the texts X but the first.

        adapt: rate of dynamic evaluation, by which the network learns on from what it has been judged by (0.001, say);
        cache: positions that a neural cache remembers (2,000, say); 0 = off. See `decet.tasks.adapting`.
        """
        self._check_fitted()
        if y is not None:
            raise BadInput("writing has no answers. Leave the target out.")
        stream = stream_of(self.codec_, passages_in(X, self.codec_.prose, "test")[0])
        return judged(self.learner_, *stream, adapt=adapt, cache=cache)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean log-likelihood of a token in nats, at most 0, higher is better."""
        return float(self.evaluate(X)["log_likelihood"] or 0.0)

    def predict(self, X: Any) -> list[str]:
        """What follows each text of a list."""
        return [self.generate(text)[0] for text in self._texts(X)]

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a text, what follows it."""
        for text in self._texts(X):
            yield {"answer": self.generate(text)[0]}

    def _texts(self, X: Any) -> list[str]:
        self._check_fitted()
        texts: list[str] = self.reader.given(self, X, None, False).rows.texts
        return texts

    def _network(self) -> Learner:
        learner: Learner = self._asked().learner(self.family_.decoder(self.codec_.spec))
        return learner


def judged(
    learner: Writer, ids: torch.Tensor, size: int, *, adapt: float = 0.0, cache: int = 0
) -> dict[str, float | None]:
    """The metrics of a stream of tokens of a text of so many bytes."""
    if len(ids) < 2:
        raise BadInput("to be judged a text needs two tokens at least.")
    answers = told(learner, ids, adapt=adapt, cache=cache)
    return Language().metrics(answers, np.full(len(answers), size / len(answers)), None)


def told(learner: Writer, ids: torch.Tensor, *, adapt: float = 0.0, cache: int = 0) -> np.ndarray:
    """Of every token but the first its surprise, and 1 where it was the likeliest (n - 1, 2)."""
    found = adapted(learner, ids, adapt, cache) if adapt or cache else surprises(learner, ids)
    return np.stack([part.double().numpy() for part in found], 1)


class _Row:
    """A text while it is written, turned from tokens into characters bit by bit.

    tokens: not yet settled, behind one that is: what is written stands behind the prompt, and words keep their blank.
    """

    def __init__(self, codec: ProseCodec, last: int) -> None:
        self.codec, self.settled = codec, ""
        self._behind(last)

    def _behind(self, last: int) -> None:
        self.tokens, self.skipped = [last], len(self.codec.text([last]))

    def text(self) -> str:
        """All of it; the begin of a character ends as a replacement character until its other bytes are there."""
        found = self.settled + self.codec.text(self.tokens)[self.skipped :]
        if len(self.tokens) > UNSETTLED and not found.endswith("\ufffd"):
            self.settled = found
            self._behind(self.tokens[-1])
        return found


def _listed(stop: str | Sequence[str]) -> list[str]:
    found = [stop] if isinstance(stop, str) else list(stop)
    if not all(isinstance(text, str) and text for text in found):
        raise BadInput(f"stop must be texts, none of them empty. Received: {stop!r}.")
    return found


# ------------------------------------------------------------------------------------------------------------- a fit


class _Learning:
    """One fit, its intermediate results by name."""

    def __init__(self, estimator: Writes, cell: Any, call: Call) -> None:
        self.estimator, self.cell, self.call = estimator, cell, call
        self.prose = estimator._inputs()
        self.before: Any = None if call.start is None else loaded(call.start)
        self.notes: list[str] = []
        if self.before is not None and not isinstance(self.before, Writes):
            raise BadInput(f"{call.start} holds a {type(self.before).__name__}, from which writing cannot go on.")

    def run(self, X: Any, validation: Any) -> None:
        train_part, held_part, self.source = self._parts(X, validation)
        if isinstance(X, Given):
            self.codec: ProseCodec = X.beside  # who is compared numbers alike
        elif self.before is not None and self.estimator.inputs is None:
            self.codec = self.before.codec_
        else:
            self.codec = self.prose.fit(train_part)
            if self.before is not None and not self.codec.numbers_as(self.before.codec_):
                raise BadInput(
                    f"these inputs number tokens otherwise than the model in {self.call.start}, whose weights would "
                    "mean something else. Leave inputs (--inputs) out, and its own are taken."
                )
        self.ids, self.size = self._stream(train_part)
        self.held, self.held_size = self._stream(held_part)
        family, recipe, learner = self._learner()
        self.window = recipe.window or learner.decoder.context or 128
        self._check(family, recipe, learner)
        left = None
        if self.call.budget is not None:
            left = self.call.budget - (time.monotonic() - self.call.started)
            left = max(0.05, min(0.95 * left, left - self._judging(learner)))
        kind = Lanes if learner.decoder.context is None else Windows
        source = kind(self.ids, self.window, recipe.batch or 1, self.estimator._device())
        outcome = train(
            [Stage(learner, source, recipe, self._follow, name="train")],
            seed=int(self.estimator.seed),
            device=self.estimator._device(),
            budget=left,
            folder=self.call.out,
            resume=self.call.resume,
            identity=self._identity(family, recipe),
            on_epoch=self.call.on_epoch,
            show=self.call.show,
        )
        self._keep(learner, family, recipe, outcome)
        self.call.keep(self.estimator, outcome.interrupted)

    # ---------------------------------------------------------------------------------------------------- the text

    def _parts(self, X: Any, validation: Any) -> tuple[Passages, Passages, str]:
        """Texts to train on, texts to be judged by, and what they are called."""
        whole, name = passages_in(X, self.prose, "train")
        self.how = "texts given"
        if validation is not None:
            return whole, passages_in(validation, self.prose, "validation")[0], name
        held = official(X, self.prose, "validation")
        if held is not None:
            self.how = "the official validation part"
            return whole, held, name
        self.how = f"the last {HELD:.0%} of the text"
        return *cut_in_two(whole, HELD), name

    def _stream(self, passages: Passages) -> tuple[torch.Tensor, int]:
        found = stream_of(self.codec, passages)
        self.notes += passages.findings
        return found

    def _check(self, family: Any, recipe: Recipe, learner: Any) -> None:
        """Refuse what cannot be learned from, before any training."""
        context, least = learner.decoder.context, self.window + 1
        if context is not None and self.window > context:
            raise BadInput(
                f"recipe.window is {self.window:,}, and the network looks {context:,} back. "
                f"Say a smaller --recipe.window, or --family.context {self.window}."
            )
        for what, ids in (("text to learn from", self.ids), ("text held out", self.held)):
            if len(ids) < 2:
                raise BadInput(f"the {what} has {len(ids)} tokens, and two are needed at least. Give more text.")
        if context is not None and len(self.ids) < least:
            raise BadInput(
                f"the text to learn from has {len(self.ids):,} tokens, fewer than one context of {least - 1:,} and the "
                f"token after it. Give more text, or say --family.context {max(1, len(self.ids) // 8)}."
            )
        self._check_memory(recipe, learner)

    def _check_memory(self, recipe: Recipe, learner: Any) -> None:
        """Refuse steps that would take more memory than there is, by what a small one takes."""
        rows, window = recipe.batch or 1, min(self.window, len(self.ids) - 1)
        small = min(PROBE, window)

        def run(rows: int) -> Any:
            tokens = self.ids[:small].to(torch.int64).expand(rows, -1)
            return learner.decoder(tokens, learner.decoder.start(None, rows))

        free = self._free()
        logits = LOGIT * min(CHUNK, rows * window * learner.decoder.words.vocabulary)
        size = needed(run, learner.parameters(), rows * window / small) + logits
        if size > free:
            raise BadInput(
                f"a step of {rows:,} windows of {window:,} tokens takes about {size / 1e9:,.1f} GB, and "
                f"{free / 1e9:,.1f} GB are free. Say a smaller --recipe.batch, --recipe.window or --family.context."
            )

    def _free(self) -> int:
        """Bytes that are free where training will be."""
        device = self.estimator._device()
        return free_memory() if device.type == "cpu" else int(torch.cuda.mem_get_info(device)[0])

    # ------------------------------------------------------------------------------------------------- the network

    def _learner(self) -> tuple[Any, Recipe, Any]:
        estimator = self.estimator
        family, recipe, self.advised = estimator._joined_settings(
            self.cell, self.codec.spec, len(self.ids), self.call.budget
        )
        if self.before is not None and type(self.before.family_) is type(family):
            family = joined(estimator.family, self.before.family_)  # what is not said is as it was
        base = FALLBACK if recipe.epochs is None and recipe.steps is None else replace(FALLBACK, epochs=None)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(estimator.seed))
            whole: Any = family
            asked = estimator._asked(self.advised)
            with torch.device("meta"):
                size = weights_of(asked.learner(whole.decoder(self.codec.spec)).parameters())
            if size > (free := self._free()):
                raise BadInput(
                    f"to train a network of this size takes {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free. "
                    "Say a smaller --family.width or --family.depth."
                )
            learner = asked.learner(whole.decoder(self.codec.spec))
        self.taken = 0 if self.before is None else self.before._lend(learner, self.codec, same_answer=True)
        return family, joined(recipe, base), learner

    def _follow(self, learner: Learner) -> dict[str, float]:
        """How well the held-out text is told, or its begin."""
        found, _ = surprises(learner, self.held[: max(FOLLOWED, len(self.ids) // SHARE)])  # type: ignore[arg-type]
        loss = float(found.double().mean())
        return {"nats a token": loss, "score": -loss}

    def _judging(self, learner: Any) -> float:
        """Seconds that judging the held-out text will take, by a part of it."""
        part = self.held[: min(len(self.held), 8_192)]
        learner.to(self.estimator._device())
        return 1.1 * seconds_of(lambda: surprises(learner, part)) * len(self.held) / len(part)

    def _identity(self, family: Any, recipe: Recipe) -> dict[str, str]:
        """What must be equal for a checkpoint to belong to this run."""
        digest = hashlib.sha256()
        for ids in (self.ids, self.held):
            digest.update(np.ascontiguousarray(ids.numpy()).data)
        self.fingerprint = digest.hexdigest()
        return {
            "estimator": type(self.estimator).__name__,
            "family": f"{type(family).__name__} {asdict(family)}",
            "recipe": str(asdict(recipe)),
            "inputs": str(asdict(self.prose)),
            "seed": str(self.estimator.seed),
            "budget": str(self.call.budget),
            "start": str(self.call.start),
            "data": self.fingerprint,
        }

    def _keep(self, learner: Any, family: Any, recipe: Recipe, outcome: Any) -> None:
        """What was learned, as attributes with a trailing underscore."""
        estimator: Any = self.estimator
        learner.carried = None
        estimator.learner_, estimator.device_ = learner.eval(), estimator._device()
        estimator.codec_, estimator.answer_ = self.codec, None
        estimator.target_names_, estimator.n_features_in_ = ("text",), 1
        estimator.family_, estimator.recipe_, estimator.question_ = family, recipe, self.advised
        estimator.history_, estimator.plan_ = outcome.history, outcome.plan
        estimator.metrics_ = judged(learner, self.held, self.held_size)
        estimator.warnings_, estimator.interrupted_, estimator.taken_ = self.notes, outcome.interrupted, self.taken
        estimator.provenance_ = {
            "data": self.source,
            "fingerprint": self.fingerprint,
            "rows": len(self.ids),
            "validation": self.how,
            "best_epoch": outcome.best_epoch,
            "budget": self.call.budget,
            "interrupted": outcome.interrupted,
            "seconds": round(time.monotonic() - self.call.started, 2),
        }
        if outcome.interrupted:
            warnings.warn("training was interrupted; the best weights so far are kept.", DataWarning, stacklevel=4)


def passages_in(X: Any, prose: Prose, part: str) -> tuple[Passages, str]:
    """Texts that can be walked over, and what they are called; of a public set this part, where it has parts."""
    from decet.data import datasets

    if isinstance(X, Given):
        return X.rows, X.source
    if isinstance(X, str) and datasets.means_set(X):
        whole = datasets.load(X)
        X = datasets.load(X, part) if part in (whole.splits or {}) else whole
    if isinstance(X, Loaded):
        if not isinstance(X.X, Passages):
            raise BadInput(f"the public set {X.name!r} holds {datasets.find(X.name).kind}, not running text.")
        return X.X, X.name
    if isinstance(X, str):
        check_there(X)
    found = prose.passages(X)
    return found, found.name


def official(X: Any, prose: Prose, part: str) -> Passages | None:
    """The official validation or test part of a public set, where it has one."""
    from decet.data import datasets

    if not isinstance(X, str) or not datasets.means_set(X):
        return None
    if part not in (datasets.load(X).splits or {}):
        return None
    return passages_in(X, prose, part)[0]


def cut_in_two(passages: Passages, share: float) -> tuple[Passages, Passages]:
    """A text without its end of this share, and that end. Raises BadInput where there is no text."""
    total = sum(map(len, passages))
    if not total:
        raise BadInput(f"there is no text in {passages.name}.")
    cut = int(total * (1 - share))
    return _between(passages, 0, cut, total), _between(passages, cut, total, total)


def stream_of(codec: ProseCodec, passages: Passages) -> tuple[torch.Tensor, int]:
    """The tokens of texts (n,) int32, and the bytes of the texts in UTF-8."""
    ids, size = codec.stream(passages)
    return torch.from_numpy(np.array(ids[:])), size


def _between(passages: Passages, first: int, last: int, total: int) -> Passages:
    """The characters from first to last, of so many."""

    def walk(findings: list[str]) -> Iterator[str]:
        done = 0
        for piece in passages:
            if done + len(piece) > first and done < last:
                yield piece[max(0, first - done) : last - done]
            done += len(piece)
            if done >= last:
                break
        findings += passages.findings

    return Passages(passages.name, passages.size * (last - first) // max(1, total), walk)
