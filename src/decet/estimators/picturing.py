"""Estimators that draw pictures: what can be asked of them. What a fit learns them by stands in `picture_fits`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import Learner
from decet.data.images import Images
from decet.data.targets import LabelCodec
from decet.errors import BadInput, Unsupported, check_range
from decet.estimators.answers import place_of
from decet.estimators.base import Estimator
from decet.estimators.calls import Call, ready
from decet.estimators.judge import Judge
from decet.estimators.reading import PictureReader
from decet.nn.samplers import Drawing, Known
from decet.nn.stems import inside, outside
from decet.settings import joined
from decet.tasks.conformal import thinned
from decet.tasks.draw import CHUNK, STEPWISE, Draw, between, drawn, fresh_of, noise_of
from decet.tasks.fidelity import compare
from decet.training.progress import Show

Array = NDArray[Any]
DRAWN = 2_000  # pictures drawn to be judged, at most
BULK = 4 * CHUNK  # pictures drawn at a time, where only figures matter
WATCHED = 64  # pictures that are watched while they are drawn
PATIENT = Draw("ddpm", 50)  # how pictures are filled in, where it is not said: fresh noise lets both parts agree,
AGAIN = 10  # and so do steps that are taken again
JUDGED, LOOKED, MADE = 0x3D0F, 0x1B71, 0x57A9  # streams of seeds


class Draws(Estimator):
    """Estimators that answer with pictures."""

    kind = Images
    reader = PictureReader(answered=False)
    question = Draw
    scored = "coverage"
    card = ("unconditional-image-generation", "pictures", "generate(16)")

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any = None,
        *,
        start: str | Path | None = None,
        budget: float | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
        show: Show | None = None,
    ) -> Self:
        """Learn to draw pictures like X.

        X: a folder or .zip of pictures, or of class folders, a table of paths, an IDX file, arrays, or the name of a
            public set. y: one label a picture, or the table's column; None: what X itself tells, if anything.
        start: a saved model to go on from: weights whose shapes agree are taken.
        budget, out, resume, overwrite, on_epoch, show: as in every estimator's `fit`. With `out`, sheets of pictures
            from the same noise are written into out/pictures while it learns, and in the end a film of them.

        Raises BadInput, before any training, for pictures or settings that cannot work. Ctrl-C keeps the best so far.
        """
        from decet.estimators.picture_fits import fit

        call = Call.begun(
            start=start, budget=budget, out=out, resume=resume, overwrite=overwrite, on_epoch=on_epoch, show=show
        )
        cell = self._cell()
        given = self._given(X, y, reset=True)
        with ready(self, call):
            fit(self, cell, given, call)
        return self

    # ------------------------------------------------------------------------------------------------- drawing

    def generate(
        self,
        count: int = 16,
        *,
        label: Any = None,
        seed: int | None = None,
        sampler: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> Array:
        """New pictures (count, H, W), or of colour (count, H, W, 3), uint8.

        label: which they are to be of, or one for each; None: each as often as any other.
        seed: of their noise; None: the estimator's. A picture depends on its place and the seed, not on the count.
        sampler, steps, guidance: in place of the estimator's own; see `decet.tasks.draw.Draw`.
        """
        self._check_fitted()
        check_range("count", count, 1, 1_000_000, whole=True)
        how = self._how(sampler, steps, guidance)
        return self._shaped(self._drawn(self._labels(label, count), count, self._stream(seed, MADE), how))

    def interpolate(
        self,
        first: Any,
        second: Any,
        count: int = 8,
        *,
        label: Any = None,
        sampler: str | None = None,
        steps: int | None = None,
    ) -> Array:
        """Pictures (count, H, W), or of colour (count, H, W, 3), on the way from one to another, both among them.

        first, second: seeds, whose first pictures they are, or pictures (H, W) or (H, W, 3), whose noise is sought.
        """
        self._check_fitted()
        check_range("count", count, 2, 10_000, whole=True)
        how = self._how(sampler, steps, None)
        label = self._labels(label, 1)
        noise = between(self._noise_of(first, label, how), self._noise_of(second, label, how), count)
        labels = None if label is None else label.expand(count).to(self.device_)
        how = how._replace(fresh=self._fresh(count, self._stream(None, MADE)))
        return self._shaped(self.learner_.draw(noise.to(self.device_), labels, how))

    def invert(self, X: Any, label: Any = None, *, steps: int | None = None) -> Array:
        """Noise (n, ...) float32 of which pictures like X (n, H, W) or (n, H, W, 3) are drawn: a GAN's by its encoder,
        diffusion's by the steps of `ddim` the other way.

        label: what they are of, or one for each; None: what X tells.
        """
        noise, _, _ = self._sought(X, label, steps)
        found: Array = noise.numpy()
        return found

    def reconstruct(self, X: Any, label: Any = None, *, steps: int | None = None) -> Array:
        """Pictures X (n, H, W) or (n, H, W, 3) drawn again from the noise that is found in them; see `invert`. How near
        they come says how much of them the model can draw."""
        noise, labels, how = self._sought(X, label, steps)
        found = []
        for part in range(0, len(noise), CHUNK):
            some = slice(part, part + CHUNK)
            own = None if labels is None else labels[some].to(self.device_)
            found.append(self.learner_.draw(noise[some].to(self.device_), own, how).cpu())
        return self._shaped(torch.cat(found))

    def inpaint(
        self,
        image: Any,
        mask: Any,
        *,
        count: int = 1,
        label: Any = None,
        seed: int | None = None,
        sampler: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> Array:
        """The picture `image` (H, W) or (H, W, 3), what is True in `mask` (H, W) drawn anew, so many ways.

        What is known replaces what the network sees of it at every step (2212.00490). Samplers with fresh noise take
        each step ten times (2201.09865), so ten times as many evaluations as `steps` says.
        """
        self._check_fitted()
        check_range("count", count, 1, 10_000, whole=True)
        self._check_stepwise("fill in")
        picture = self._read(image, "image").expand(count, -1, -1, -1)
        hidden = self._hidden(mask)
        asked = joined(Draw(sampler, steps, guidance), PATIENT)
        how = self._how(asked.sampler, asked.steps, asked.guidance)
        kept = (~hidden).expand(count, 1, -1, -1)
        how = how._replace(known=Known(kept, inside(picture)), again=AGAIN)
        found = self._drawn(self._labels(label, count), count, self._stream(seed, MADE), how)
        return self._shaped(torch.where(kept, picture, found))

    def augment(self, X: Any, y: Any = None, count: int | None = None, *, seed: int | None = None) -> tuple[Any, Any]:
        """Pictures X with their labels y, and behind them so many drawn ones (None: as many again) with theirs."""
        self._check_fitted()
        if self.answer_ is None:
            raise Unsupported("pictures without labels cannot be added to some that have them: fit with labels.")
        given = self.reader.given(self, X, y, False)
        if given.answers is None:
            raise BadInput("augment needs a label for each picture: y.")
        own, answers = self._shaped(self.codec_.encode(given.rows)[0]), np.asarray(given.answers)
        self._tell_unseen()
        more = len(own) if count is None else count
        check_range("count", more, 1, 10_000_000, whole=True)
        labels = self._labels(None, more)
        made = self._shaped(self._drawn(labels, more, self._stream(seed, MADE), self._how(None, None, None)))
        names = self.answer_.classes[0][labels.numpy()]  # type: ignore[union-attr]
        return np.concatenate([own, made]), np.concatenate([answers, names.astype(answers.dtype)])

    def watch(
        self,
        count: int = WATCHED,
        *,
        label: Any = None,
        seed: int | None = None,
        sampler: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> Iterator[Array]:
        """What stands after each step of `generate`, (count, H, W) or (count, H, W, 3) each time."""
        self._check_fitted()
        check_range("count", count, 1, 10_000, whole=True)
        self._check_stepwise("be watched")
        labels, part, how = self._labels(label, count), slice(0, count), self._how(sampler, steps, guidance)
        stream = self._stream(seed, MADE)
        noise, how = noise_of(self.learner_.shape, part, stream), how._replace(fresh=self._fresh(count, stream))
        labels = None if labels is None else labels.to(self.device_)
        for step in self.learner_.walk(noise.to(self.device_), labels, how):
            yield self._shaped(outside(step.x))

    # ------------------------------------------------------------------------------------------------- judging

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """How like pictures X as many drawn ones are, of more than 2,000 some of them; see `decet.tasks.fidelity`."""
        self._check_fitted()
        given = self.reader.given(self, X, y, False)
        real = self.codec_.encode(given.rows.take(thinned(np.arange(len(given.rows)), DRAWN)))[0]
        self._tell_unseen()
        labels = self._labels(None, len(real))
        how, stream = self._how(None, None, None), self._stream(None, JUDGED)
        return figures_of(self.judge_, real, self._drawn(labels, len(real), stream, how, bulk=BULK), labels)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of pictures X that have a drawn one near, 0 to 1 (coverage, 2002.09797)."""
        return float(self.evaluate(X, y).get("coverage") or 0.0)

    def predict(self, X: Any) -> Any:
        raise Unsupported("what draws pictures predicts nothing: generate(count), or `decet generate MODEL`.")

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        raise Unsupported("what draws pictures predicts nothing: generate(count), or `decet generate MODEL`.")

    # -------------------------------------------------------------------------------------------------- within

    def _how(self, sampler: str | None, steps: int | None, guidance: float | None) -> Drawing:
        """How pictures are drawn: what is said here, then the estimator's own."""
        return way(Draw(sampler, steps, guidance), self._asked(), self.family_, self.answer_ is not None)

    def _check_stepwise(self, what: str) -> None:
        if not self.family_.stepwise:
            raise Unsupported(f"{type(self.family_).__name__} draws in one step and cannot {what}. Diffusion can.")

    def _labels(self, label: Any, count: int) -> Tensor | None:
        """Labels (count,) by number; None where there are none."""
        return labels_of(self.answer_, label, count)

    def _sought(self, X: Any, label: Any, steps: int | None) -> tuple[Tensor, Tensor | None, Drawing]:
        """The noise of pictures X, their labels, and how the noise was found, by which they are drawn of it again."""
        self._check_fitted()
        how = self._how("ddim" if self.family_.stepwise else None, steps, None)._replace(guidance=1.0)
        given = self.reader.given(self, X, None, False)
        pixels = self.codec_.encode(given.rows)[0]
        self._tell_unseen()
        label = given.answers if label is None and self.answer_ is not None else label
        if self.answer_ is not None and label is None:
            raise BadInput("this model draws by label, so label must say what each picture is of. Received: none.")
        labels = self._labels(label, len(pixels))
        return self._inverted(pixels, labels, how), labels, how

    def _inverted(self, pixels: Tensor, labels: Tensor | None, how: Drawing) -> Tensor:
        """The noise (n, ...) of pictures (n, C, H, W), some at a time."""
        found = []
        for part in range(0, len(pixels), CHUNK):
            some = slice(part, part + CHUNK)
            own = None if labels is None else labels[some].to(self.device_)
            found.append(self.learner_.encode(pixels[some].to(self.device_), own, how).cpu())
        return torch.cat(found)

    def _stream(self, seed: int | None, stream: int) -> int:
        """The seed of what is drawn in a stream of its own."""
        check_range("seed", seed, 0, 2**62, whole=True)
        return (int(self.seed) if seed is None else int(seed)) * 0x10000 + stream

    def _drawn(self, labels: Tensor | None, count: int, seed: int, how: Drawing, bulk: int = CHUNK) -> Tensor:
        """Pictures (count, C, H, W), 0 to 255, some at a time."""
        found = []
        for begin in range(0, count, bulk):
            part = slice(begin, min(begin + bulk, count))
            own = None if labels is None else labels[part]
            known = None if how.known is None else Known(*(x[part] for x in how.known))
            found.append(drawn(self.learner_, own, part, seed, how._replace(known=known), self.device_))
        return torch.cat(found)

    def _fresh(self, count: int, seed: int) -> Any:
        """The noise that a sampler adds at each step to so many pictures."""
        return fresh_of(self.learner_.shape, slice(0, count), seed, self.device_)

    def _noise_of(self, end: Any, label: Tensor | None, how: Drawing) -> Tensor:
        """The noise (1, ...) of an end of an interpolation."""
        if isinstance(end, (int, np.integer)) and not isinstance(end, bool):
            return noise_of(self.learner_.shape, slice(0, 1), self._stream(int(end), MADE))
        return self._inverted(self._read(end, "an end"), label, how)

    def _read(self, picture: Any, what: str) -> Tensor:
        """Pixels (1, C, H, W) of a picture that must have the size of training's."""
        spec, shape = self.codec_.spec, np.shape(picture)
        if shape[:2] != (spec.height, spec.width):
            raise BadInput(
                f"{what} must be a picture of {spec.height} x {spec.width} pixels, as an array. Received: {shape}."
            )
        found: Tensor = self.codec_.encode(np.asarray(picture)[None])[0]
        return found

    def _hidden(self, mask: Any) -> Tensor:
        """A mask (H, W), True = to be drawn."""
        spec, hidden = self.codec_.spec, np.asarray(mask)
        if hidden.shape != (spec.height, spec.width):
            shape = (spec.height, spec.width)
            raise BadInput(f"mask must have the picture's shape, {shape}. Received: {hidden.shape}.")
        found = torch.from_numpy(hidden.astype(bool))
        if found.all():
            raise BadInput("the mask hides the whole picture, and nothing is left to go by: generate() draws new ones.")
        if not found.any():
            raise BadInput("the mask hides nothing: no pixel of it is True.")
        return found

    @staticmethod
    def _shaped(pixels: Tensor) -> Array:
        """Pixels (n, C, H, W) as pictures (n, H, W) or (n, H, W, 3), uint8."""
        found: Array = pixels.float().round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return np.ascontiguousarray(found[..., 0] if found.shape[-1] == 1 else found)

    def _network(self) -> Learner:
        return built(self.family_, self.codec_.spec, self.answer_)


def built(family: Any, spec: Any, answer: LabelCodec | None) -> Any:
    """The learner of pictures of this kind, with these labels."""
    return family.learner(spec, classes_of(answer))


def classes_of(answer: LabelCodec | None) -> int:
    """How many labels there are; 0 = pictures are drawn without."""
    return 0 if answer is None else len(answer.classes[0])


def way(said: Draw, own: Draw, family: Any, labelled: bool) -> Drawing:
    """How pictures are drawn. Raises BadInput for what is said and has no use."""
    asked = joined(said, own)
    for name in STEPWISE:
        if getattr(asked, name) is not None and not family.stepwise:
            raise BadInput(
                f"{name} is of drawing step by step, and {type(family).__name__} draws in one. Leave it out."
            )
    if said.guidance is not None and not labelled:
        raise BadInput("guidance is by labels, and this model knows none. Leave it out.")
    how = asked.how()
    if how.guidance != 1.0 and labelled and family.stepwise and not family.guided:
        raise BadInput(
            "guidance other than 1 weighs a label against none, which this model has not learned: fit it with "
            "family.unlabelled above 0, as 0.1."
        )
    return how


def labels_of(answer: LabelCodec | None, label: Any, count: int) -> Tensor | None:
    """Labels (count,) by number: the one that is said, one for each, or each as often as any other."""
    if answer is None:
        if label is not None:
            raise BadInput("this model was trained without labels, and draws any picture. Leave label out.")
        return None
    names = answer.classes[0].tolist()
    if label is None:
        return torch.arange(count) % len(names)
    said = list(label) if isinstance(label, (list, tuple, np.ndarray)) else [label] * count
    if len(said) != count:
        raise BadInput(f"label must be one, or one for each of {count:,} pictures. Received: {len(said):,}.")
    known = {str(name): number for number, name in enumerate(names)}
    return torch.tensor([known[str(one)] if str(one) in known else place_of(one, names) for one in said])


def figures_of(
    judge: Judge, real: Tensor, made: Tensor, labels: Tensor | None, train: Tensor | None = None
) -> dict[str, float | None]:
    """How like real pictures (n, C, H, W) made ones (m, C, H, W) are, as the judge sees them.

    labels (m,): what these are to be of. train (t, C, H, W): what was trained on; are they copies of it?
    """
    (seen, _), (found, told) = judge.see(real), judge.see(made.round().to(torch.uint8))
    own = None if train is None else judge.see(train)[0]
    chosen, classes = (None, None) if labels is None else (told, judge.classes)
    figures = compare(seen, found, train=own, chosen=chosen, classes=classes).as_dict()
    if labels is not None:
        figures["recognised"] = float((told == labels).double().mean())
    return {name: value for name, value in figures.items() if value is not None}
