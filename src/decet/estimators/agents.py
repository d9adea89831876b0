"""Estimators that act in an environment: what a fit plays and learns, and what can be asked of an agent."""

from __future__ import annotations

import hashlib
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from decet.contracts import Stage, TableSpec
from decet.data.actors import Actors, actors_of, is_compiled, met
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environment, Environments, opened
from decet.data.pictures import free_memory
from decet.data.playing import Episodes, Pace, Player, Playing, inputs_of, played, weighed
from decet.data.recorded import Recorded, fingerprint, read, record
from decet.data.replay import SPARE, Replay
from decet.data.rollouts import Rollouts
from decet.errors import BadInput, Unsupported, check_range
from decet.estimators.base import Array, Estimator
from decet.estimators.calls import Call, gone_on_from, ready
from decet.estimators.film import filmed
from decet.estimators.reading import DataWarning
from decet.settings import joined
from decet.tasks.act import Act
from decet.training.checkpoint import check_writable
from decet.training.loop import CHECKPOINT, SAVE_STEPS, train
from decet.training.progress import Show
from decet.training.recipe import FALLBACK

MET, GLANCES = 2_000, 200  # steps at random, by which vectors are scaled; of pictures, to see how long they take
PARTS = 20  # of a run, after each of which the agent is tried
PART = 15_000  # steps of a part, at most
JUDGED = 100  # episodes
PRIORITY = 32  # bytes of a step in the tree of priorities
ENDLESS = 1_000_000_000  # steps, where a budget says how long
WIDE = 4_096  # numbers, from which they are surely a picture
AS_VECTOR = (
    "numbers are read as a vector: a picture has rows, columns and channels, in this order, as whole numbers (uint8)."
)
FEW = 10  # trials of what is not compiled, side by side
LATER = 1e-9  # of a step in the score: of agents that did equally well, the one that learned longer is kept
PASSES, MOST_STUDIED = 20, 200_000  # over what others played, and steps of learning from it, at most
TRIED, ASKED, SHOWN = 0x51ED, 0x2545F, 0x68BC1  # streams of seeds, apart from those that train


class Acts(Estimator):
    """Estimators that answer with actions."""

    kind = Environments
    question = Act
    scored = "return"
    card = ("reinforcement-learning", "steps", "act(observation)")
    sets_aside = True

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any = None,
        *,
        steps: int | None = None,
        recorded: str | Path | None = None,
        start: str | Path | None = None,
        budget: float | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
        show: Show | None = None,
    ) -> Self:
        """Play an environment X and learn from it.

        X: the id of an environment of Gymnasium, an environment, or a function that makes one. y: None.
        steps: of the environment that may be played; None: as the setting of that name, or the cell says.
        recorded: an .npz of what others played (see `decet.data.recorded`), which is learned from first; a half of what
        is learned from later comes out of it too. With steps=0 nothing else is played.
        start: a saved agent to go on from: weights whose shapes agree are taken.
        budget, out, resume, overwrite, on_epoch, show: as in every estimator's `fit`.

        Raises BadInput, before any training, for an environment or settings that cannot work, and where an environment
        breaks a rule or fails while it is played. Ctrl-C keeps the best so far.
        """
        check_range("steps", steps, 0, 1_000_000_000_000, whole=True)
        if y is not None:
            raise BadInput("an environment has no answers. Leave y (--target) out.")
        call = Call.begun(
            start=start, budget=budget, out=out, resume=resume, overwrite=overwrite, on_epoch=on_epoch, show=show
        )
        cell = self._cell()
        with ready(self, call):
            _Learning(self, cell, call, opened(X, self._inputs().limit), steps, recorded).run()
        return self

    def act(self, observation: Any) -> Any:
        """The best action for one observation as the environment shows it; of an agent that sees several frames the
        newest so many, oldest first."""
        self._check_fitted()
        frames = self.codec_.frames
        seen = [observation] if frames == 1 else observation
        if not hasattr(seen, "__len__") or isinstance(seen, dict) or len(seen) != frames:
            raise BadInput(f"the agent sees {frames} frames: give the newest {frames} observations, oldest first.")
        kept = np.stack([self.codec_.kept(one) for one in seen])
        return self.codec_.actions(self._choose(kept[None]))[0]

    def values(self, observations: Any) -> Array:
        """What each choice is worth (N, J, K) for observations (N, ...), or frames of them (N, frames, ...)."""
        self._check_fitted()
        shown, frames, shape = np.asarray(observations), self.codec_.frames, self.codec_.shape
        if shown.shape[1:] not in ((frames, *shape), shape if frames == 1 else (frames, *shape)):
            raise BadInput(f"observations have shape (N, {', '.join(map(str, shape))}). Received: {shown.shape}.")
        with torch.no_grad():
            found: Array = self.learner_.values(inputs_of(shown, self.codec_, self.device_)).cpu().numpy()
        return found

    def play(
        self, X: Any = None, episodes: int = 1, video: str | Path | None = None, seed: int = 0,
        recorded: str | Path | None = None, explore: float = 0.0,
    ) -> list[float]:  # fmt: skip
        """Play episodes greedily; their returns.

        X: the environment, by default that of training. video: a film of them, a .gif, or a .png with a strip of
        pictures of each of the first 20. recorded: an .npz of their transitions, which another agent can learn from
        (see `decet.data.recorded`), with a share `explore` of random actions.
        """
        check_range("episodes", episodes, 1, 1_000_000, whole=True)
        check_range("explore", explore, 0.0, 1.0)
        if recorded is None and explore:
            raise BadInput("explore is of play that is recorded. Say recorded='FILE.npz', or leave it out.")
        if recorded is not None and video is not None:
            raise BadInput("play is either filmed or recorded. Ask for one after the other.")
        environment, stream = self._entered(X), SHOWN + seed
        if recorded is not None:
            return self._record(environment, Path(recorded), episodes, explore, stream)
        if video is None:
            actors = self._actors(environment, 1, stream)
            try:
                told: list[float] = played(actors, self._weigh, self.codec_, episodes).returns.tolist()
                return told
            finally:
                actors.close()
        return filmed(environment, self.codec_, self._choose, Path(video), episodes, self._stream(stream))

    def _record(self, environment: Environment, path: Path, episodes: int, explore: float, seed: int) -> list[float]:
        if path.suffix != ".npz":
            raise BadInput(f"recorded play is an .npz. Received: {str(path)!r}.")
        check_writable(path, "recorded play ")
        actors = self._actors(environment, 1, seed)
        try:
            return record(actors, self._choose, self.codec_, episodes, explore, self._stream(seed), path)
        finally:
            actors.close()

    def evaluate(self, X: Any = None, y: Any = None, episodes: int = JUDGED) -> dict[str, float | None]:
        """Figures of so many episodes, played greedily; see `decet.tasks.act`. X: the environment, by default that of
        training."""
        check_range("episodes", episodes, 1, 1_000_000, whole=True)
        return self._figures(self._entered(X), episodes, ASKED)

    def score(self, X: Any = None, y: Any = None, sample_weight: Any = None) -> float:
        """The mean return of episodes played greedily."""
        return float(self.evaluate(X)["return"] or 0.0)

    def predict(self, X: Any) -> Any:
        raise Unsupported("an agent acts in an environment: act(observation), play() or `decet play MODEL`.")

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        raise Unsupported("an agent acts in an environment: act(observation), play() or `decet play MODEL`.")

    def _entered(self, X: Any) -> Environment:
        """The environment that is asked for, which must show and take what training's did."""
        self._check_fitted()
        told = self.provenance_["data"] if X is None else X
        if X is None and not self.provenance_["registered"]:
            raise BadInput(f"{told} was given as an object: give it again.")
        if X is None and ":" in told:  # a model folder must not say which module is imported
            raise BadInput(f"{told} is of a package of its own: give it again, if you trust it.")
        environment = opened(told, self._inputs().limit)
        self.codec_.check(environment)
        return environment

    def _actors(self, environment: Environment, copies: int, stream: int) -> Actors:
        return actors_of(environment, self._inputs(), self._stream(stream), copies)

    def _stream(self, stream: int) -> int:
        """The seed of what is played in a stream of its own."""
        return (int(self.seed) ^ stream) & 0x7FFFFFFF

    def _choose(self, frames: Array) -> Array:
        """The best choices (B, J) where these frames (B, frames, ...) are shown."""
        chosen: Array = self._weigh(frames).argmax(-1)
        return chosen

    def _weigh(self, frames: Array) -> Array:
        """What each choice is worth (B, J, K)."""
        return weighed(self.learner_.values, self.codec_, frames, self.device_)

    def _episodes(
        self, environment: Environment, count: int, stream: int, weigh: Callable[[Array], Array] | None = None
    ) -> Episodes:
        """So many, played greedily; weigh: by what, where not by `_weigh`."""
        copies = min(count, JUDGED if is_compiled(environment) else FEW)
        actors = self._actors(environment, copies, stream)
        try:
            return played(actors, weigh or self._weigh, self.codec_, count, self._asked().discount)
        finally:
            actors.close()

    def _figures(self, environment: Environment, episodes: int, stream: int) -> dict[str, float | None]:
        told = self._episodes(environment, episodes, stream)
        figures: dict[str, float | None] = self._asked().metrics(told.returns, told.lengths)
        return figures

    def _network(self) -> Any:
        return _built(self.family_, self.codec_)


def _built(family: Any, codec: EnvironmentCodec) -> Any:
    return family.learner(codec.spec, codec.answer, codec.beside * codec.frames)


class _Learning:
    """One fit, its intermediate results by name."""

    def __init__(
        self, estimator: Acts, cell: Any, call: Call, environment: Environment, steps: int | None,
        recorded: str | Path | None,
    ) -> None:  # fmt: skip
        self.estimator, self.cell, self.call, self.environment = estimator, cell, call, environment
        self.inputs: Environments = estimator._inputs()
        self.seed, self.device = int(estimator.seed) & 0x7FFFFFFF, estimator._device()
        self.before = gone_on_from(call, estimator)
        self.said, self.path = steps, None if recorded is None else Path(recorded)

    def run(self) -> None:
        estimator, call = self.estimator, self.call
        self._read()
        self.recorded = None if self.path is None else read(self.path, self.codec, self.family.lookahead)
        judges = self.estimator._actors(self.environment, self._tried(), TRIED)
        with closing(judges):
            source = self._source()
            with closing(source.actors):
                outcome = train(
                    self._stages(source, self._trials(source, judges)),
                    seed=self.seed,
                    device=self.device,
                    budget=call.left,
                    folder=call.out,
                    resume=call.resume,
                    identity=self._identity(source),
                    on_epoch=call.on_epoch,
                    show=call.show,
                )
        self._keep(source, outcome)
        call.keep(estimator, outcome.interrupted)

    def _trials(self, source: Player, judges: Actors) -> Callable[[Any], dict[str, float]]:
        """Episodes played greedily, the same each time but for the network."""
        begin = judges.state()

        def validate(learner: Any) -> dict[str, float]:
            judges.restore(begin)
            weigh = partial(weighed, learner.values, self.codec, device=self.device)
            tried = played(judges, weigh, self.codec, self._tried(), self.asked.discount)
            found = float(tried.returns.mean())
            return {
                "return": found,
                "return while learning": float(np.mean(source.told)) if source.told else found,
                "steps": float(source.met),
                "lower quartile": float(np.quantile(tried.returns, 0.25)),
                "upper quartile": float(np.quantile(tried.returns, 0.75)),
                "expected": float(tried.expected.mean()),
                "given": float(tried.given.mean()),
                "rest": float(tried.rest.mean()),
                "score": found + source.met * LATER,
            }

        return validate

    def _stages(self, source: Player, validate: Callable[[Any], dict[str, float]]) -> list[Stage]:
        """Learning from what others played, then playing."""
        play = Stage(self.learner, source, self.recipe, validate, name="play")
        if self.recorded is None:
            return [play]
        passes = PASSES * self.recorded.cursor // source.pace.batch
        learned = max(1, min(passes, MOST_STUDIED))
        study = Recorded(self.recorded, self.codec, source.pace, max(1, learned // PARTS), self.device)
        recipe = replace(self.recipe, steps=learned)
        stages = [Stage(self.learner.cautious(), study, recipe, validate, name="study")]
        return stages if not self.steps else [*stages, play]

    def _read(self) -> None:
        """The settings in effect, then how observations are scaled, for which some steps are played."""
        first = EnvironmentCodec.of(self.inputs, self.environment)
        self._settle(first)
        series = TableSpec not in self.family.network.reads
        looks = MET if first.layout.numbers else GLANCES
        seen, one = met(self.environment, first, self.inputs, self.seed, looks)
        self._check_budget(one)
        self.codec = EnvironmentCodec.of(self.inputs, self.environment, seen, series)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            self.learner = _built(self.family, self.codec)
        self.notes = [] if first.picture or first.shape[0] < WIDE else [f"{first.shape[0]:,} {AS_VECTOR}"]
        for note in self.notes:
            warnings.warn(note, DataWarning, stacklevel=4)
        self.taken = 0 if self.before is None else self.before._lend(self.learner, self.codec, same_answer=True)

    def _check_budget(self, one: float) -> None:
        """Raise BadInput where the budget ends before learning begins; one: seconds of a step."""
        if self.call.budget is None:
            return
        need, spent = one * self.family.warmup, time.monotonic() - self.call.started
        if spent + need > self.call.budget:
            raise BadInput(
                f"a budget of {self.call.budget:g} s ends before learning begins: making ready took {spent:.2g} s, and "
                f"the warm-up of {self.family.warmup:,} steps at random takes about {need:.2g} s (family.warmup)."
            )

    def _settle(self, codec: EnvironmentCodec) -> None:
        """What is played, how it is learned from, and the network."""
        estimator = self.estimator
        family: Any
        family, recipe, advised = estimator._joined_settings(self.cell, codec.spec, 0, self.call.budget)
        self.family, self.asked = family.settled(), estimator._asked(advised)
        self.advised = advised
        steps = next((said for said in (self.said, estimator.steps) if said is not None), None)
        if steps is None:
            steps = ENDLESS if self.call.budget is not None else self.asked.steps
        if recipe.steps is not None or recipe.epochs is not None:
            raise BadInput("recipe.steps and recipe.epochs are of learning; say --steps, of the environment.")
        if self.path is not None:
            unsaid = [name for name in ("warmup", "fade") if getattr(estimator.family, name, None) is None]
            self.family = replace(self.family, **dict.fromkeys(unsaid, 0))  # it knows how to play
            if self.family.priority or not self.family.memory:
                raise BadInput("what others played is learned from with a memory, and without family.priority.")
        elif steps <= self.family.warmup:
            raise BadInput(
                f"{steps:,} steps are too few: {self.family.warmup:,} are played at random first (family.warmup)."
            )
        self.steps = int(steps)
        learned = max(1, int((self.steps - self.family.warmup) * self.family.ratio))
        self.recipe = replace(joined(recipe, replace(FALLBACK, epochs=None)), steps=learned)

    def _source(self) -> Player:
        actors = actors_of(self.environment, self.inputs, self.seed)
        try:
            return self._player(actors)
        except BaseException:  # workers would go on waiting
            actors.close()
            raise

    def _player(self, actors: Actors) -> Player:
        family, codec = self.family, self.codec
        batch, rollout = self.recipe.batch or 32, family.lookahead * actors.count
        kept = min(family.memory or rollout, max(self.steps, rollout, self._least(actors)))
        between = int(2 * max(SAVE_STEPS) / family.ratio / actors.count) + 2  # rows of two save points
        if not family.memory:
            between = 2 * between + family.lookahead  # passes and parts are whole
        self._check_room(kept, between, actors)
        out = self.call.out
        replay = Replay(
            kept, actors.count, actors.shown.shape[1:], actors.shown.dtype, len(codec.choices), codec.frames, between,
            None if out is None else self._rings(), family.lookahead, family.priority,
            keep=out is not None and self.call.resume and (out / CHECKPOINT).exists(),
        )  # fmt: skip
        pace = Pace(
            family.warmup, family.ratio, family.explore, family.fade, family.persist, batch, self.asked.discount,
            family.trace,
        )  # fmt: skip
        part = max(1, int(min(self.steps / PARTS, PART) * family.ratio))
        told = actors, codec, replay, self.learner.values, pace, part, self.device
        if family.memory:
            return Playing(*told, self.learner.errors if family.priority else None, self.recorded)
        source = Rollouts(*told)
        self.recipe = replace(self.recipe, steps=source.learned(self.steps))
        return source

    def _rings(self) -> Path:
        """Where replay memory lies."""
        return Path(self.call.out or "") / "checkpoint" / "replay"

    def _least(self, actors: Actors) -> int:
        """Steps of which a batch can be drawn."""
        return int(self.family.lookahead + self.codec.frames + 2) * actors.count

    def _check_room(self, kept: int, between: int, actors: Actors) -> None:
        """Raise BadInput where the memory of replay is larger than this machine's."""
        one = actors.shown[0].nbytes + 2 * len(self.codec.choices) + 5
        one += PRIORITY if self.family.priority and self.call.out is None else 0
        need = one * (kept * (1 + SPARE) + between * actors.count)
        if self.family.memory and kept < (least := self._least(actors)):
            raise BadInput(f"a memory of {kept:,} steps is too small: {least:,} are needed at least (family.memory).")
        if self.call.out is not None:
            free, more = shutil.disk_usage(self.call.out).free, f"on the disk of {self.call.out}"
            free += sum(path.stat().st_blocks * 512 for path in self._rings().glob("*.ring"))  # of this run, before
        else:
            free, more = free_memory(), "of memory (with out they lie in files)"
        if need > free:
            fit = int(0.9 * free / one / (1 + SPARE))
            raise BadInput(
                f"replay memory of {kept:,} steps needs {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free {more}: "
                f"about {fit:,} steps fit (family.memory)."
            )

    def _tried(self) -> int:
        """Episodes of a trial."""
        return int(self.asked.trials if is_compiled(self.environment) else min(self.asked.trials, FEW))

    def _identity(self, source: Player) -> dict[str, str]:
        """What must be equal for a checkpoint to belong to this run."""
        scale = (self.codec.mean.tolist(), self.codec.std.tolist())
        told = f"{self.environment.name} {self.codec.shape} {self.codec.choices} {scale}"
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()
        return {
            "estimator": type(self.estimator).__name__,
            "family": f"{type(self.family).__name__} {asdict(self.family)}",
            "recipe": str(asdict(self.recipe)),
            "inputs": str(asdict(self.inputs)),
            "question": str(asdict(self.asked)),
            "seed": str(self.estimator.seed),
            "budget": str(self.call.budget),
            "start": str(self.call.start),
            "copies": f"{type(source.actors).__name__} {source.actors.count} {source.replay.length}",
            "data": self.fingerprint,
            "recorded": "none" if self.path is None else fingerprint(self.path),
        }

    def _keep(self, source: Player, outcome: Any) -> None:
        """What was learned, as attributes with a trailing underscore."""
        estimator: Any = self.estimator
        estimator.learner_, estimator.device_ = self.learner.to(self.device).eval(), self.device
        estimator.codec_, estimator.answer_, estimator.target_names_ = self.codec, None, ()
        estimator.n_features_in_ = int(np.prod(self.codec.shape))
        estimator.family_, estimator.recipe_, estimator.question_ = self.family, self.recipe, self.advised
        estimator.history_, estimator.plan_ = outcome.history, outcome.plan
        estimator.warnings_, estimator.interrupted_, estimator.taken_ = self.notes, outcome.interrupted, self.taken
        estimator.metrics_ = estimator._figures(
            self.environment, JUDGED if is_compiled(self.environment) else 20, ASKED
        )
        estimator.provenance_ = {
            "data": self.environment.name,
            "registered": self.environment.registered,
            "fingerprint": self.fingerprint,
            "rows": source.met,
            "validation": "episodes played greedily, from begins that training never saw",
            "best_epoch": outcome.best_epoch,
            "budget": self.call.budget,
            "interrupted": outcome.interrupted,
            "seconds": round(time.monotonic() - self.call.started, 2),
        }
        if outcome.interrupted:
            warnings.warn("training was interrupted; the best weights so far are kept.", DataWarning, stacklevel=5)
