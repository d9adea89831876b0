"""The classic control tasks, compiled: what Gymnasium's do, step for step, for many copies at once; made by numba.

CartPole (Barto, Sutton & Anderson, 1983), Acrobot (Sutton, 1996), MountainCar and its continuous form (Moore, 1990),
Pendulum. `tests/data/test_classic_kernels.py` plays each beside Gymnasium's own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from decet.data.actors import (
    ACROBOT,
    BEGUN,
    CARTPOLE,
    CONTINUOUS_CAR,
    MOUNTAIN_CAR,
    ON,
    PENDULUM,
    TERMINATED,
    TRUNCATED,
)
from decet.data.walk_kernels import bits, compiled

TILT = 12 * 2 * math.pi / 360
DRAWS = 8  # numbers drawn for the begin of an episode, at most


@compiled
def uniform(seed: int, place: int, low: float, high: float) -> float:
    """A number between low and high, a function of a seed and a place."""
    drawn = bits(np.uint64(seed), np.uint64(place)) >> np.uint64(11)
    return low + (high - low) * (np.float64(drawn) / 9007199254740992.0)


@compiled
def clipped(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


@compiled
def begun(task: int, state: Any, seed: int, place: int) -> None:
    """Fill state with the begin of an episode."""
    if task == CARTPOLE:
        for i in range(4):
            state[i] = uniform(seed, place + i, -0.05, 0.05)
    elif task == ACROBOT:
        for i in range(4):
            state[i] = np.float64(np.float32(uniform(seed, place + i, -0.1, 0.1)))
    elif task in (MOUNTAIN_CAR, CONTINUOUS_CAR):
        state[0], state[1] = uniform(seed, place, -0.6, -0.4), 0.0
    else:
        state[0] = uniform(seed, place, -math.pi, math.pi)
        state[1] = uniform(seed, place + 1, -1.0, 1.0)


@compiled
def seen(task: int, state: Any, shown: Any) -> None:
    """Fill shown with what is seen of a state."""
    if task == ACROBOT:
        shown[0], shown[1] = math.cos(state[0]), math.sin(state[0])
        shown[2], shown[3] = math.cos(state[1]), math.sin(state[1])
        shown[4], shown[5] = state[2], state[3]
    elif task == PENDULUM:
        shown[0], shown[1], shown[2] = math.cos(state[0]), math.sin(state[0]), state[1]
    else:
        for i in range(len(shown)):
            shown[i] = state[i]


@compiled
def cartpole(state: Any, action: float) -> Any:
    """Reward, and whether the episode ends."""
    force = 10.0 if action == 1 else -10.0
    cos, sin = math.cos(state[2]), math.sin(state[2])
    temp = (force + 0.05 * state[3] * state[3] * sin) / 1.1
    turning = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1))
    moving = temp - 0.05 * turning * cos / 1.1
    state[0] += 0.02 * state[1]
    state[1] += 0.02 * moving
    state[2] += 0.02 * state[3]
    state[3] += 0.02 * turning
    return 1.0, abs(state[0]) > 2.4 or abs(state[2]) > TILT


@compiled
def _swung(a: float, b: float, da: float, db: float, torque: float) -> Any:
    """The accelerations of Acrobot's links (the book's equations)."""
    d1 = 0.25 + (1.0 + 0.25 + math.cos(b)) + 2.0
    d2 = 0.25 + 0.5 * math.cos(b) + 1.0
    phi2 = 0.5 * 9.8 * math.cos(a + b - math.pi / 2)
    phi1 = -0.5 * db * db * math.sin(b) - db * da * math.sin(b) + 1.5 * 9.8 * math.cos(a - math.pi / 2) + phi2
    second = (torque + d2 / d1 * phi1 - 0.5 * da * da * math.sin(b) - phi2) / (0.25 + 1.0 - d2 * d2 / d1)
    return -(d2 * second + phi1) / d1, second


@compiled
def _wrapped(x: float) -> float:
    while x > math.pi:
        x -= 2 * math.pi
    while x < -math.pi:
        x += 2 * math.pi
    return x


@compiled
def acrobot(state: Any, action: float) -> Any:
    """Reward, and whether the episode ends; a step of Runge and Kutta's of 0.2 s."""
    torque, h = action - 1.0, 0.2
    a, b, u, v = state[0], state[1], state[2], state[3]
    ku1, kv1 = _swung(a, b, u, v, torque)
    u2, v2 = u + h / 2 * ku1, v + h / 2 * kv1
    ku2, kv2 = _swung(a + h / 2 * u, b + h / 2 * v, u2, v2, torque)
    u3, v3 = u + h / 2 * ku2, v + h / 2 * kv2
    ku3, kv3 = _swung(a + h / 2 * u2, b + h / 2 * v2, u3, v3, torque)
    u4, v4 = u + h * ku3, v + h * kv3
    ku4, kv4 = _swung(a + h * u3, b + h * v3, u4, v4, torque)
    state[0] = _wrapped(a + h / 6 * (u + 2 * u2 + 2 * u3 + u4))
    state[1] = _wrapped(b + h / 6 * (v + 2 * v2 + 2 * v3 + v4))
    state[2] = clipped(u + h / 6 * (ku1 + 2 * ku2 + 2 * ku3 + ku4), -4 * math.pi, 4 * math.pi)
    state[3] = clipped(v + h / 6 * (kv1 + 2 * kv2 + 2 * kv3 + kv4), -9 * math.pi, 9 * math.pi)
    over = -math.cos(state[0]) - math.cos(state[1] + state[0]) > 1.0
    return 0.0 if over else -1.0, over


@compiled
def mountain_car(state: Any, action: float) -> Any:
    """Reward, and whether the episode ends."""
    state[1] = clipped(state[1] + (action - 1.0) * 0.001 - 0.0025 * math.cos(3 * state[0]), -0.07, 0.07)
    state[0] = clipped(state[0] + state[1], -1.2, 0.6)
    if state[0] == -1.2 and state[1] < 0:
        state[1] = 0.0
    return -1.0, state[0] >= 0.5 and state[1] >= 0.0


@compiled
def continuous_car(state: Any, action: float) -> Any:
    """Reward, and whether the episode ends. As Gymnasium's it is of float32, but for an episode's first step."""
    force = np.float32(clipped(action, -1.0, 1.0)) * np.float32(0.0015)
    place, speed = state[0], state[1]
    if np.float64(np.float32(place)) == place:
        cos = np.float32(0.0025 * math.cos(np.float64(np.float32(3) * np.float32(place))))
        moved = np.float64(np.float32(np.float32(speed) + np.float32(force - cos)))
    else:
        moved = speed + np.float64(np.float32(force - np.float32(0.0025 * math.cos(3 * place))))
    moved = np.float64(clipped(moved, -0.07, 0.07))
    if np.float64(np.float32(place)) == place:
        place = np.float64(np.float32(np.float32(place) + np.float32(moved)))
    else:
        place += moved
    place = np.float64(clipped(place, -1.2, 0.6))
    if place == -1.2 and moved < 0:
        moved = np.float64(0.0)
    over = place >= 0.45 and moved >= 0.0
    state[0], state[1] = np.float64(np.float32(place)), np.float64(np.float32(moved))
    return (100.0 if over else 0.0) - 0.1 * action * action, over


@compiled
def pendulum(state: Any, action: float) -> Any:
    """Reward, and that the episode goes on."""
    push = clipped(action, -2.0, 2.0)
    angle = (state[0] + math.pi) % (2 * math.pi) - math.pi
    cost = angle * angle + 0.1 * state[1] * state[1] + 0.001 * push * push
    state[1] = clipped(state[1] + (15.0 * math.sin(state[0]) + 3.0 * push) * 0.05, -8.0, 8.0)
    state[0] += state[1] * 0.05
    return -cost, False


@compiled
def advance(
    task: int, limit: int, seed: int, states: Any, ages: Any, episodes: Any, actions: Any, shown: Any, rewards: Any,
    flags: Any,
) -> None:  # fmt: skip
    """A step of every copy, in place: whose episode was over begins another, whatever its action."""
    copies = len(states)
    for copy in range(copies):
        if flags[copy] == TERMINATED or flags[copy] == TRUNCATED:
            episodes[copy] += 1
            ages[copy] = 0
            begun(task, states[copy], seed, (episodes[copy] * copies + copy) * DRAWS)
            rewards[copy], flags[copy] = 0.0, BEGUN
        else:
            state, action = states[copy], actions[copy]
            if task == CARTPOLE:
                reward, over = cartpole(state, action)
            elif task == ACROBOT:
                reward, over = acrobot(state, action)
            elif task == MOUNTAIN_CAR:
                reward, over = mountain_car(state, action)
            elif task == CONTINUOUS_CAR:
                reward, over = continuous_car(state, action)
            else:
                reward, over = pendulum(state, action)
            ages[copy] += 1
            rewards[copy] = reward
            flags[copy] = TERMINATED if over else TRUNCATED if ages[copy] >= limit else ON
        seen(task, states[copy], shown[copy])
