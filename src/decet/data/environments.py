"""Environments: what is played, found by an id, an object or a function, and made as often as it is needed.

    environment = opened("CartPole-v1")        opened(lambda: MyGame())        opened(gymnasium.make("Pendulum-v1"))

An environment is one of Gymnasium's; the games of MinAtar ("MinAtar/Breakout-v1") and of the Atari 2600 ("ALE/Pong-v5",
played as `decet.data.atari` says) are known by their ids too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium import error as errors
from gymnasium import spaces

from decet.errors import BadInput, check_choice, check_range, suggest

CLASSIC = "gymnasium.envs.classic_control"
MADE = "Give an id, an environment, or a function that makes one."
MINATAR, ATARI = "MinAtar/", "ALE/"
REMEMBERING = (MINATAR, "BipedalWalker")  # what is left of one episode changes the next, whatever the seed


@dataclass(frozen=True)
class Environments:
    """How an environment is met. What is None is found from it.

    copies: how many are played side by side; None: 16 where they are compiled, else 4.
    frames: the newest observations that the network sees at once; None: 4 pictures (1 of yes and no, as MinAtar's),
        8 vectors where it reads series, else 1.
    bins: values from which each joint chooses, both bounds among them (3).
    limit: steps after which an episode is cut off; None: as the environment has it.
    workers: processes among which the copies are shared, for environments that are slow; None: none.
    timeout: seconds that a worker's copies may take to make, to begin an episode or for a step (60).
    renew: a new object is made for every episode, for environments that do not begin anew by `reset` alone; None:
        where that is known (MinAtar, BipedalWalker).
    """

    copies: int | None = None
    frames: int | None = None
    bins: int = 3
    limit: int | None = None
    workers: int | None = None
    timeout: float = 60.0
    renew: bool | None = None

    def __post_init__(self) -> None:
        check_range("copies", self.copies, 1, 4_096, whole=True)
        check_range("frames", self.frames, 1, 64, whole=True)
        check_range("bins", self.bins, 2, 64, whole=True)
        check_range("limit", self.limit, 1, 1_000_000_000, whole=True)
        check_range("workers", self.workers, 0, 256, whole=True)
        check_range("timeout", self.timeout, 0.1, 1_000_000)
        check_choice("renew", self.renew, (True, False))


@dataclass(frozen=True)
class Environment:
    """One environment, and how to make more of it.

    name: its id or class. make: of how it is drawn (None, "rgb_array"), a new one. limit: steps of an episode, None
    where there is none. threshold: the return from which it counts as solved, where that is said. registered: whether
    its id is all that is needed to make it again. plain: and it is as Gymnasium registers it, in no further wrapper.
    renewed: whether every episode needs a new one.
    """

    name: str
    make: Callable[[str | None], gymnasium.Env[Any, Any]]
    observations: spaces.Space[Any]
    actions: spaces.Space[Any]
    limit: int | None = None
    threshold: float | None = None
    registered: bool = False
    plain: bool = False
    renewed: bool = False


def opened(source: Any, limit: int | None = None) -> Environment:
    """The environment of an id, an environment or a function that makes one.

    Raises BadInput for what is none, and for an id that is not known or needs what is not installed.
    """
    if isinstance(source, Environment):
        return source
    if isinstance(source, str):
        return _registered(source, limit)
    if isinstance(source, gymnasium.Env):
        spec = source.spec
        if spec is not None and spec.entry_point is not None and not spec.additional_wrappers:
            return _described(source, lambda mode: _with(gymnasium.make(spec, render_mode=mode), limit), limit)
        return _described(source, lambda mode: _with(_copied(source), limit), limit)
    if callable(source):
        first = _made_by(source)
        found = _described(first, lambda mode: _with(_made_by(source), limit), limit)
        first.close()
        return found
    raise BadInput(f"{type(source).__name__} is no environment. {MADE}")


def _registered(name: str, limit: int | None) -> Environment:
    try:
        first = _made(name, None, limit)
    except (errors.NameNotFound, errors.NamespaceNotFound, errors.VersionNotFound, errors.DeprecatedEnv) as error:
        raise BadInput(f"there is no environment {name!r}.{suggest(name, _ids())} ({_line(error)})") from error
    except (errors.DependencyNotInstalled, ModuleNotFoundError) as error:
        say = "" if ":" in name else " Say pip install 'decet[games]'."  # with a colon a package of the user's is named
        raise BadInput(f"{name} needs what is not installed ({_line(error)}).{say}") from error
    except (errors.Error, ImportError) as error:
        known = "" if name in gymnasium.registry else suggest(name, _ids())
        raise BadInput(f"{name!r} cannot be made ({_line(error)}).{known}") from error
    except Exception as error:  # whatever its package raises
        raise BadInput(f"{name!r} cannot be made ({type(error).__name__}: {_line(error)}).") from error
    spec, told = first.spec, _checked(first, name)
    first.close()
    return Environment(
        name, lambda mode: _made(name, mode, limit), *told, None if spec is None else spec.max_episode_steps,
        None if spec is None else spec.reward_threshold, registered=True,
        plain=spec is not None and _is_classic(spec), renewed=name.startswith(REMEMBERING),
    )  # fmt: skip


def _is_classic(spec: Any) -> bool:
    """Whether this is a task of classic control just as Gymnasium has it."""
    own = {name for name in spec.kwargs if name != "render_mode"}
    return str(spec.entry_point).startswith(CLASSIC) and not spec.additional_wrappers and not own


def _made(name: str, mode: str | None, limit: int | None) -> Any:
    """A new environment of this id."""
    _announce(name)
    if not name.startswith(ATARI):
        return gymnasium.make(name, render_mode=mode, max_episode_steps=limit)
    from decet.data.atari import Game

    return _with(Game(gymnasium.make(name, frameskip=1, obs_type="grayscale", render_mode=mode)), limit)


def _announce(name: str) -> None:
    """Let Gymnasium know the games of other packages, once they are asked for. Raises ImportError without these."""
    if name.startswith(MINATAR) and not any(known.startswith(MINATAR) for known in gymnasium.registry):
        from minatar.gym import register_envs

        register_envs()
    if name.startswith(ATARI):
        import ale_py

        gymnasium.register_envs(ale_py)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def _ids() -> list[str]:
    """All ids that are known, those of games whose package is installed among them."""
    for games in (MINATAR, ATARI):
        try:
            _announce(games)
        except ImportError:
            continue
    return sorted(gymnasium.registry)


def _described(first: Any, make: Callable[[str | None], Any], limit: int | None) -> Environment:
    spec = getattr(first, "spec", None)
    name = type(first.unwrapped).__name__ if spec is None else str(spec.id)
    told, threshold = (None, None) if spec is None else (spec.max_episode_steps, spec.reward_threshold)
    return Environment(
        name, make, *_checked(first, name), limit or told, threshold, renewed=name.startswith(REMEMBERING)
    )


def _checked(first: Any, name: str) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    for part in ("observation_space", "action_space"):
        if not isinstance(getattr(first, part, None), spaces.Space):
            held = (
                f"its {part} is a {type(getattr(first, part)).__name__}"
                if hasattr(first, part)
                else f"it has no {part}"
            )
            raise BadInput(f"{name} breaks a rule of Gymnasium: {held}, where a space of gymnasium.spaces must be.")
    return first.observation_space, first.action_space


def _made_by(source: Callable[[], Any]) -> Any:
    try:
        found = source()
    except TypeError as error:
        raise BadInput(
            f"the function that makes the environment failed ({_line(error)}). It takes no values."
        ) from error
    except Exception as error:  # whatever a user's function raises
        raise BadInput(
            f"the function that makes the environment failed ({type(error).__name__}: {_line(error)})."
        ) from error
    if not isinstance(found, gymnasium.Env):
        raise BadInput(f"the function made a {type(found).__name__}, which is no environment of Gymnasium.")
    return found


def _copied(source: Any) -> Any:
    try:
        return copy.deepcopy(source)
    except Exception as error:  # whatever a user's object does when it is copied
        name = type(source.unwrapped).__name__
        raise BadInput(f"{name} cannot be copied ({_line(error)}). Give a function that makes one.") from error


def _with(environment: Any, limit: int | None) -> Any:
    return environment if limit is None else gymnasium.wrappers.TimeLimit(environment, limit)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
