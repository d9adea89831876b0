"""Contenders that learn to act, and what else of acting is measured, each in a process of its own, one thread.

- decet: `Agent(steps=, seed=).fit(id)`, nothing else said but `OURS`.
- Stable-Baselines3: its DQN with the tuned settings of the RL zoo (hyperparams/dqn.yml; LunarLander's are v2's).

Both are watched alike. After each so many steps of the environment the network at hand plays 20 episodes greedily;
where their mean reaches the threshold, 100 further ones must confirm it. These looks are no part of either library and
on no clock. decet tries its networks by itself during a fit and keeps the best: these trials are on the whole clock,
not on that of training. In the end 100 further episodes judge the network that is kept (decet: by its own trials;
Stable-Baselines3: by the looks, as the zoo's EvalCallback keeps it) and the last one. Every look and judgement begins
its episodes by the same seeds for everybody, in Gymnasium's own environments with their limits of time.

Both have learned a little before the clock begins, so that what is loaded with the first step is not on it. The peak of
memory is above the imports, and has all of that in it, and the games of the looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.child import Meter, Place

PEER = "Stable-Baselines3"
IMPORTS = {
    "decet": ("torch", "gymnasium", "decet.estimators.catalog", "decet.training.loop", "decet.data.classic_kernels"),
    PEER: ("torch", "gymnasium", "stable_baselines3"),
    "Gymnasium": ("gymnasium",),
}
LOOK, JUDGED = 20, 100  # episodes
LOOKS, CONFIRMING, JUDGING = 1_000_000, 2_000_000, 3_000_000  # seeds of the first episode
OFTEN, COPIED = 0.5, 100  # over-estimation: steps of learning for each of the environment's, and until a copy is made
OURS = {"Acrobot-v1": {"quantiles": 25}}  # DQN's settings where they are not all the default's
WARM = 4_000  # steps of what is learned before the clock begins

_ALIKE = {
    "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0, "gamma": 0.99,
    "target_update_interval": 250, "train_freq": 4, "gradient_steps": -1, "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
}  # fmt: skip
ZOO = {  # all of them with two layers of 256
    "CartPole-v1": {
        "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1_000, "gamma": 0.99,
        "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128, "exploration_fraction": 0.16,
        "exploration_final_eps": 0.04,
    },
    "MountainCar-v0": {
        "learning_rate": 4e-3, "batch_size": 128, "buffer_size": 10_000, "learning_starts": 1_000, "gamma": 0.98,
        "target_update_interval": 600, "train_freq": 16, "gradient_steps": 8, "exploration_fraction": 0.2,
        "exploration_final_eps": 0.07,
    },
    "Acrobot-v1": _ALIKE,
    "LunarLander-v3": _ALIKE,
}  # fmt: skip


class Judge:
    """Plays a game greedily, side by side, always from the same begins."""

    def __init__(self, game: str) -> None:
        import gymnasium

        self.games = [gymnasium.make(game) for _ in range(JUDGED)]

    def play(self, act: Callable[[Any], Any], episodes: int, seed: int) -> Any:
        """Returns (episodes,) of what act: observations (N, ...) -> actions (N, ...) does."""
        import numpy as np

        shown = [self.games[i].reset(seed=seed + i)[0] for i in range(episodes)]
        returns, going = np.zeros(episodes), list(range(episodes))
        while going:
            actions = act(np.stack([shown[i] for i in going]))
            still = []
            for i, action in zip(going, actions, strict=True):
                shown[i], reward, terminated, truncated, _ = self.games[i].step(action)
                returns[i] += float(reward)
                if not (terminated or truncated):
                    still.append(i)
            going = still
        return returns


@dataclass
class Course:
    """When a contender reached what, by looks that are on no clock."""

    judge: Judge
    threshold: float
    every: int  # steps between looks
    began: float = field(default_factory=time.perf_counter)
    aside: float = 0.0  # seconds of looks
    trials: float = 0.0  # seconds of what the library itself tries
    best: float = float("-inf")  # of the looks' means
    due: int = 0  # steps at the next look
    reached: int | None = None  # steps at the first look whose mean is the threshold's
    solved: dict[str, Any] = field(default_factory=lambda: {"solved_seconds": None, "solved_whole": None})

    def clocks(self) -> tuple[float, float]:
        """Seconds of training, and with the library's own trials."""
        whole = time.perf_counter() - self.began - self.aside
        return whole - self.trials, whole

    def look(self, steps: int, act: Callable[[Any], Any]) -> bool:
        """A look, where one is due; whether it was better than all before."""
        if steps < self.due:
            return False
        started, (training, whole) = time.perf_counter(), self.clocks()
        self.due = (steps // self.every + 1) * self.every
        mean = float(self.judge.play(act, LOOK, LOOKS).mean())
        if mean >= self.threshold:
            self.reached = steps if self.reached is None else self.reached
            if self.solved["solved_seconds"] is None:
                sure = float(self.judge.play(act, JUDGED, CONFIRMING).mean())
                if sure >= self.threshold:
                    self.solved = {"solved_seconds": training, "solved_whole": whole, "solved_steps": steps}
        better, self.best = mean > self.best, max(mean, self.best)
        self.aside += time.perf_counter() - started
        return better

    def told(self, steps: int, seed: int, training: float, whole: float) -> dict[str, Any]:
        """What is recorded of a whole course."""
        return {
            "seed": seed, "threads": 1, "steps": steps, "reached": self.reached, **self.solved, "seconds": training,
            "whole_seconds": whole, "rate": steps / training, "best_look": self.best,
        }  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- the duel


def decet(meter: Meter, place: Place, game: str, steps: int, seed: int, threshold: float, every: int) -> dict[str, Any]:
    """By decet. steps: of the environment; those at random by which vectors are scaled are counted among them where a
    threshold is reached."""
    import torch

    from decet import DQN, Agent

    torch.set_num_threads(1)
    family = DQN(**OURS.get(game, {}))
    Agent(family, steps=WARM, seed=seed, trials=1).fit(game)
    course = Course(Judge(game), threshold, every)
    with watched(course) as seen:
        model = Agent(family, steps=steps, seed=seed).fit(game)
    whole = course.clocks()[1]
    meter.stop()
    training = seen["ended"] - course.trials
    found = course.told(seen["steps"](), seed, training, whole) | {"trials": course.trials}
    kept = course.judge.play(choosing(model.learner_, model.codec_), JUDGED, JUDGING)
    model.learner_.load_state_dict(seen["last"])
    last = course.judge.play(choosing(model.learner_, model.codec_), JUDGED, JUDGING)
    return found | {"kept": float(kept.mean()), "last": float(last.mean())}


def choosing(learner: Any, codec: Any) -> Callable[[Any], Any]:
    """Observations (N, ...) -> the best actions by a learner."""
    import torch

    from decet.data.playing import greedy

    return lambda shown: codec.actions(greedy(learner.values, codec, shown[:, None], torch.device("cpu")))


@contextmanager
def watched(course: Course) -> Iterator[dict[str, Any]]:
    """Have every fit within looked at between its steps, and its trials timed: its stages go through `Stage`'s two
    doors, the source's `next` and `validate`. Yields what was seen: steps(), ended (seconds), last (weights)."""
    from decet.estimators import agents

    seen: dict[str, Any] = {}
    train = agents.train

    def training(stages: list[Any], **said: Any) -> Any:
        outcome = train([_watched(stage, course, seen) for stage in stages], **said)
        seen["ended"] = course.clocks()[1]
        return outcome

    with patch.object(agents, "train", training):
        yield seen


def _watched(stage: Any, course: Course, seen: dict[str, Any]) -> Any:
    from decet.estimators.agents import MET

    source, learner = stage.source, stage.learner
    act, draw = choosing(learner, source.codec), source.next
    scaling = 0 if source.codec.picture else MET
    seen["steps"] = lambda: source.met + scaling

    def drawn(clock: Any) -> Any:
        if seen["steps"]() >= course.due:
            learner.eval()
            course.look(seen["steps"](), act)
            learner.train()
        return draw(clock)

    def tried(learner: Any) -> Any:
        started = time.perf_counter()
        found = stage.validate(learner)
        course.trials += time.perf_counter() - started
        seen["last"] = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
        return found

    source.next = drawn
    return replace(stage, validate=tried)


def stable_baselines3(
    meter: Meter, place: Place, game: str, steps: int, seed: int, threshold: float, every: int
) -> dict[str, Any]:
    """By Stable-Baselines3's DQN with the zoo's settings."""
    import gymnasium
    import torch
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback

    def made(**said: Any) -> Any:
        settings = {**ZOO[game], "policy_kwargs": {"net_arch": [256, 256]}, **said}
        return DQN("MlpPolicy", gymnasium.make(game), seed=seed, device="cpu", **settings)

    torch.set_num_threads(1)
    made(learning_starts=0, buffer_size=WARM).learn(WARM)
    course = Course(Judge(game), threshold, every)
    model = made()
    best = model.policy.state_dict()

    def act(shown: Any) -> Any:
        return model.predict(shown, deterministic=True)[0]

    class Looking(BaseCallback):
        def _on_step(self) -> bool:
            nonlocal best
            if course.look(self.num_timesteps, act):
                best = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
            return True

    model.learn(steps, callback=Looking())
    training, whole = course.clocks()
    meter.stop()
    found = course.told(model.num_timesteps, seed, training, whole) | {"trials": 0.0}
    last = course.judge.play(act, JUDGED, JUDGING)
    model.policy.load_state_dict(best)
    kept = course.judge.play(act, JUDGED, JUDGING)
    return found | {"kept": float(kept.mean()), "last": float(last.mean())}


# ---------------------------------------------------------------------------------------------------------- by itself


def control(meter: Meter, place: Place, game: str, steps: int, seed: int) -> dict[str, Any]:
    """decet alone: figures of 100 episodes, and seconds of the whole fit."""
    from decet import DQN, Agent

    started = time.perf_counter()
    model = Agent(DQN(**OURS.get(game, {})), steps=steps, seed=seed).fit(game)
    seconds = time.perf_counter() - started
    meter.stop()
    return {"seed": seed, "seconds": seconds, **model.evaluate(episodes=JUDGED)}


def overestimation(meter: Meter, place: Place, game: str, steps: int, seed: int, double: bool) -> dict[str, Any]:
    """The network of 2015, its target with or without double: what it expected of its trials' first observations, and
    the discounted return that it was given then. It learns and is copied often, so that its values have spread."""
    from decet import DQN, Agent

    family = replace(DQN.plain(), double=double, ratio=OFTEN, follow=COPIED)
    model = Agent(family, steps=steps, seed=seed, trials=LOOK).fit(game)
    curve = [[record[name] for name in ("steps", "expected", "given", "return")] for record in model.history_]
    return {"seed": seed, "curve": curve}


# ----------------------------------------------------------------------------------------------------- steps a second


def rate_decet(meter: Meter, place: Place, copies: int, seconds: float) -> dict[str, Any]:
    """Steps a second of decet's compiled CartPole, no learning; steps that only begin an episode are not counted."""
    from decet.data.actors import actors_of
    from decet.data.environments import Environments, opened

    actors = actors_of(opened("CartPole-v1"), Environments(), 0, copies)
    chosen = _drawn(copies)

    def turn() -> int:
        episodes = int(actors.episodes.sum())
        for row in chosen:
            actors.step(row)
        return chosen.size - (int(actors.episodes.sum()) - episodes)

    return _pace(turn, seconds)


def rate_gymnasium(meter: Meter, place: Place, copies: int, seconds: float, mode: str) -> dict[str, Any]:
    """The same by Gymnasium's vector environments: "sync", or its own vectorised CartPole, "vector_entry_point"."""
    import gymnasium
    import numpy as np

    games = gymnasium.make_vec("CartPole-v1", num_envs=copies, vectorization_mode=mode)
    games.reset(seed=0)
    chosen = _drawn(copies)
    over = np.zeros(copies, bool)

    def turn() -> int:
        nonlocal over
        begun = 0
        for row in chosen:
            begun += int(np.count_nonzero(over))
            _, _, terminated, truncated, _ = games.step(row)
            over = terminated | truncated
        return int(chosen.size) - begun

    return _pace(turn, seconds)


def _drawn(copies: int) -> Any:
    """Actions at random (T, E), about 30,000 of them."""
    import numpy as np

    return np.random.Generator(np.random.Philox(0)).integers(0, 2, (max(16, 30_000 // copies), copies))


def _pace(turn: Callable[[], int], seconds: float) -> dict[str, Any]:
    """The median rate of turns, each of which tells its steps; the first one warms up."""
    from statistics import median

    turn()
    rates, began = list[float](), time.perf_counter()
    while len(rates) < 3 or time.perf_counter() - began < seconds:
        started = time.perf_counter()
        steps = turn()
        rates.append(steps / (time.perf_counter() - started))
    return {"rate": median(rates), "threads": 1}


# ------------------------------------------------------------------------------------------------------------- frames

FRAME = 84 * 84  # bytes
STACKED = 4
ROOM = 1.3  # times the frames' bytes that must be free


def frames_decet(meter: Meter, place: Place, frames: int, copies: int) -> dict[str, Any]:
    """Resident memory of decet's replay memory, every row of it written, over the bytes of the frames drawn from."""
    import numpy as np

    from decet.data.replay import Replay

    need = frames * FRAME
    if (free := _free()) < ROOM * need:
        return {"skipped": f"{free / 1e9:.1f} GB are free, {ROOM * need / 1e9:.1f} are needed"}
    meter.start()
    replay = Replay(frames, copies, (84, 84), np.uint8, 1, STACKED)
    shown = np.random.Generator(np.random.Philox(0)).integers(0, 256, (copies, 84, 84), np.uint8)
    chosen, rewards, flags = np.zeros((copies, 1), np.int16), np.ones(copies, np.float32), np.zeros(copies, np.uint8)
    for number in range(replay.length):
        shown[:, 0, 0] = number % 256
        replay.add(shown, chosen, rewards, flags)
    meter.stop()
    held = meter.found()["peak_above_mb"] * 1e6
    arrays = (replay.shown, replay.chosen, replay.rewards, replay.flags)
    return {"held": held, "share": held / need, "arrays": sum(array.nbytes for array in arrays) / need}


def _free() -> float:
    """Bytes that a process can have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024.0
    raise OSError("/proc/meminfo has no MemAvailable")


def frames_peer(meter: Meter, place: Place, frames: int, copies: int, lean: bool) -> dict[str, Any]:
    """What the arrays of Stable-Baselines3's ReplayBuffer take for as many steps of stacked frames, by their shapes: a
    buffer of 1,000 steps, times what is missing. lean: its optimize_memory_usage."""
    import numpy as np
    from gymnasium import spaces
    from stable_baselines3.common.buffers import ReplayBuffer

    few = 1_000
    shows = spaces.Box(0, 255, (STACKED, 84, 84), np.uint8)
    buffer = ReplayBuffer(
        few, shows, spaces.Discrete(4), device="cpu", n_envs=copies, optimize_memory_usage=lean,
        handle_timeout_termination=not lean,
    )  # fmt: skip
    arrays = [value for value in vars(buffer).values() if isinstance(value, np.ndarray)]
    held = sum(array.nbytes for array in arrays) * frames / few
    return {"held": held, "share": held / (frames * FRAME), "threads": 1}
