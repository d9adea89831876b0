"""Films of an agent that plays: a .gif of episodes, drawn by the environment itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import error as errors
from numpy.typing import NDArray
from PIL import Image

from decet.data.actors import BEGUN, ON, TERMINATED, Copies
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environment
from decet.data.playing import TOO_LONG, Recent
from decet.errors import BadInput
from decet.training.checkpoint import check_writable

Array = NDArray[Any]
WIDTH = 400  # pixels, at most
FRAMES = 600  # of a film; more are thinned out
PAUSE = 40  # milliseconds a frame


def filmed(
    environment: Environment, codec: EnvironmentCodec, choose: Callable[[Array], Array], path: Path, episodes: int,
    seed: int,
) -> list[float]:  # fmt: skip
    """Play episodes, write them as an animated .gif, and give their returns.

    Raises BadInput where the environment draws nothing, or the film cannot be written.
    """
    if path.suffix.lower() != ".gif":
        raise BadInput(f"a film is a .gif. Received: {str(path)!r}.")
    check_writable(path, "the film ")
    drawn = replace(environment, make=lambda _: environment.make("rgb_array"))
    try:
        actors = Copies(drawn, 1, seed)
        frames, returns = [_frame(actors, environment.name)], list[float]()
    except errors.DependencyNotInstalled as error:
        line = (str(error).splitlines() or [""])[0]
        raise BadInput(
            f"to draw {environment.name} more must be installed ({line}): pip install 'decet[games]'."
        ) from error
    recent, total, steps, every = Recent(codec.frames, actors), 0.0, 0, 1
    while len(returns) < episodes:
        total += float(actors.step(codec.actions(choose(recent.frames)))[0])
        recent.see(actors)
        steps += 1
        if steps % every == 0:
            frames.append(_frame(actors, environment.name))
        if len(frames) > FRAMES:  # of a long film every other frame goes
            frames, every = frames[::2], 2 * every
        if actors.flags[0] not in (ON, BEGUN) or len(actors.since[0]) >= TOO_LONG:
            returns.append(total)
            total, actors.flags[0] = 0.0, TERMINATED if actors.flags[0] == ON else actors.flags[0]
    actors.close()
    first, *others = frames
    beside = path.with_name(f".{path.name}.part")
    first.save(beside, "GIF", save_all=True, append_images=others, duration=PAUSE, loop=0)
    beside.replace(path)
    return returns


def _frame(actors: Copies, name: str) -> Image.Image:
    try:
        seen = actors.played[0].render()
    except errors.DependencyNotInstalled:
        raise
    except Exception as error:  # whatever a user's environment raises
        raise BadInput(f"{name} could not be drawn ({type(error).__name__}: {error}).") from error
    if not isinstance(seen, np.ndarray) or seen.ndim != 3:
        raise BadInput(f"{name} draws no pictures (render_mode 'rgb_array').")
    picture = Image.fromarray(seen.astype(np.uint8))
    picture.thumbnail((WIDTH, WIDTH))
    return picture.quantize(64)
