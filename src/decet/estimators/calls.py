"""What a fit is called with, and what it needs around it: a call that makes sense, the folder for itself, gradients."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import torch

from decet import artifact
from decet.errors import BadInput, check_range
from decet.estimators.base import Estimator
from decet.estimators.folders import check_free, check_held
from decet.estimators.reading import Given
from decet.tasks.embed import WordVectors
from decet.training.loop import OnEpoch
from decet.training.progress import Quiet, Show


@dataclass
class Call:
    """What `Estimator.fit` was called with, beside the data."""

    validation: Given | None = None
    groups: Any = None
    order: Any = None
    sample_weight: Any = None
    start: Path | None = None
    budget: float | None = None
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    on_epoch: OnEpoch | None = None
    show: Show = field(default_factory=Quiet)
    started: float = 0.0

    @classmethod
    def begun(
        cls,
        *,
        start: str | Path | None,
        budget: float | None,
        out: str | Path | None,
        resume: bool,
        overwrite: bool,
        on_epoch: OnEpoch | None,
        show: Show | None,
    ) -> Call:
        """A call that begins now, as the user said it."""
        return cls(
            start=None if start is None else Path(start),
            budget=budget,
            out=None if out is None else Path(out),
            resume=resume,
            overwrite=overwrite,
            on_epoch=on_epoch,
            show=show or Quiet(),
            started=time.monotonic(),
        )

    @property
    def left(self) -> float | None:
        """Seconds of the budget that are left."""
        return None if self.budget is None else max(0.05, self.budget - (time.monotonic() - self.started))

    def keep(self, estimator: Estimator, interrupted: bool) -> None:
        """Write the model, where it has a folder; a run that was interrupted can still be resumed."""
        if self.out is None:
            return
        estimator.save(self.out)
        if not interrupted:
            shutil.rmtree(self.out / "checkpoint", ignore_errors=True)


@contextmanager
def ready(estimator: Estimator, call: Call) -> Iterator[None]:
    """Everything that a fit needs around it: a call that makes sense, the folder for itself, gradients."""
    check_range("budget", call.budget, 1e-3)
    if (call.resume or call.overwrite) and call.out is None:
        raise BadInput("resume and overwrite need out: the folder that holds the run.")
    if call.budget is not None and estimator.recipe is not None:
        for name in ("epochs", "steps"):
            if getattr(estimator.recipe, name) is not None:
                raise BadInput(f"budget and recipe.{name} both say how long to train; keep one.")
    with nullcontext() if call.out is None else artifact.lock(call.out):
        if call.out is not None:
            if is_dataclass(estimator.family):
                check_held(estimator.family)
            check_free(call.out, resume=call.resume, overwrite=call.overwrite)
        with torch.inference_mode(False), torch.enable_grad():  # whatever the caller has switched off
            yield


def gone_on_from(call: Call, estimator: Estimator) -> Any:
    """The saved estimator that a fit goes on from, None where it begins afresh. Raises BadInput for another kind."""
    found = None if call.start is None else loaded(call.start)
    if found is not None and type(found) is not type(estimator):
        kind = type(estimator).__name__
        raise BadInput(f"{call.start} holds a {type(found).__name__}, from which a {kind} cannot go on.")
    return found


def loaded(folder: Path) -> Any:
    """The model to go on from; of a file of vectors what lends them."""
    from decet.estimators.given import GivenVectors
    from decet.estimators.saved import load

    found = load(folder)
    return GivenVectors(found) if isinstance(found, WordVectors) else found
