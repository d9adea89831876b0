"""The loop: the one way anything is trained.

`train(stages)` runs each stage's learner on its source by its recipe. A step is: batch, then for each phase loss,
backward, clip, step; then `after_step`, moving average, clock. An epoch's end is: validate, keep the best, stop
early, tell. Anyone could write their own with the same learner.

What makes a killed run end with the same bits as an unbroken one:

- every random draw of a step comes from a generator seeded by the clock just before it, so no generator is carried;
- state is taken only at *save points*, steps that are a function of the data's size alone; a checkpoint is the state
  of a save point, and so is what the NaN guard rolls back to;
- the wall clock of a budget is read only at save points, and what it decides is in the checkpoint (`Clock.plan`).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from decet.contracts import Batch, Clock, Learner, Loss, Stage
from decet.errors import BadInput, Diverged, listed
from decet.settings import joined
from decet.training.average import Average, reestimate
from decet.training.backward import backward
from decet.training.checkpoint import copy_tree, read_tree, write_tree
from decet.training.memory import kept
from decet.training.optimizers import Optimizer
from decet.training.precision import autocast, resolve
from decet.training.progress import Quiet, Show
from decet.training.recipe import rate

CHECKPOINT = "checkpoint/state.safetensors"
SAVE_STEPS = (100, 100)  # short epochs: a save point at the first end after so many steps; long ones: every so many
WRITE_SECONDS = 5.0  # checkpoints are written to the disk at most so often
TRIES = 6  # halvings of the rate before a run that is not finite is given up
KEPT_BACK = 0.05  # share of a budget kept for what comes after training
SETTLING = 10  # batches by which the means of batch norms are estimated anew for averaged weights

OnEpoch = Callable[[dict[str, Any]], Any]


@dataclass
class Outcome:
    """How training went. history: one dict an epoch; best_epoch: whose weights were kept (None = the last)."""

    history: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    best_epoch: int | None = None
    interrupted: bool = False
    resumed: bool = False


def train(
    stages: Sequence[Stage],
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    budget: float | None = None,
    folder: Path | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    on_epoch: OnEpoch | None = None,
    show: Show | None = None,
) -> Outcome:
    """Train the stages one after the other, in place.

    budget: seconds for all stages; the rate is annealed in time whatever the machine does.
    folder: where checkpoints go; None = nowhere. resume: go on from the checkpoint there, if there is one.
    identity: what must be equal for a checkpoint to belong to this run (data, settings).
    on_epoch: called with each epoch's record; a true answer stops the stage.

    An interrupt (Ctrl-C) ends training at the next step and keeps the best so far; a second one raises.
    Raises BadInput for a checkpoint of another run, Diverged when the loss stays not finite.
    """
    device, show = torch.device(device), show or Quiet()
    outcome = Outcome()
    path = None if folder is None else folder / CHECKPOINT
    saved = _checkpoint(path, identity or {}) if resume and path is not None else None
    outcome.resumed = saved is not None
    if resume and saved is None:
        show.say(f"nothing to resume in {folder}: starting afresh")
    deadline = None if budget is None else time.monotonic() + budget * (1 - KEPT_BACK) - (saved or {}).get("spent", 0.0)
    began = time.monotonic() - (saved or {}).get("spent", 0.0)
    with _surroundings(device, saved), _interruptible() as interrupt:
        for number, stage in enumerate(stages):
            if saved is not None and saved["stage"] > number:
                stage.learner.to(device).load_state_dict(saved["finished"][number]["weights"])
                stage.learner.restore(saved["finished"][number]["learner"])
                continue
            run = _Run(stage, seed, device, number, len(stages), outcome, show)
            run.identity, run.path, run.began = json_of(identity or {}), path, began
            run.finished = [{"weights": s.learner.state_dict(), "learner": s.learner.state()} for s in stages[:number]]
            if deadline is not None:  # what is left is shared out equally among the stages still to come
                now = time.monotonic()
                run.deadline = now + (deadline - now) / (len(stages) - number)
            run.begin(saved)
            saved = None
            run.go(interrupt, on_epoch)
            run.end()
            if outcome.interrupted:
                break
    return outcome


class _Run:
    """One stage while it is trained: everything that changes, and how it is saved and taken back."""

    def __init__(
        self, stage: Stage, seed: int, device: torch.device, number: int, count: int, outcome: Outcome, show: Show
    ):
        self.stage, self.device, self.number, self.count = stage, device, number, count
        self.outcome, self.show = outcome, show
        self.learner: Learner = stage.learner.to(device)
        self.recipe = stage.recipe
        self.clock = Clock(seed=(seed + 7919 * number) & 0x7FFFFFFF)
        self.phases = [] if self.learner.works else list(self.learner.phases())
        moving = {id(p) for p in self.learner.parameters() if p.requires_grad}
        self.covers = len(self.phases) == 1 and {id(p) for p in self.phases[0].parameters} >= moving
        self.recipes = [joined(phase.recipe, self.recipe) for phase in self.phases]
        self.optimizers = [Optimizer(p.parameters, r) for p, r in zip(self.phases, self.recipes, strict=True)]
        self.average: Average | None = None
        if self.recipe.average or self.recipe.swa:
            self.average = Average(self.learner.averaged(), self.recipe.average or None)
        self.called: Callable[[Batch, str], Loss] = compiled(self.learner) if self.recipe.compile else self.learner
        self.sums: dict[str, tuple[float, int]] = {}  # of the epoch so far: total and count of each part
        self.best: dict[str, Any] = {}
        self.before = len(outcome.history)  # records of earlier stages
        self.scale, self.failures = 1.0, 0
        self.identity: dict[str, Any] = {}
        self.finished: list[dict[str, Any]] = []
        self.path: Path | None = None
        self.deadline: float | None = None
        self.written = -math.inf
        self.snapshot: dict[str, Any] = {}  # of the last save point
        self.initial: dict[str, Any] = {}  # of the start
        self.tried = -1  # the save point that was rolled back to last
        self.batch: Batch | None = None
        self.moved = True  # whether this step's weights moved, or gradients still accumulate
        self.began = 0.0
        self.first = self.decided = (0.0, 0)  # (time, step) when stepping began, and when the end was last decided

    # ------------------------------------------------------------------------------------------ start and end

    def begin(self, saved: Mapping[str, Any] | None) -> None:
        """Take the plan from the checkpoint, or decide it, once."""
        if saved is not None:
            self.outcome.plan = dict(saved["plan"])
            if self.outcome.plan["device"] != self.device.type:
                self.show.say(
                    f"this run began on {self.outcome.plan['device']}: on {self.device.type} its bits will differ"
                )
            self.clock.plan = [(0, 0.0, int(self.outcome.plan["steps"]))]
            before = saved["run"]["before"]
            if self.stage.guarded:
                self.initial = copy_tree(self.state()) | {"before": before, "epochs": before}
            self.outcome.history[:] = saved["history"]
            self.restore(saved["run"])
            self.snapshot = copy_tree(saved["run"]) if self.stage.guarded else self.state()
            self.show.say(f"resumed at step {self.clock.step} of {self.clock.last}")
            return
        steps = self.stage.source.steps
        last = self.recipe.steps or steps * (self.recipe.epochs or 1)
        self.clock.plan = [(0, 0.0, last)]
        short, long = SAVE_STEPS
        self.outcome.plan = {
            "threads": torch.get_num_threads(),
            "precision": resolve(self.learner, self.stage.source.example(), self.recipe, self.device),
            "save_every": long if steps > long else steps * math.ceil(short / steps),
            "steps": last,
            "device": self.device.type,
            "torch": torch.__version__,
        }
        self.save()
        self.initial = dict(self.snapshot)

    def end(self) -> None:
        """Leave the weights that predict in the learner: the best epoch's, the average's, or the last step's."""
        if self.best and (self.recipe.patience or self.outcome.interrupted):
            self.learner.load_state_dict(self.best["weights"])
            self.outcome.best_epoch = int(self.best["epoch"])
        elif self.average is not None:
            self.average._swap()
            self.settle()
        for optimizer in self.optimizers:
            optimizer.clear()

    # --------------------------------------------------------------------------------------------- the steps

    def go(self, interrupt: threading.Event, on_epoch: OnEpoch | None) -> None:
        clock, steps, save_every = self.clock, self.stage.source.steps, self.outcome.plan["save_every"]
        self.learner.train()
        tick = started = time.monotonic()
        first = clock.step + 1  # the first step also warms up, it says nothing of the pace
        while clock.step < clock.last:
            if interrupt.is_set():
                self.outcome.interrupted = True
                self.finish_epoch(on_epoch, started)
                return
            if not self.step():
                self.roll_back()
                continue
            now = time.monotonic()
            if now - tick > 0.2:
                self.tell()
                tick = now
            if clock.step % steps == 0 or clock.step == clock.last:
                stop = self.finish_epoch(on_epoch, started)
                started = time.monotonic()
                if stop:
                    return
            if clock.step == first:
                self.first = self.decided = (now, first)
            if clock.step % save_every == 0 or self.due(now):
                self.plan_again()
                self.save()
            if self.deadline is not None and now > self.deadline and clock.step < clock.last:
                self.finish_epoch(on_epoch, started)
                return

    def step(self) -> bool:
        """One step; False when its loss is not finite."""
        clock, learner = self.clock, self.learner
        seed_all(clock.key("step"), self.device)
        clock.rate = rate(self.recipe, clock.progress) * self.scale
        self.batch = batch = self.stage.source.next(clock)
        if self.stage.augment is not None:
            batch = self.stage.augment(batch, clock)
        if learner.works:
            parts = learner.work(batch, clock)
            good = self.add(parts)
        else:
            good = self.descend(batch)
        if not good:
            return False
        learner.after_step(clock)
        if self.average is not None and self.moved and clock.progress >= 1.0 - (self.recipe.swa or 1.0):
            self.average.update()
        clock.step += 1
        return True

    def descend(self, batch: Batch) -> bool:
        """Loss, backward, step, for each phase whose turn it is."""
        clock, precision, whole = self.clock, self.outcome.plan["precision"], len(self.phases) == 1
        share, due, turn = self.turn()
        self.moved = due
        for phase, recipe, optimizer in zip(self.phases, self.recipes, self.optimizers, strict=True):
            if turn % phase.every:
                continue
            if precision == "fp32":
                total, parts = self.called(batch, phase.name)
            else:
                with autocast(precision, self.device):
                    total, parts = self.called(batch, phase.name)
            named = {"loss" if whole else phase.name: total.item()}
            for name, part in parts.items():
                named[name] = part.item()
            if not self.add(named):
                return False
            if share < 1.0:
                total = total * share
            backward(total, () if self.covers else phase.parameters)
            if due:
                with autocast(precision, self.device):
                    optimizer.step(rate(recipe, clock.progress) * self.scale)
                optimizer.clear()
        return True

    def turn(self) -> tuple[float, bool, int]:
        """The share of this batch in its optimiser step, whether that step is due (accumulation), and its number."""
        every = self.recipe.accumulate or 1
        if every == 1:
            return 1.0, True, self.clock.step
        steps = self.stage.source.steps
        epoch, place = divmod(self.clock.step, steps)
        group = min(every, steps - place // every * every)
        due = (place % every) + 1 == group or self.clock.step + 1 == self.clock.last
        return 1.0 / group, due, epoch * math.ceil(steps / every) + place // every

    def add(self, parts: Mapping[str, float]) -> bool:
        """Add to the epoch's running sums, unless something is not finite."""
        for value in parts.values():
            if not math.isfinite(value):
                return False
        for name, value in parts.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, count + 1)
        return True

    def roll_back(self) -> None:
        """Back to the last save point with half the rate; give up after `TRIES`."""
        step, suspect = self.clock.step, self.batch
        scale, failures = self.scale * 0.5, self.failures + 1
        if not self.stage.guarded:
            raise Diverged(f"the loss of step {step} is not finite. Set a --recipe.lr below {self.recipe.lr}.")
        if failures > TRIES:
            raise Diverged(
                f"the loss of step {step} is not finite{_rows(suspect)}, even with the learning rate halved {TRIES} "
                f"times from {self.recipe.lr}. Look at these rows for extreme values, or set a smaller --recipe.lr."
            )
        if self.tried == self.snapshot["clock"]["step"]:  # twice from here: the save point already carries the fault
            self.snapshot = dict(self.initial)
        self.tried = self.snapshot["clock"]["step"]
        self.restore(self.snapshot)
        self.scale, self.failures = scale, failures
        if self.stage.source.urgent:  # what the file points to would be overwritten
            self.save()
        self.show.say(
            f"the loss of step {step} is not finite{_rows(suspect)}: back to step {self.clock.step}, "
            f"learning rate halved to {scale * (self.recipe.lr or 0):.3g}"
        )

    # ------------------------------------------------------------------------------------------- epochs' ends

    def finish_epoch(self, on_epoch: OnEpoch | None, started: float) -> bool:
        """Validate, keep the best, tell; True when the stage should stop."""
        if not self.sums:
            return True
        record: dict[str, Any] = {"stage": self.stage.name, "epoch": len(self.own_history()) + 1}
        record |= {"step": self.clock.step} | {name: total / count for name, (total, count) in self.sums.items()}
        record["rate"] = rate(self.recipe, self.clock.progress) * self.scale
        self.sums = {}
        metrics = dict(self.validate())
        score = metrics.pop("score", None)
        record |= metrics
        record["seconds"] = round(time.monotonic() - started, 4)
        self.outcome.history.append(record)
        stop = bool(on_epoch(dict(record))) if on_epoch is not None else False
        return self.judge(score, record["epoch"]) or stop

    def validate(self) -> dict[str, float]:
        """The metrics of held-out rows by the weights that would predict; `score` says which is best."""
        if self.stage.validate is None:
            return {}
        self.learner.eval()
        try:
            if self.average is None:
                return self.stage.validate(self.learner)
            with self.average.applied():
                self.settle()
                return self.stage.validate(self.learner)
        finally:
            self.learner.train()

    def settle(self) -> None:
        """The means of batch norms that belong to equally averaged weights, from batches of the epoch at hand."""
        if not self.recipe.swa or self.average is None or not self.average.updates:
            return
        clock = replace(self.clock)
        with autocast(self.outcome.plan["precision"], self.device):
            reestimate(self.learner, self.settling(clock))

    def settling(self, clock: Clock) -> Iterator[Batch]:
        for number in range(min(SETTLING, self.stage.source.steps, self.clock.step)):
            clock.step = self.clock.step - 1 - number
            seed_all(clock.key("settle"), self.device)
            batch = self.stage.source.next(clock)
            yield batch if self.stage.augment is None else self.stage.augment(batch, clock)

    def judge(self, score: float | None, epoch: int) -> bool:
        """Keep the weights of a better epoch; True when patience is over."""
        patience = self.recipe.patience or 0
        if score is None:
            return False
        score = -math.inf if math.isnan(score) else score
        if not self.best or score > self.best["score"]:
            if self.average is None:
                weights = copy_tree(self.learner.state_dict())
            else:
                with self.average.applied():
                    weights = copy_tree(self.learner.state_dict())
            self.best = {"score": score, "epoch": epoch, "weights": weights}
            return False
        return 0 < patience <= epoch - int(self.best["epoch"])

    def own_history(self) -> list[dict[str, Any]]:
        return self.outcome.history[self.before :]

    def tell(self) -> None:
        if self.sums:
            total, count = next(iter(self.sums.values()))
            facts = {"epoch": float(len(self.own_history()) + 1), "loss": total / count}
            last = self.outcome.history[-1] if self.outcome.history else {}
            known = ("stage", "epoch", "step", "rate", "seconds", *self.sums)
            facts |= {name: value for name, value in list(last.items()) if name not in known and _number(value)}
            facts["rate"] = rate(self.recipe, self.clock.progress) * self.scale
            self.show.step((self.number + self.clock.progress) / self.count, dict(list(facts.items())[:4]))

    # ------------------------------------------------------------------------------- save points and budget

    def due(self, now: float) -> bool:
        """Under a budget: whether a fiftieth of what was left has passed since the end was decided."""
        if self.deadline is None or self.clock.step <= self.decided[1]:
            return False
        return now - self.decided[0] > (self.deadline - self.first[0]) / 50

    def plan_again(self) -> None:
        """Under a budget: bend the end of training to the time that is left, never the progress made."""
        if self.deadline is None or self.clock.step <= self.decided[1]:
            return
        now, step = time.monotonic(), self.clock.step
        pace = max((now - then) / (step - before) for then, before in (self.first, self.decided))
        left = max(1, int((self.deadline - now) / pace))
        last = min(self.outcome.plan["steps"], self.clock.step + left)
        self.clock.plan.append((self.clock.step, self.clock.progress, last))
        self.decided = (now, self.clock.step)

    def save(self) -> None:
        """Take the state of this save point; write it to the disk if the last writing is some seconds ago."""
        state = self.state()
        if self.stage.guarded:
            state = copy_tree(state)
        self.snapshot = state | {"best": self.best}  # the best weights never change in place
        now = time.monotonic()
        if self.path is None or (now - self.written < WRITE_SECONDS and not self.stage.source.urgent):
            return
        tree = {
            "identity": self.identity,
            "stage": self.number,
            "spent": now - self.began,
            "plan": self.outcome.plan,
            "history": self.outcome.history,
            "finished": self.finished,
            "run": self.snapshot,
        }
        write_tree(self.path, tree)
        self.written = time.monotonic()
        self.stage.source.written()

    def state(self) -> dict[str, Any]:
        return {
            "clock": {"seed": self.clock.seed, "step": self.clock.step, "plan": [list(p) for p in self.clock.plan]},
            "weights": self.learner.state_dict(),
            "learner": self.learner.state(),
            "source": self.stage.source.state(),
            "optimizers": [optimizer.state() for optimizer in self.optimizers],
            "gradients": self.gradients(),
            "average": None if self.average is None else self.average.state(),
            "sums": {name: list(pair) for name, pair in self.sums.items()},
            "before": self.before,
            "epochs": len(self.outcome.history),
            "best": {},
            "scale": self.scale,
            "failures": self.failures,
        }

    def gradients(self) -> list[dict[str, torch.Tensor]]:
        """Gradients of an optimiser step that is still being accumulated."""
        return [
            {str(i): p.grad for i, p in enumerate(optimizer.parameters) if p.grad is not None}
            for optimizer in self.optimizers
        ]

    def restore(self, state: Mapping[str, Any]) -> None:
        state = copy_tree(state)
        clock = state["clock"]
        self.clock.seed, self.clock.step = clock["seed"], clock["step"]
        self.clock.plan = [(int(a), float(b), int(c)) for a, b, c in clock["plan"]]
        self.learner.load_state_dict(state["weights"])
        self.learner.restore(state["learner"])
        self.stage.source.restore(state["source"])
        for optimizer, moments, grads in zip(self.optimizers, state["optimizers"], state["gradients"], strict=True):
            optimizer.restore(moments)
            for i, p in enumerate(optimizer.parameters):
                grad = grads.get(str(i))
                p.grad = None if grad is None else torch.empty_like(p).copy_(grad)
        if self.average is not None:
            self.average.restore(state["average"])
        self.sums = {name: (total, int(count)) for name, (total, count) in state["sums"].items()}
        self.best = state["best"]
        self.scale, self.failures = state["scale"], state["failures"]
        self.before = state["before"]
        del self.outcome.history[state["epochs"] :]


def compiled(learner: Learner) -> Callable[[Batch, str], Loss]:
    """The learner's loss as torch compiles it. Raises BadInput where there is no C++ compiler."""
    names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    if not any(name and shutil.which(name) for name in names):
        raise BadInput("recipe.compile needs a C++ compiler (g++ or clang++), and there is none. Leave it out.")
    call: Callable[[Batch, str], Loss] = torch.compile(learner)
    return call


def seed_all(seed: int, device: torch.device) -> None:
    """Seed torch's generators for one step: 2 us on the CPU, where torch.manual_seed takes 70."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@contextmanager
def _surroundings(device: torch.device, saved: Mapping[str, Any] | None) -> Iterator[None]:
    """Deterministic algorithms, gradients on, the plan's threads; the caller's settings come back at the end."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    before = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), kept():
        torch.set_deterministic_debug_mode("error")  # not use_deterministic_algorithms, which loads the compiler
        memory.fill_uninitialized_memory = False  # costs time, and no empty tensor is read
        if saved is not None:
            torch.set_num_threads(int(saved["plan"]["threads"]))
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)
            memory.fill_uninitialized_memory = fill
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C raises. Only the main thread can be interrupted."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _checkpoint(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checkpoint of this very run, None when there is none. Raises BadInput for another run's."""
    for stale in path.parent.glob("*.tmp"):
        stale.unlink()
    if not path.exists():
        return None
    saved: dict[str, Any] = read_tree(path)
    parts = ("identity", "stage", "plan", "history", "finished", "run")
    if not isinstance(saved, dict) or any(part not in saved for part in parts):
        raise BadInput(f"{path} is not a checkpoint of a run. Remove it, or start with --overwrite.")
    identity = json_of(identity)
    differ = [name for name in identity if saved["identity"].get(name) != identity[name]]
    if differ:
        raise BadInput(
            f"the checkpoint in {path.parent} belongs to another run: {listed(differ)} differ. "
            f"Repeat that run's settings, choose another --out, or start anew with --overwrite."
        )
    return saved


def json_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON will give it back: tuples as lists, keys as strings."""
    back: dict[str, Any] = json.loads(json.dumps(tree))
    return back


def _rows(batch: Batch | None) -> str:
    """` (rows 3, 17, 29 and 61 more)`: the batch that went wrong, by the rows of the training data."""
    if batch is None or batch.rows is None:
        return ""
    return f" (rows {listed(batch.rows.tolist(), 3)})"


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
