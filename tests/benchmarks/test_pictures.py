"""The race on pictures: the same network by every library that core and dev have, and how records become goals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.child import Meter, Place
from benchmarks.measure import Job
from benchmarks.report import Found
from sklearn.datasets import load_digits

from benchmarks import __main__ as program
from benchmarks import cnn, convnet, pictures, resnet
from decet.training import loop


def made_task(set: str) -> convnet.Task:
    """Digits, 8 x 8 pixels; on three channels for the residual network."""
    X, y = load_digits(return_X_y=True)
    X = (X * 15).astype(np.uint8).reshape(-1, 8, 8, 1).repeat(3 if set == "cifar10" else 1, axis=3)
    flat = X.reshape(-1, X.shape[3])
    return convnet.Task(X[:1500], y[:1500], X[1500:], y[1500:], np.stack([flat.mean(0), flat.std(0)], 1))


TASKS = {name: made_task(name) for name in ("mnist", "cifar10")}


def found_of(jobs: list[Job], **values: dict[str, Any]) -> Found:
    """A record for each job of the contenders named."""
    records = [
        {"contender": job.contender, "arguments": dict(job.arguments), "part": part} | values[job.contender]
        for job in jobs
        for part in job.parts
        if job.contender in values
    ]
    return Found(records)


# ------------------------------------------------------------------------------------------------- the contenders


@pytest.mark.parametrize("set", TASKS)
def test_everybody_trains_the_same_network(set: str) -> None:
    """With decet's weights, torch's network gives decet's answers, and has nothing else to train."""
    task = TASKS[set]
    ours, theirs = convnet._learner(task, set, 0, 0.0), convnet.torch_network(task, set)
    assert convnet._count(ours) == convnet._count(theirs)
    tensors = [tensor for layer in layers_of(ours.body) for tensor in layer.state_dict().values()]
    head = [ours.head.weight, ours.head.bias]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), [*tensors, *head], strict=True)))
    pixels = convnet._pixels(task.held[:8])
    with torch.inference_mode():
        answers = theirs.eval()(convnet._normalised(pixels, task)).softmax(1)
        assert torch.allclose(ours.eval().predict((pixels,)), answers, atol=1e-5)


def layers_of(body: Any) -> Iterator[Any]:
    """decet's layers that have weights, in the order in which torch's network has them."""
    if not hasattr(body, "stages"):
        yield from (layer.filters.conv for layer in body.layers if hasattr(layer, "filters"))
        yield body.tail[0]
        return
    yield from (body.stem[0].conv, body.stem[1])
    for block in (block for stage in body.stages for block in stage):
        for conv, norm in zip(block.convs, block.norms, strict=True):
            yield from (conv.conv, norm)
        if block.project is not None:
            yield from (block.project[0].conv, block.project[1])


@pytest.mark.parametrize("library", ["decet", "decet, own recipe", "torch, no workers", "torch, our layout"])
def test_each_library_trains_for_its_time(library: str) -> None:
    task = TASKS["cifar10"]
    trained = convnet.LIBRARIES[library](task, "cifar10", 0.3, 0, "fp32")
    counts, seconds = zip(*trained.marks, strict=True)
    assert counts[0] > 0
    assert list(counts) == sorted(dict.fromkeys(counts))
    assert list(seconds) == sorted(seconds)
    assert 0.25 < seconds[-1] < 10.0
    probabilities = trained.answer(task.held)
    assert probabilities.shape == (len(task.held), task.classes)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-4)


@pytest.mark.parametrize("library", ["decet", "torch, no workers", "torch, our layout"])
def test_each_library_learns_digits(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """By steps, not by time: the clock of the contenders stands still until so many pictures are seen."""
    task = TASKS["mnist"]
    ticks = iter(range(10**9))
    monkeypatch.setattr(convnet.time, "perf_counter", lambda: next(ticks) / 25)
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(ticks) / 120)
    trained = convnet.LIBRARIES[library](task, "mnist", 1.0, 0, "fp32")
    assert trained.marks[-1][0] >= 1_500
    assert convnet.scores(trained.answer(task.held), task.truth)["accuracy"] > 0.4  # of ten classes


def test_the_loop_of_the_tutorials_falls_back_to_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.utils.data.DataLoader

    def refusing(*arguments: Any, **settings: Any) -> Any:
        if settings["num_workers"]:
            raise OSError("no shared memory")
        return real(*arguments, **settings)

    monkeypatch.setattr(torch.utils.data, "DataLoader", refusing)
    trained = convnet.LIBRARIES["torch"](TASKS["mnist"], "mnist", 0.2, 0, "fp32")
    assert trained.facts["workers"] == 0
    assert trained.marks


def test_pictures_are_shifted_and_mirrored_by_batch_and_one_by_one() -> None:
    task = TASKS["cifar10"]
    torch.manual_seed(0)
    batch = torch.arange(64 * 3 * 8 * 8).view(64, 3, 8, 8).float()
    varied = convnet._varied(batch)
    assert varied.shape == batch.shape
    assert not torch.equal(varied, batch)
    inside = varied[varied > 0]
    owner = inside // (3 * 8 * 8)
    assert (owner == torch.nonzero(varied > 0)[:, 0]).all(), "a picture is made of its own pixels"
    steps = varied[:, :, :, 1:] - varied[:, :, :, :-1]
    assert {-1.0, 1.0} <= set(steps.flatten().tolist()), "some are mirrored, some are not"
    rows = convnet._converting(task, varied=True)
    assert len(rows) == len(task.X)
    assert any(not torch.equal(rows[3][0], rows[3][0]) for _ in range(20))
    plain = convnet._converting(task, varied=False)[5]
    assert torch.allclose(plain[0], convnet._normalised(convnet._pixels(task.X[5:6]), task)[0], atol=1e-5)
    assert plain[1] == task.y[5]


def test_a_rate_is_the_median_stretch_after_the_first() -> None:
    marks = [(10, 9.0), (20, 10.0), (30, 11.0), (40, 13.0), (50, 13.5)]
    assert convnet.rate_of(marks, 10) == 10.0  # 1.1, then 10, 10, 5, 20
    assert convnet.rate_of(marks, 20) == pytest.approx(20 / 3)
    assert convnet.rate_of(marks[:1], 10) == pytest.approx(10 / 9)
    assert convnet.rate_of([(5, 2.0)], 10) == 2.5


def test_stretches_divide_an_epoch() -> None:
    assert convnet.stretch(60_000 // 128) == 13
    assert convnet.stretch(50_000 // 128) == 13
    assert convnet.stretch(31) == 1
    assert convnet.stretch(8) == 8


def test_some_rows_are_spread_over_all() -> None:
    assert list(convnet.spread(10, None)) == list(range(10))
    assert list(convnet.spread(10, 3)) == [0, 4, 9]
    assert list(convnet.spread(2, 5)) == [0, 1]


def test_the_official_parts_are_prepared(data_folder: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path)
    found = convnet.prepare(Meter(), place, "mnist", 300)
    task = convnet.read(tmp_path)
    assert task.X.shape == task.held.shape == (300, 28, 28, 1)
    assert task.classes == 10
    assert task.scale[0, 0] == pytest.approx(task.X.mean())
    assert found["precision"] in ("fp32", "bf16")
    result = convnet.train(Meter(), place, "mnist", "torch, our layout", 0.3, 0)
    assert result["rate"] > 0
    assert result["parameters"] == 1_199_882  # of the tutorials' network
    assert set(result) >= {"accuracy", "loss", "seconds", "pictures", "precision"}


# ------------------------------------------------------------------------------------------------ works and goals


def test_every_contender_has_a_turn_of_equal_time_with_a_seed_of_its_own() -> None:
    for set in TASKS:
        jobs = pictures._speed_jobs(set, quick=False, runs=3)
        assert [job.contender for job in jobs] == list(convnet.LIBRARIES) * 3
        assert {job.arguments["seconds"] for job in jobs} == {pictures.SECONDS}
        assert [job.arguments["seed"] for job in jobs[:: len(convnet.LIBRARIES)]] == [0, 1, 2]
        keras = next(job for job in jobs if job.contender == "keras-torch, our layout")
        assert keras.environment == {"KERAS_BACKEND": "torch"}
        assert not keras.ours
        assert keras.imports[:2] == ("keras", "torch")


def test_the_better_way_of_running_a_peer_counts() -> None:
    rates = {"decet": 900.0, "torch": 300.0, "torch, no workers": 400.0, "torch, our layout": 900.0}
    rates |= {"keras-jax": 450.0, "keras-torch": 90.0, "decet, own recipe": 700.0}
    values = {name: {"rate": rate, "peak_above_mb": rate, "accuracy": rate / 1000} for name, rate in rates.items()}
    values["decet, own recipe"]["accuracy"] = 0.93
    found = found_of(pictures._speed_jobs("mnist", quick=False, runs=3), **values)
    goals = {goal.what.removeprefix("MNIST: decet's "): goal for goal in pictures._speed_goals("mnist", found)}
    assert goals["pictures/s / those of the plain fp32 loop with a DataLoader"].value == 2.25
    assert goals["pictures/s / those of the plain fp32 loop with a DataLoader"].verdict == "missed"
    assert goals["pictures/s / those of Keras 3 (faster backend)"].value == 2.0
    assert goals["pictures/s / those of the loop with decet's precision and layout"].verdict == "met"
    assert goals["pictures/s / those of Keras 3 with decet's precision (faster backend)"].verdict == "not measured"
    assert goals["peak memory above imports / that of the leanest, keras-torch"].value == 10.0
    ahead = goals["test accuracy at equal time, own recipe, minus that of the best, torch, our layout"]
    assert ahead.value == pytest.approx(0.03)
    assert ahead.verdict == "met"


def test_a_table_of_speed_has_a_row_for_everybody() -> None:
    jobs = pictures._speed_jobs("cifar10", quick=True, runs=1)
    values = {"decet": {"rate": 50.0, "precision": "bf16", "parameters": 12}, "torch": {"rate": 25.0}}
    table = pictures._speed_report("cifar10", found_of(jobs, **values), Path()).tables[0]
    assert [row[0] for row in table.rows] == list(convnet.LIBRARIES)
    assert table.rows[0][1:5] == ["bf16", "50", "50 - 50", "1.00"]
    assert table.rows[2][4] == "2.00"
    assert all(len(row) == len(table.header) for row in table.rows)


def test_baselines_are_those_of_the_package() -> None:
    from decet.baselines import picture_baselines

    assert set(picture_baselines()) == set(pictures.BASELINES)


def test_a_baseline_answers_the_official_test_part(data_folder: Path, tmp_path: Path) -> None:
    name = "logistic regression on HOG"
    found = pictures.baseline(Meter(), Place(tmp_path, tmp_path), "mnist", name, 500, 0)
    assert found["rows"] == 500
    assert 0.8 < found["accuracy"] < 1.0


def test_families_can_be_named_together_and_works_by_name() -> None:
    parser = program._parser()
    works = {"cnn": cnn.WORKS, "resnet": resnet.WORKS}
    names = {family: [w.name for w in own] for family, own in program._chosen(parser, works, ["speed"]).items()}
    assert names == {"cnn": ["speed"], "resnet": ["speed"]}
    names = {family: [w.name for w in own] for family, own in program._chosen(parser, works, ["cifar-8"]).items()}
    assert names == {"resnet": ["cifar-8"]}
    assert len(program._chosen(parser, works, None)["resnet"]) == len(resnet.WORKS)


def test_a_work_that_no_family_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program._chosen(program._parser(), {"cnn": cnn.WORKS, "resnet": resnet.WORKS}, ["cifar-9"])
    said = capsys.readouterr().err
    assert "cnn, resnet have no work 'cifar-9'. Works: speed, mnist, cifar-8, cifar-25, cifar-60, stream." in said
