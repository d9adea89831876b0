"""Films of an agent that plays: an animated .gif, or a .png of strips, drawn by the environment itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import error as errors
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from decet.data.actors import BEGUN, ON, TERMINATED, Copies
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environment
from decet.data.playing import TOO_LONG, Recent
from decet.errors import BadInput
from decet.training.checkpoint import check_writable, write_whole

Array = NDArray[Any]
Choose = Callable[[Array], Array]  # frames (1, frames, ...) -> choices (1, J)
WIDTH, TINY = 400, 48  # pixels, at most; smaller ones are enlarged
FRAMES = 600  # of a film; more are thinned out
PAUSE = 40  # milliseconds a frame
STRIP, KEPT = 8, 64  # frames of a strip, and those among which they are chosen
NARROW, LETTERS, GAP = 200, 14, 6  # pixels of a strip's frame, of what is written, and between
SHEET = "#e9e9ec"  # behind pictures, which are often white themselves
STRIPS = 20  # episodes that are drawn as strips, at most; the others are played


@dataclass(frozen=True)
class Shot:
    """A picture of an episode, steps after it began."""

    step: int
    picture: Image.Image


def filmed(
    environment: Environment, codec: EnvironmentCodec, choose: Choose, path: Path, episodes: int, seed: int
) -> list[float]:
    """Play episodes, write them as a film, and give their returns.

    path: .gif, an animated film, or .png, a strip of each of the first episodes.
    Raises BadInput where the environment draws nothing, or the film cannot be written.
    """
    if path.suffix.lower() not in WRITTEN:
        raise BadInput(f"a film is a {' or '.join(WRITTEN)}. Received: {str(path)!r}.")
    check_writable(path, "the film ")
    actors = _drawn(environment, seed)
    try:
        content, returns = WRITTEN[path.suffix.lower()](actors, codec, choose, episodes)
    finally:
        actors.close()
    write_whole(path, content, "the film ")
    return returns


def strip(environment: Environment, codec: EnvironmentCodec, choose: Choose, seed: int) -> list[Shot]:
    """Pictures of one episode, evenly spaced, its begin and its end among them.

    Raises BadInput where the environment draws nothing.
    """
    actors = _drawn(environment, seed)
    try:
        reel = _Reel(actors, KEPT)
        _play(actors, codec, choose, 1, [reel])
        return [reel.shots[place] for place in spaced(len(reel.shots))]
    finally:
        actors.close()


def spaced(count: int) -> list[int]:
    """Places of as many of `count` as a strip has, evenly spaced, the first and the last among them."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, STRIP).round())]


def _drawn(environment: Environment, seed: int) -> Copies:
    """One copy that can be drawn."""
    return Copies(replace(environment, make=lambda _: environment.make("rgb_array")), 1, seed)


class _Reel:
    """Pictures of what is played; whenever they are more than `most`, an even number, every other one goes."""

    def __init__(self, actors: Copies, most: int) -> None:
        self.actors, self.most = actors, most
        self.shots: list[Shot] = []
        self.every, self.count = 1, 0

    def see(self, step: int, over: bool) -> None:
        """What is shown after so many steps of an episode; its end is kept in any case."""
        if self.count % self.every == 0 or over:
            self.shots.append(Shot(step, _picture(self.actors)))
        self.count += 1
        if len(self.shots) > self.most:
            self.shots, self.every = self.shots[::2], 2 * self.every


def _play(
    actors: Copies, codec: EnvironmentCodec, choose: Choose, episodes: int, reels: Sequence[_Reel]
) -> list[float]:
    """The returns of so many episodes. reels: who sees them: one, all of them; several, one each."""
    recent, returns = Recent(codec.frames, actors), list[float]()
    if reels:
        reels[0].see(0, False)
    total = 0.0
    while len(returns) < episodes:
        total += float(actors.step(codec.actions(choose(recent.frames)))[0])
        recent.see(actors)
        step = len(actors.since[0])
        over = actors.flags[0] not in (ON, BEGUN) or step >= TOO_LONG
        seen = 0 if len(reels) == 1 else len(returns)
        if seen < len(reels):
            reels[seen].see(step, over)
        if over:
            returns.append(total)
            total, actors.flags[0] = 0.0, TERMINATED if actors.flags[0] == ON else actors.flags[0]
    return returns


def _picture(actors: Copies) -> Image.Image:
    """What the environment draws, not larger than a film."""
    name = actors.environment.name
    try:
        seen = actors.played[0].render()
    except errors.DependencyNotInstalled as error:
        line = (str(error).splitlines() or [""])[0]
        raise BadInput(f"to draw {name} more must be installed ({line}): pip install 'decet[games]'.") from error
    except NotImplementedError:
        seen = None
    except Exception as error:  # whatever a user's environment raises
        raise BadInput(f"{name} could not be drawn ({type(error).__name__}: {error}).") from error
    if not isinstance(seen, np.ndarray) or seen.ndim != 3:
        raise BadInput(f"{name} draws no pictures (render_mode 'rgb_array').")
    if seen.dtype.kind == "f" and seen.max(initial=0.0) <= 1.0:  # as shares of white
        seen = 255 * seen
    picture = Image.fromarray(seen.astype(np.uint8))
    if max(picture.size) < TINY:
        larger = NARROW // max(picture.size)
        picture = picture.resize((larger * picture.width, larger * picture.height), Image.Resampling.NEAREST)
    picture.thumbnail((WIDTH, WIDTH))
    return picture


def _film(actors: Copies, codec: EnvironmentCodec, choose: Choose, episodes: int) -> tuple[bytes, list[float]]:
    reel = _Reel(actors, FRAMES)
    returns = _play(actors, codec, choose, episodes, [reel])
    first, *others = (shot.picture.quantize(64) for shot in reel.shots)
    held = io.BytesIO()
    first.save(held, "GIF", save_all=True, append_images=others, duration=PAUSE, loop=0)
    return held.getvalue(), returns


def _strips(actors: Copies, codec: EnvironmentCodec, choose: Choose, episodes: int) -> tuple[bytes, list[float]]:
    reels = [_Reel(actors, KEPT) for _ in range(min(episodes, STRIPS))]
    returns = _play(actors, codec, choose, episodes, reels)
    rows = [
        (
            f"episode {number}, return {returns[number - 1]:.5g}",
            [reel.shots[place] for place in spaced(len(reel.shots))],
        )
        for number, reel in enumerate(reels, 1)
    ]
    held = io.BytesIO()
    _laid_out(rows).save(held, "PNG")
    return held.getvalue(), returns


def _laid_out(rows: Sequence[tuple[str, Sequence[Shot]]]) -> Image.Image:
    """A row an episode: what is said of it, its pictures side by side, and the step of each below."""
    wide, high = rows[0][1][0].picture.size
    scale = NARROW / max(wide, high)
    wide, high = round(scale * wide), round(scale * high)
    line, tall = LETTERS + GAP, high + 2 * (LETTERS + GAP) + GAP
    laid = Image.new("RGB", (STRIP * (wide + GAP) + GAP, len(rows) * tall + GAP), SHEET)
    pen, font = ImageDraw.Draw(laid), ImageFont.load_default(LETTERS)
    for number, (said, shots) in enumerate(rows):
        top = GAP + number * tall
        pen.text((GAP, top), said, "black", font)
        for place, shot in enumerate(shots):
            left = GAP + place * (wide + GAP)
            small = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
            laid.paste(shot.picture.convert("RGB").resize((wide, high), small), (left, top + line))
            pen.text((left, top + line + high + 2), f"step {shot.step}", "black", font)
    return laid


WRITTEN: dict[str, Callable[[Copies, EnvironmentCodec, Choose, int], tuple[bytes, list[float]]]] = {
    ".gif": _film,
    ".png": _strips,
}
