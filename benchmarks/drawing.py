"""Contenders that learn to draw digits, by decet and by loops as their documentation shows them, and one judge of all.

The digits are MNIST's training part. A judge by decet's recipe ("decet-judge-1") is trained on all of it, and sees
10,000 drawn pictures beside the 10,000 of the official test part, which nobody has trained on or chosen by.

- decet: `ImageGenerator(family).fit(...)` where what is drawn counts; where pictures a second count, the loop that it
  runs, on resident pictures, with the precision it chooses.
- DCGAN: the plain loop of 1511.06434 and of PyTorch's tutorial: batch norms, Adam at 2e-4 with a first beta of .5,
  batches of 128, the last generator, a `DataLoader` over a `Dataset` that converts one picture at a time.
- diffusers: its U-Net, `DDPMScheduler` and the loop of its tutorial: AdamW at 1e-4, 500 steps of warm-up, a cosine,
  gradients clipped at 1; labels by its own embedding.
- "our layout": either with decet's precision, channels-last, resident pictures, fused optimisers, and the U-Net on
  squares of pixels as decet's.

Work in training is counted as torch counts products of matrices and convolutions, gradients among them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from benchmarks.child import Meter, Place
from benchmarks.convnet import rate_of, spread
from benchmarks.measure import source_digest

BATCH = 128
CHANNELS = (48, 96, 192)  # of a GAN's players, the finest map's first
LATENT = 100
UNET, GROUPS, FOLD = (28, 56), 14, 2  # of diffusers' U-Net: its scales' channels; squares that are one position
LABELS = 10
TIMES = 1_000  # of diffusers' schedules
STRETCH = 10 * BATCH  # pictures whose time is one measurement
MEASURED = 20  # evaluations whose time is measured
COUNTED = 8  # pictures of a step whose work is counted
WORKERS = 2
DECET = ("torch", "decet.estimators.catalog", "decet.estimators.picture_fits", "decet.training.loop")
DIFFUSERS = ("torch", "diffusers.models.unets.unet_2d", "diffusers.schedulers")


class Digits(NamedTuple):
    """X (n, 28, 28) uint8 and y (n,) int64 to learn from; those of the official test part."""

    X: Any
    y: Any
    held: Any
    truth: Any


def prepare(meter: Meter, place: Place, rows: int | None) -> dict[str, Any]:
    """The digits as arrays, and the judge. rows: of each part, evenly spread (None = all)."""
    import numpy as np
    import torch

    from decet.data.datasets import load
    from decet.estimators import judge as judging
    from decet.training.loop import train

    parts = []
    for split in ("train", "test"):
        loaded = load("mnist", split)
        labels = np.unique(loaded.y, return_inverse=True)[1].astype(np.int64)
        places = spread(len(labels), rows)
        parts += [loaded.X.take(places).pixels((28, 28), 1).pixels[..., 0], labels[places]]
    digits = Digits(*parts)
    for name, array in digits._asdict().items():
        np.save(place.scratch / f"{name}.npy", np.ascontiguousarray(array))
    pixels, known = _pixels(digits.X), torch.from_numpy(digits.y)[:, None]
    judge = judging.Judge.begun(_spec(digits), LABELS, 0, torch.device("cpu"))
    train([judging.stage(judge.learner, pixels, known, torch.arange(len(pixels)))])
    judge.settle(pixels, np.arange(len(pixels)))
    np.savez(place.scratch / "judge.npz", **judge.state())
    told = judge.see(_pixels(digits.held))[1].numpy()
    return {"rows": len(pixels), "accuracy": float((told == digits.truth).mean())}


def digits_of(place: Place) -> Digits:
    import numpy as np

    return Digits(*(np.load(place.scratch / f"{name}.npy") for name in Digits._fields))


def judged(place: Place, digits: Digits, made: Any, labels: Any = None, few: int = 0) -> dict[str, float | None]:
    """What the judge sees in drawn pictures (n, 28, 28) beside all test pictures. labels (n,): what they are to be.
    few: of so many of them the Frechet distance, too."""
    import numpy as np
    import torch

    from decet.estimators.judge import Judge
    from decet.estimators.picturing import figures_of
    from decet.tasks.fidelity import balance

    with np.load(place.scratch / "judge.npz") as arrays:
        judge = Judge.restore(dict(arrays), _spec(digits), LABELS, torch.device("cpu"))
    known = None if labels is None else torch.from_numpy(labels)
    figures = figures_of(judge, _pixels(digits.held), _pixels(made), known, _pixels(digits.X))
    told = balance(judge.see(_pixels(made))[1], LABELS)
    figures |= {"departure": told["departure"], "seldomest": min(told["shares"]), "commonest": max(told["shares"])}
    if few:
        figures["few"] = figures_of(judge, _pixels(digits.held), _pixels(made[:few]), None)["frechet"]
    return figures


def _pixels(X: Any) -> Any:
    """(n, 28, 28) as a tensor (n, 1, 28, 28)."""
    import torch

    return torch.from_numpy(X).unsqueeze(1)


def _spec(digits: Digits) -> Any:
    from decet.contracts import ImageSpec

    return ImageSpec(1, 28, 28, scale=((float(digits.X.mean()), float(digits.X.std())),))


# ------------------------------------------------------------------------------------------------------------ decet


def family_of(name: str) -> Any:
    """The settings of a decet contender; None: as the map has it."""
    from decet import CNN, GAN, Diffusion

    match name:
        case "DCGAN":
            critic = CNN(channels=CHANNELS, norm="batch")
            return GAN(generator=CNN(channels=CHANNELS), critic=critic, latent=LATENT, loss="vanilla")
        case "GAN":
            return GAN()
        case "DDPM":
            return Diffusion.plain()
        case _:
            return Diffusion()


def _begun(family: str, digits: Digits, seed: int) -> tuple[Any, Any]:
    """A learner, and the recipe that the map has for it."""
    import torch

    from decet.estimators.catalog import ImageGenerator
    from decet.settings import joined
    from decet.training.recipe import FALLBACK, Recipe

    spec, said = _spec(digits), family_of(family)
    cell = next(cell for cell in ImageGenerator.row if cell.family is type(said))
    advice = cell.advise(spec, len(digits.X), None)
    torch.manual_seed(seed)
    if family == "DCGAN":  # what it does not say is as its paper has it, not as the map
        learner = said.learner(spec)
    else:
        learner = joined(said, advice.family).learner(spec, LABELS)
    return learner, joined(Recipe(batch=BATCH, epochs=100_000), advice.recipe, FALLBACK)


def speed(meter: Meter, place: Place, family: str, seconds: float, seed: int) -> dict[str, Any]:
    """Pictures a second of decet's loop."""
    import torch

    from decet.contracts import Batch, Clock, Stage
    from decet.data.resident import Resident
    from decet.training import loop

    digits, marks = digits_of(place), list[tuple[int, float]]()
    learner, recipe = _begun(family, digits, seed)

    class Stamped(Resident):
        """Notes when each batch is asked for: then the ones before are done."""

        done = 0

        def next(self, clock: Clock) -> Batch:
            batch = super().next(clock)
            if self.done:
                marks.append((self.done, time.perf_counter() - started))
            self.done += len(batch.target)
            return batch

    source = Stamped((_pixels(digits.X),), torch.from_numpy(digits.y)[:, None], batch=BATCH)
    started = time.perf_counter()
    outcome = loop.train([Stage(learner, source, recipe)], seed=seed, budget=seconds / (1 - loop.KEPT_BACK))
    marks.append((source.done, time.perf_counter() - started))
    meter.stop()
    found = {"rate": rate_of(marks, STRETCH), "pictures": marks[-1][0], "precision": outcome.plan["precision"]}
    return found | _count(learner) | {"seed": seed}


def draws(meter: Meter, place: Place, seed: int, count: int) -> dict[str, Any]:
    """Seconds an evaluation of one picture takes where decet draws."""
    import torch

    from decet.tasks.draw import Draw, drawn

    learner, _ = _begun("Diffusion", digits_of(place), seed)
    labels, how = torch.arange(count) % LABELS, Draw("dpm", MEASURED).how()
    learner.eval()
    drawn(learner, labels, slice(0, count), 0, how._replace(steps=1), torch.device("cpu"))
    seconds = _median_seconds(lambda: drawn(learner, labels, slice(0, count), 0, how, torch.device("cpu")))
    return {"evaluation": seconds / count / MEASURED, "seed": seed} | _count(learner)


def quality(
    meter: Meter,
    place: Place,
    family: str,
    labelled: bool,
    steps: int,
    seed: int,
    count: int,
    few: int,
    ways: list[list[Any]],
) -> dict[str, Any]:
    """`ImageGenerator` trained for so many steps, then judged. ways: samplers and evaluations a picture, of diffusion.
    few: of so many of the pictures the distance, too.

    A run that is cut goes on where it was, and a model that is there is judged again, as long as decet's sources are
    the same: its folder stands beside the records.
    """
    import numpy as np

    from decet import DataWarning, ImageGenerator, Recipe, load

    digits = digits_of(place)
    name = f"{family}-{'labelled' if labelled else 'plain'}-{steps}-seed{seed}-{len(digits.X)}-{source_digest()}"
    out = place.keep / name
    if (out / "model.json").exists():
        model: Any = load(out)
    else:  # DDPM as 2006.11239 has it, but for what the map says of pictures of this size
        recipe = Recipe(steps=steps, schedule="constant" if family == "DDPM" else None)
        model = ImageGenerator(family_of(family), labelled=labelled, recipe=recipe, seed=seed, device="cpu")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            model.fit(digits.X, digits.y, out=out, resume=True)
    meter.stop()
    pictures = steps * model.recipe_.batch
    found = {
        "seconds": sum(record["seconds"] for record in model.history_),
        "arithmetic": model.plan_["precision"],
        "seed": seed,
    }
    found |= {"pictures": pictures, "work": work_of(model.learner_, labelled) * pictures / 1e12}
    labels = np.arange(count) % LABELS if labelled else None
    names = None if labels is None else model.classes_[labels]
    for way in ways or [[]]:
        how = {"sampler": way[0], "steps": way[1]} if way else {}
        made = model.generate(count, label=names, **how)
        found |= _told(place, digits, made, labels, few, way)
    _show(place.keep / f"{name}.png", made)
    return found | _count(model.learner_)


def _told(place: Place, digits: Digits, made: Any, labels: Any, few: int, way: list[Any]) -> dict[str, Any]:
    """Figures by name, and by the way in which the pictures were drawn."""
    figures = judged(place, digits, made, labels, few)
    return {f"{name}@{way[0]} {way[1]}" if way else name: value for name, value in figures.items()}


def anchors(meter: Meter, place: Place, kind: str, count: int) -> dict[str, Any]:
    """What figures mean: those of other real digits, which a few of the training part are, and of a Gaussian's."""
    from decet.baselines import PixelGaussian

    digits = digits_of(place)
    rows = spread(len(digits.X), count)
    if kind == "real":
        return judged(place, digits, digits.X[rows], digits.y[rows])
    gaussian = PixelGaussian().fit(digits.X[..., None], None)
    return judged(place, digits, gaussian.sample(count, 0)[..., 0])


def grown(meter: Meter, place: Place, family: str | None, few: int, times: int, seed: int) -> dict[str, Any]:
    """Test accuracy of `ImageClassifier` that has learned of so few digits, as many of each kind, and of so many times
    as many that a generator drew which learned of the same few. family: the generator's; None: no drawn ones."""
    import numpy as np

    from decet import DataWarning, ImageClassifier, ImageGenerator

    digits, drawn = digits_of(place), np.random.default_rng(seed)
    kinds = [np.flatnonzero(digits.y == label) for label in range(LABELS)]
    rows = np.concatenate([drawn.choice(kind, few // LABELS, replace=False) for kind in kinds])
    X, y, started = digits.X[rows], digits.y[rows], time.perf_counter()
    copied = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        if family is not None:
            generator = ImageGenerator(family_of(family), seed=seed, device="cpu").fit(X, y)
            X, y = generator.augment(X, y, times * few)
            copied = generator.metrics_.get("copied")
        generating = time.perf_counter() - started
        model = ImageClassifier(seed=seed, device="cpu").fit(X, y)
        scores = model.evaluate(digits.held, digits.truth)
    meter.stop()
    return {
        "accuracy": scores["accuracy"], "loss": scores["log_loss"], "copied": copied, "rows": len(X), "seed": seed,
        "generating": generating, "seconds": time.perf_counter() - started,
    }  # fmt: skip


def _show(path: Path, made: Any) -> None:
    """A sheet of the first hundred pictures, to be looked at."""
    from decet.estimators.sheets import write_sheet

    write_sheet(path, made[:100])


@contextmanager
def counted() -> Iterator[list[int]]:
    """FLOP of each product of matrices and convolution within, by torch's own formulas.

    torch's FlopCounterMode cannot be had: it bears no gradients of gradients.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    work: list[int] = []

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = function(*args, **(kwargs or {}))
            if (formula := flop_registry.get(function._overloadpacket)) is not None:
                work.append(formula(*args, **(kwargs or {}), out_val=found))
            return found

    with Counter():
        yield work


def work_of(learner: Any, labelled: bool) -> float:
    """FLOP a picture of a training step, the mean over the steps of lazy penalties."""
    import copy

    import torch

    from decet.contracts import Batch, Clock
    from decet.training.backward import backward

    learner = copy.deepcopy(learner).train()  # for a step moves the means of norms
    target = torch.arange(COUNTED)[:, None] % LABELS if labelled else torch.zeros(COUNTED, 1, dtype=torch.int64)
    batch = Batch((torch.zeros(COUNTED, 1, 28, 28, dtype=torch.uint8),), target)
    turns = max(1, getattr(learner.settings, "lazy", 1) or 1)
    with (  # by their definitions, not by the quicker ways that do the same with less
        patch("decet.nn.winograd.pays", lambda *_: False),
        patch("decet.nn.narrow.pays", lambda *_: False),
        counted() as work,
    ):
        for step in range(turns):
            learner.restore({"turn": step})
            for phase in learner.phases():
                backward(learner.loss(batch, phase.name).total, phase.parameters)
                for parameter in learner.parameters():
                    parameter.grad = None
            learner.after_step(Clock(step=step))
    return float(sum(work)) / turns / COUNTED


def _count(*networks: Any) -> dict[str, int]:
    return {"parameters": sum(p.numel() for network in networks for p in network.parameters())}


def _median_seconds(once: Callable[[], Any], times: int = 3) -> float:
    from statistics import median

    found = []
    for _ in range(times):
        started = time.perf_counter()
        once()
        found.append(time.perf_counter() - started)
    return median(found)


# ------------------------------------------------------------------------------------------------------ plain loops


class Loop(NamedTuple):
    """A plain loop. step: a batch (B, 1, 28, 28), -1 to 1, and labels (B,) -> nothing; draw: labels -> (n, 28, 28)."""

    networks: tuple[Any, ...]
    step: Callable[[Any, Any], None]
    draw: Callable[..., Any]


def dcgan(precision: str = "fp32", ours: bool = False) -> Loop:
    """As PyTorch's tutorial has it, on pictures of 28 pixels."""
    import torch
    from torch import nn

    a, b, c = CHANNELS
    generator = nn.Sequential(
        nn.ConvTranspose2d(LATENT, c, 4, 1, 0, bias=False), nn.BatchNorm2d(c), nn.ReLU(True),
        nn.ConvTranspose2d(c, b, 4, 2, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(True),
        nn.ConvTranspose2d(b, a, 4, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU(True),
        nn.ConvTranspose2d(a, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(1, a, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, True),
        nn.Conv2d(b, c, 4, 2, 2, bias=False), nn.BatchNorm2d(c), nn.LeakyReLU(0.2, True),
        nn.Conv2d(c, 1, 4, 1, 0, bias=False), nn.Flatten(0),
    )  # fmt: skip
    for part in (*generator.modules(), *critic.modules()):
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
    if ours:
        generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion = nn.BCEWithLogitsLoss()
    of_critic, of_generator = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=ours or None)
        for network in (critic, generator)
    )
    short = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def step(real: Any, labels: Any) -> None:
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        of_critic.zero_grad()
        with short:
            loss = criterion(critic(real).float(), ones)
        loss.backward()
        with short:
            fake = generator(torch.randn(len(real), LATENT, 1, 1))
            other = criterion(critic(fake.detach()).float(), zeros)
        other.backward()
        of_critic.step()
        of_generator.zero_grad()
        with short:
            told = criterion(critic(fake).float(), ones)
        told.backward()
        of_generator.step()
        loss.item(), told.item()  # for the progress line

    @torch.no_grad()
    def draw(labels: Any) -> Any:
        return generator(torch.randn(len(labels), LATENT, 1, 1))[:, 0]

    return Loop((generator, critic), step, draw)


def unet(precision: str = "fp32", ours: bool = False, steps: int = 10_000) -> Loop:
    """As diffusers' tutorial has it, with labels, on pictures of 28 pixels. ours: on squares of them, as decet's."""
    import torch
    import torch.nn.functional as F
    from diffusers.models.unets.unet_2d import UNet2DModel
    from diffusers.optimization import get_cosine_schedule_with_warmup
    from diffusers.schedulers import DDPMScheduler

    fold = FOLD if ours else 1
    model = UNet2DModel(
        sample_size=28 // fold, in_channels=fold**2, out_channels=fold**2, layers_per_block=1,
        block_out_channels=UNET, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), norm_num_groups=GROUPS, attention_head_dim=UNET[0],
        num_class_embeds=LABELS,
    )  # fmt: skip
    if ours:
        model.to(memory_format=torch.channels_last)
    scheduler = DDPMScheduler(num_train_timesteps=TIMES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=ours or None)
    rates = get_cosine_schedule_with_warmup(optimizer, min(500, steps // 10), steps)
    short = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def step(clean: Any, labels: Any) -> None:
        clean = F.pixel_unshuffle(clean, fold) if fold > 1 else clean
        noise, when = torch.randn_like(clean), torch.randint(0, TIMES, (len(clean),))
        noisy = scheduler.add_noise(clean, noise, when)
        with short:
            told = model(noisy, when, class_labels=labels, return_dict=False)[0]
        loss = F.mse_loss(told.float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        loss.item()

    @torch.no_grad()
    def draw(labels: Any, sampler: str = "DDPM", evaluations: int = TIMES) -> Any:
        """As its pipelines do, and as they would with labels."""
        stepper = scheduler_of(sampler, scheduler.config)
        stepper.set_timesteps(evaluations)
        x = torch.randn(len(labels), fold**2, 28 // fold, 28 // fold)
        for when in stepper.timesteps:
            with short:
                told = model(x, when, class_labels=labels, return_dict=False)[0]
            x = stepper.step(told.float(), when, x).prev_sample
        return (F.pixel_shuffle(x, fold) if fold > 1 else x)[:, 0]

    return Loop((model,), step, draw)


def scheduler_of(sampler: str, config: Any) -> Any:
    from diffusers.schedulers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    kinds = {"DDPM": DDPMScheduler, "DDIM": DDIMScheduler, "DPM-Solver++": DPMSolverMultistepScheduler}
    return kinds[sampler].from_config(config)


def batches(digits: Digits, resident: bool) -> Iterator[tuple[Any, Any]]:
    """Pictures (B, 1, 28, 28), -1 to 1, and labels (B,), epoch after epoch; whole batches."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    X, y = digits.X, digits.y

    class Converting(Dataset[Any]):
        """As torchvision's with its transforms: each picture a tensor of -1 to 1, when it is asked for."""

        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, row: int) -> tuple[Any, int]:
            pixels = torch.from_numpy(X[row]).unsqueeze(0).float().div(255)
            return (pixels - 0.5) / 0.5, int(y[row])

    pixels, labels = _pixels(X), torch.from_numpy(y)
    while True:
        if resident:
            for index in torch.randperm(len(X)).split(BATCH)[: len(X) // BATCH]:
                found = pixels[index].float().div(127.5).sub(1)
                yield found.contiguous(memory_format=torch.channels_last), labels[index]
        else:
            yield from DataLoader(Converting(), BATCH, shuffle=True, drop_last=True, num_workers=WORKERS)


def plain_speed(
    meter: Meter, place: Place, loop: str, ours: bool, precision: str, seconds: float, seed: int
) -> dict[str, Any]:
    """Pictures a second of a plain loop."""
    import torch

    torch.manual_seed(seed)
    digits, marks, done = digits_of(place), list[tuple[int, float]](), 0
    networks, step, _ = {"dcgan": dcgan, "unet": unet}[loop](precision, ours)
    started = time.perf_counter()
    for pictures, labels in batches(digits, resident=ours):
        step(pictures, labels)
        done += len(labels)
        marks.append((done, time.perf_counter() - started))
        if marks[-1][1] >= seconds:
            break
    meter.stop()
    found = {"rate": rate_of(marks, STRETCH), "pictures": done, "precision": precision, "seed": seed}
    return found | _count(*networks)


def plain_draws(meter: Meter, place: Place, ours: bool, precision: str, seed: int, count: int) -> dict[str, Any]:
    """Seconds an evaluation of one picture takes where diffusers draws."""
    import torch

    torch.manual_seed(seed)
    networks, _, draw = unet(precision, ours)
    labels = torch.arange(count) % LABELS
    networks[0].eval()
    draw(labels, "DPM-Solver++", 1)
    seconds = _median_seconds(lambda: draw(labels, "DPM-Solver++", MEASURED))
    return {"evaluation": seconds / count / MEASURED, "seed": seed} | _count(*networks)


def plain_quality(
    meter: Meter, place: Place, loop: str, steps: int, seed: int, count: int, few: int, ways: list[list[Any]]
) -> dict[str, Any]:
    """A plain loop after so many steps, judged. ways: samplers and their evaluations, of diffusion. Of the two modes in
    which a DCGAN may draw the one that comes nearer."""
    import torch

    torch.manual_seed(seed)
    digits, started = digits_of(place), time.perf_counter()
    networks, step, draw = dcgan() if loop == "dcgan" else unet(steps=steps)
    for number, (pictures, labels) in enumerate(batches(digits, resident=True), 1):
        if number == 1:
            with counted() as work:
                step(pictures, labels)
        else:
            step(pictures, labels)
        if number == steps:
            break
    meter.stop()
    found = {"seconds": time.perf_counter() - started, "arithmetic": "fp32", "seed": seed}
    found |= {"pictures": steps * BATCH, "work": sum(work) * steps / 1e12}
    parts = [torch.arange(i, min(i + BATCH, count)) % LABELS for i in range(0, count, BATCH)]
    labels = torch.cat(parts).numpy() if loop == "unet" else None
    best: dict[str, Any] = {}
    for mode in (
        (False, True) if loop == "dcgan" else (False,)
    ):  # norms' running means, or, as its tutorial, the batch's
        for network in networks:
            network.train(mode)
        for way in ways or [[]]:
            drawn = torch.cat([draw(part, *way) for part in parts])
            made = ((drawn.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
            told = _told(place, digits, made, labels, few, way)
            if way or not best or told["frechet"] < best["frechet"]:
                best |= told
    _show(place.keep / f"{loop}-{steps}-seed{seed}-{len(digits.X)}.png", made)
    return found | best | _count(*networks)
