"""What stands in a folder already, before a run or a model goes into it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from decet import artifact
from decet.errors import BadInput, Unsupported
from decet.training.loop import CHECKPOINT

CROSSFIT = "checkpoint/crossfit.safetensors"
COMPARISON = "comparison.json"
HELD = ("model.json", artifact.COMMIT, CHECKPOINT, CROSSFIT)  # each shows that the folder is a run's or a model's


def check_free(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds another run, unless that run is resumed or its place may be taken.

    Nothing of an old run is removed here: checkpoint and model are replaced, each whole, when there are new ones.
    """
    if resume and overwrite:
        raise BadInput("resume and overwrite exclude each other: go on with the run, or begin anew.")
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file, not a folder. Choose another --out.")
    check_own(out)
    held = [name for name in HELD if (out / name).exists()]
    if held and not (resume or overwrite):
        raise BadInput(f"{out} already holds a run ({held[0]}). Say --resume, --overwrite, or another --out.")


def check_free_to_compare(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds another comparison, unless it is resumed or its place may be taken; or a model."""
    if any((out / name).exists() for name in HELD):
        raise BadInput(f"{out} holds a model, not a comparison. Choose another --out.")
    check_free(out, resume=resume, overwrite=overwrite)
    if (out / COMPARISON).exists() and not (resume or overwrite):
        raise BadInput(f"{out} already holds a comparison. Say --resume, --overwrite, or another --out.")


def check_own(folder: Path) -> None:
    """Refuse a folder of the user's own in which a model would replace a file."""
    own = [name for name in artifact.FILES if (folder / name).exists()]
    if own and not any((folder / name).exists() for name in HELD):
        raise BadInput(f"{folder} holds a {own[0]} of your own, which a model would replace. Choose another folder.")


def check_held(settings: Any) -> None:
    """Refuse settings that no model folder can hold, for it holds settings and numbers, and never code."""
    for one in fields(settings):
        if isinstance(getattr(settings, one.name), type):
            raise Unsupported(
                f"{one.name} is a class of your own, which a model folder cannot hold: it holds no code. Fit without "
                "out, and keep the model in memory; or keep its learner_.state_dict() beside your code."
            )
