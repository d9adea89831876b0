"""The command line: what each verb prints, what it refuses and in which words, exit codes, kills and interrupts."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import decet
from decet import cli
from decet.artifact import FILES

TINY = ["--recipe.epochs", "2", "--family.width", "8", "--family.depth", "1", "--recipe.members", "1"]
CHECKPOINT = "checkpoint/state.safetensors"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def write_people(path: Path, count: int, seed: int) -> Path:
    draw = random.Random(seed)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "city", "income", "rich"])
        for _ in range(count):
            age, city = draw.randint(18, 80), draw.choice(["Rome", "Oslo", "北京"])
            income = 100 * age + draw.gauss(0, 500) + 2000 * (city == "Oslo")
            writer.writerow([age, city, round(income, 2), "yes" if income > 5000 else "no"])
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """people.csv (few rows), crowd.csv (enough rows to set some aside), and the model `m` of people.csv."""
    folder = tmp_path_factory.mktemp("cli")
    people = write_people(folder / "people.csv", 120, 0)
    write_people(folder / "crowd.csv", 5200, 1)
    assert (
        cli.main(["fit", "table-classifier", str(people), "--target", "rich", *TINY, "--out", str(folder / "m")]) == 0
    )
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder of its own, which holds links to the tables and a copy of the model."""
    for name in ("people.csv", "crowd.csv"):
        (tmp_path / name).symlink_to(folder / name)
    shutil.copytree(folder / "m", tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def run(*arguments: str) -> Done:
        code = cli.main(arguments[0].split() if len(arguments) == 1 else list(arguments))
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def started(*arguments: str, code: str = "from decet.cli import main") -> subprocess.Popen[str]:
    """A command in a process of its own."""
    program = f"import sys; {code}; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(decet.__file__).parents[1])},
    )


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


# ------------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("--help", "decet fit ESTIMATOR DATA"),
        ("fit --help", "--budget TIME"),
        ("fit table-classifier --help", "hidden layers."),
        ("fit --help table-regressor", "--loss"),
        ("fit table-classifier --recipe.help", "peak learning rate."),
        ("fit table-classifier --inputs.help", "--inputs.drop"),
        ("fit table-classifier --family DNN --family.help", "--family.sigma"),
        ("fit agent --help", "--family.network NAME"),
        ("fit agent --family.network DNN --family.network.help", "--family.network.width"),
        ("predict --help", "--out FILE"),
        ("fit text-classifier --help", "--family.kernels"),
        ("fit text-classifier --inputs.help", "--inputs.unit"),
        ("fit word-embedder --help", "--family.window"),
        ("similar --help", "--minus WORD"),
        ("evaluate -h", "--split PART"),
        ("verify --help", "MODEL"),
        ("show --help", "--json"),
        ("cells --help", "--json"),
        ("datasets --help", "NAME"),
    ],
)
def test_each_help_page_fits_a_screen(line: str, has: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert cli.main(line.split()) == 0
    except SystemExit as end:  # argparse's way
        assert end.code == 0
    page = capsys.readouterr().out.rstrip("\n").split("\n")
    assert len(page) <= 50
    assert max(map(len, page)) <= 100
    assert any(has in text for text in page)


def test_the_front_page_is_quick_and_loads_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    heavy = "{'torch', 'sklearn', 'pandas', 'numpy', 'jsonargparse', 'yaml', 'rich'}"
    done = started(code=f"from decet.cli import main; main(['--help']); print({heavy} & set(sys.modules)); exit()")
    out, _ = done.communicate(timeout=30)
    assert out.endswith("set()\n")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5


def test_no_verb_at_all_shows_the_front_page(run: Run) -> None:
    assert run("") == run("--help")


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"decet {decet.__version__}\n", "")


# -------------------------------------------------------------------------------------------------------------- fit


def test_fit_prints_figures_and_saves(run: Run) -> None:
    done = run(f"fit table-classifier people.csv --target rich --out new {' '.join(TINY)}")
    assert done.code == 0
    assert done.out.startswith("TableClassifier with DNN on people.csv: 120 rows, ")
    assert "on rows it was not trained on (5-fold cross-fitting):\n  log_loss " in done.out
    assert done.err.endswith("saved in new\n")
    assert sorted(os.listdir("new")) == sorted(FILES)
    assert decet.verify("new")


def test_fit_without_out_says_that_nothing_was_saved(run: Run) -> None:
    done = run(f"fit table-regressor people.csv --target age,income --json {' '.join(TINY)}")
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["estimator"], told["rows"], told["out"]) == ("TableRegressor", 120, None)
    assert set(told["metrics"]) == {"rmse", "mae", "r2"}
    assert "nothing was saved. Say --out DIR to keep the model.\n" in done.err


def test_fit_goes_on_from_a_model_and_takes_rows_to_validate_on(run: Run) -> None:
    done = run(f"fit table-classifier people.csv --target rich --start m --validation crowd.csv {' '.join(TINY)}")
    assert done.code == 0
    assert "on rows it was not trained on (rows given):" in done.out
    assert "tensors were taken from m.\n" in done.err


def test_warnings_about_the_data_are_one_line_each(run: Run) -> None:
    Path("copy.csv").write_text(
        "".join(f"{line},{line.split(',')[-1]}\n" for line in Path("people.csv").read_text().splitlines()[:60]).replace(
            "rich,rich", "wealthy,rich"
        )
    )
    done = run(f"fit table-classifier copy.csv --target rich {' '.join(TINY)}")
    assert done.code == 0
    warned = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert any(line.startswith("warning: column 'wealthy' gives the target away") for line in warned)
    assert any("leave it out with --inputs.drop COL." in line for line in warned)


def test_a_folder_that_holds_a_run_is_refused(run: Run) -> None:
    line = f"fit table-classifier people.csv --target rich {' '.join(TINY)}"
    refusal = "decet: m already holds a run (model.json). Say --resume, --overwrite, or another --out.\n"
    assert run(f"{line} --out m") == (2, "", refusal)


def test_overwrite_keeps_the_old_model_until_the_new_one_is_whole(run: Run) -> None:
    before = {name: Path("m", name).read_bytes() for name in FILES}
    line = "fit table-classifier people.csv --overwrite --out m"
    assert run(f"{line} --target rick {' '.join(TINY)}").err.endswith("Did you mean 'rich'?\n")
    assert {name: Path("m", name).read_bytes() for name in FILES} == before
    assert run(f"{line} --target rich --seed 7 {' '.join(TINY)}").code == 0
    assert Path("m", "weights.safetensors").read_bytes() != before["weights.safetensors"]
    assert sorted(os.listdir("m")) == sorted(FILES)


def test_a_file_of_the_users_own_is_never_replaced(run: Run) -> None:
    Path("project").mkdir()
    Path("project", "README.md").write_text("mine")
    done = run(f"fit table-classifier people.csv --target rich --out project --overwrite {' '.join(TINY)}")
    assert done == (
        2,
        "",
        "decet: project holds a README.md of your own, which a model would replace. Choose another folder.\n",
    )
    assert Path("project", "README.md").read_text() == "mine"


def test_resume_with_nothing_to_resume_starts_afresh(run: Run) -> None:
    done = run(f"fit table-classifier people.csv --target rich --out new --resume {' '.join(TINY)}")
    assert done.code == 0
    assert done.err.startswith("there is nothing to resume in new: starting afresh.\n")


def test_resume_of_a_finished_model_does_nothing(run: Run) -> None:
    done = run(f"fit table-classifier people.csv --target rich --out m --resume {' '.join(TINY)}")
    assert done == (0, "", "m holds a finished model: nothing to resume. Say --overwrite to train anew.\n")


def test_a_refused_fit_leaves_no_folder_behind(run: Run) -> None:
    assert run(f"fit table-regressor people.csv --target city --out new {' '.join(TINY)}").code == 2
    assert not Path("new").exists()


def test_config_in_and_out(run: Run) -> None:
    line = f"fit table-classifier people.csv --target rich --recipe.lr 1e-3 {' '.join(TINY)}"
    printed = run(f"{line} --print-config").out
    Path("c.yaml").write_text(printed)
    assert run("fit --config c.yaml --print-config").out == printed
    assert run("fit --config c.yaml --out a").code == 0
    assert run(f"{line} --out b").code == 0
    weights = "weights.safetensors"
    assert Path("a", weights).read_bytes() == Path("b", weights).read_bytes()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("fot", "there is no verb 'fot'. Did you mean 'fit'?"),
        ("fit table-classifer people.csv", "there is no estimator 'table-classifer'. Did you mean 'table-classifier'?"),
        (
            "fit table-classifier people.csv --recipe.epochs many",
            "--recipe.epochs must be a whole number of at least 1. Received: 'many'.",
        ),
        (
            "fit table-classifier people.csv",
            "which column of people.csv is the target? Say --target COL. Columns: age, city, income, rich.",
        ),
        (
            "fit table-classifier people.csv --target rick",
            "target column 'rick' is not in the table. Did you mean 'rich'?",
        ),
        (
            "fit table-regressor people.csv --target rich",
            "the target holds text ('yes' in row 0), TableRegressor needs numbers. Did you mean table-classifier?",
        ),
        ("fit table-classifier peeple.csv --target rich", "there is no file 'peeple.csv'. Did you mean 'people.csv'?"),
        ("fit table-classifier adlt", "no such path or public set: 'adlt'. Did you mean 'adult'?"),
        (
            "fit table-classifier people.csv --target rich --recipe.metric acuracy",
            "--recipe.metric 'acuracy' is not a metric of this task. Did you mean 'accuracy'?",
        ),
        (
            "fit table-classifier people.csv --target rich --seed -1",
            "--seed must be a whole number of at least 0 and below 2**62. Received: -1.",
        ),
        (
            "fit table-classifier people.csv --target rich --device gpu",
            "--device 'gpu' cannot be used here (there is no such kind). Try 'cpu', 'cuda' or 'auto'.",
        ),
        (
            "fit table-classifier people.csv --target rich --budget 3 --recipe.epochs 2",
            "--budget and --recipe.epochs both say how long to train; keep one.",
        ),
        (
            "fit table-classifier people.csv --target rich --groups town",
            "--groups names the column 'town', which the table does not have. Choose from: age, city, income.",
        ),
        ("fit table-classifier people.csv --target rich --start mm", "there is no model folder mm. Did you mean 'm'?"),
        (
            "fit table-classifier people.csv --target rich --out people.csv",
            "people.csv is a file, not a folder. Choose another --out.",
        ),
        (
            "fit table-classifier people.csv --target rich --out /proc/none",
            "/proc/none cannot be written (no such file or directory). Choose another folder.",
        ),
        ("predict m", "decet predict needs either DATA or --text S. See decet predict --help."),
        ("predict m people.csv --ot x.csv", "there is no flag --ot. Did you mean '--out'?"),
        ("predict m people.csv --out", "--out needs a value."),
        ("predict m people.csv --coverage abc", "--coverage must be a number. Received: 'abc'."),
        ("evaluate m people.csv --cache 1.5", "--cache must be a whole number. Received: '1.5'."),
        ("predict m people.csv --out x.txt", "--out must end in .csv, .parquet, .jsonl. Received: 'x.txt'."),
        (
            "predict m people.csv --out no/x.csv",
            "--out no/x.csv cannot be written. Choose a file in a folder that is there and writable.",
        ),
        ("predict n people.csv", "there is no model folder n. Choose from: m."),
        (
            "evaluate m people.csv --split tests",
            "--split must be one of 'train', 'validation', 'test'. Received: 'tests'. Did you mean 'test'?",
        ),
        (
            "evaluate m people.csv --split test",
            "people.csv has no official test part, only some public sets do. Leave --split out.",
        ),
        (
            "evaluate m people.csv --split validation",
            "the validation rows of people.csv were chosen inside fit; `decet show MODEL` has the figures on them. "
            "Say --split test, or give rows of your own.",
        ),
        ("evaluate m iris --split test", "'iris' has no official test part. Load all of it, and split it by seed."),
        ("verify n", "there is no model folder n. Choose from: m."),
        ("show m more", "decet show does not know what to do with 'more'."),
        ("cells --jsn", "there is no flag --jsn. Did you mean '--json'?"),
        ("datasets irs", "there is no public set 'irs'. Did you mean 'iris'?"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(run: Run, line: str, sentence: str) -> None:
    assert run(line) == (2, "", f"decet: {sentence}\n")


# ------------------------------------------------------------------------------------------------ predict, evaluate


def test_predict_prints_one_json_line_an_item(run: Run) -> None:
    done = run("predict m people.csv")
    rows = [json.loads(line) for line in done.out.splitlines()]
    model = decet.load("m")
    frame = pd.read_csv("people.csv")
    assert [row["answer"] for row in rows] == model.predict(frame).tolist()
    assert [list(row["probabilities"]) for row in rows[:1]] == [["no", "yes"]]
    chances = [list(row["probabilities"].values()) for row in rows]
    assert chances == pytest.approx(model.predict_proba(frame), abs=1e-6)
    assert done.err == ""


def test_predict_writes_files_by_their_suffix(run: Run) -> None:
    lines = [json.loads(line) for line in run("predict m people.csv").out.splitlines()]
    for name in ("p.csv", "p.parquet", "p.jsonl"):
        done = run(f"predict m people.csv --out {name}")
        assert done == (0, "", f"120 answers in {name}\n")
    assert [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()] == lines
    of_csv, of_parquet = pd.read_csv("p.csv"), pd.read_parquet("p.parquet")
    columns = ["answer", "probabilities.no", "probabilities.yes", "set", "unlike"]
    assert list(of_csv) == list(of_parquet) == columns
    assert [json.loads(own) for own in of_csv["set"]] == [line["set"] for line in lines]
    assert of_csv["answer"].tolist() == of_parquet["answer"].tolist() == [line["answer"] for line in lines]
    assert of_parquet["probabilities.yes"].tolist() == [line["probabilities"]["yes"] for line in lines]
    assert not [name for name in os.listdir() if name.startswith(".p")]


@pytest.mark.filterwarnings("ignore")
def test_predict_tells_pictures_that_cannot_be_read_and_fails_where_none_can(run: Run) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 8, 8), dtype=np.uint8)
    family = decet.CNN(layers=(4, "pool", "gap"))
    decet.ImageClassifier(family, recipe=decet.Recipe(epochs=1)).fit(pixels, np.arange(24) % 2).save("eyes")
    Path("seen").mkdir()
    Image.fromarray(pixels[0]).save("seen/a.png")
    Path("seen/b.png").write_text("not a picture")
    done = run("predict eyes seen")
    assert done.code == 0
    assert [json.loads(line)["error"] for line in done.out.splitlines()] == [None, "no picture: text"]
    assert done.err.strip() == "decet: 1 of 2 pictures could not be read: b.png (no picture: text)."
    for more in ("", " --out answers.csv"):
        done = run(f"predict eyes seen/b.png{more}")
        assert done.code == 2
        assert "1 of 1 pictures could not be read" in done.err


NARROW = "--family CNN --family.width 8 --family.channels 4 --recipe.epochs 3 --recipe.batch 8"


def write_reviews(path: Path) -> None:
    """60 lines of text whose class is told by one word of them."""
    words = {"good": ("fine", "clean", "friendly"), "bad": ("dirty", "rude", "slow")}
    lines = [f"the room {i} was {words[label][i % 3]},{label}" for i in range(30) for label in words]
    path.write_text("\n".join(["review,label", *lines]), encoding="utf-8")


@pytest.mark.filterwarnings("ignore")
def test_texts_are_learned_from_a_table_and_answered_by_line_file_and_literal(run: Run) -> None:
    write_reviews(Path("reviews.csv"))
    done = run(f"fit text-classifier reviews.csv --target label {NARROW} --out t")
    assert done.code == 0, done.err
    assert done.out.startswith("TextClassifier with CNN on reviews.csv: 60 rows")
    model = decet.load("t")
    two = ["the room was clean", "slow, and the host was rude"]
    Path("two.txt").write_text("\n".join(two))
    rows = [json.loads(line) for line in run("predict t two.txt").out.splitlines()]
    assert [row["answer"] for row in rows] == model.predict(two).tolist()
    assert [
        json.loads(line) for line in run("predict", "t", "--text", two[0], "--text", two[1]).out.splitlines()
    ] == rows
    assert len(run("predict t reviews.csv").out.splitlines()) == 60
    assert json.loads(run("evaluate t reviews.csv --json").out) == model.evaluate("reviews.csv")
    assert "vocabulary of" in run("show t").out
    assert run("verify t").code == 0
    characters = run(f"fit text-classifier reviews.csv --target label {NARROW} --inputs.unit characters --out c")
    assert characters.code == 0
    assert "characters, up to" in run("show c").out


def test_texts_that_cannot_be_answered_are_told(run: Run) -> None:
    write_reviews(Path("reviews.csv"))
    assert run(f"fit text-classifier reviews.csv --target label {NARROW} --out t").code == 0
    told = "decet: decet predict needs either DATA or --text S. See decet predict --help.\n"
    assert run("predict t") == (2, "", told)
    assert run("predict t reviews.csv --text fine") == (2, "", told)
    assert run("predict m --text fine") == (
        2,
        "",
        "decet: --text is for models of texts, and m is a table-classifier. Give DATA.\n",
    )
    assert run("predict", "t", "a fine room") == (
        2,
        "",
        "decet: no such path or public set: 'a fine room'. "
        "A text itself is given in a list, or to decet predict by --text.\n",
    )
    assert run(f"fit text-classifier reviews.csv {NARROW}") == (
        2,
        "",
        "decet: which column of reviews.csv is the target? Say --target COL. Columns: review, label.\n",
    )
    assert run("fit text-classifier reviews.csv --target label --inputs.unit word").err == (
        "decet: --inputs.unit must be one of 'words', 'characters', 'pieces'. Received: 'word'. Did you mean 'words'?\n"
    )
    Path("latin.txt").write_bytes("fine\ncaf\u00e9".encode("latin-1"))
    assert run("predict t latin.txt").err.startswith("decet: 'latin.txt' is not utf-8: byte 0xe9 at offset 8 (line 2")


def test_predict_of_several_columns_names_them(run: Run) -> None:
    assert run(f"fit table-classifier people.csv --target rich,city --out two {' '.join(TINY)}").code == 0
    row = json.loads(run("predict two people.csv").out.splitlines()[0])
    assert set(row["answer"]) == set(row["probabilities"]) == {"rich", "city"}
    assert list(row["probabilities"]["city"]) == ["Oslo", "Rome", "北京"]
    assert run(f"fit table-regressor people.csv --target age,income --out both {' '.join(TINY)}").code == 0
    row = json.loads(run("predict both people.csv").out.splitlines()[0])
    assert list(row) == ["answer", "interval", "unlike"]
    assert list(row["answer"]) == list(row["interval"]) == ["age", "income"]
    assert row["interval"]["age"]["low"] < row["answer"]["age"] < row["interval"]["age"]["high"]


def test_predict_takes_another_coverage(run: Run) -> None:
    few, many = (
        [json.loads(line)["set"] for line in run(f"predict m people.csv --coverage {c}").out.splitlines()]
        for c in (0.5, 0.98)
    )
    assert sum(map(len, few)) < sum(map(len, many))
    assert (
        "coverage must be a number between 0.01 and 0.999. Received: 95.0."
        in run("predict m people.csv --coverage 95").err
    )
    told = json.loads(run("evaluate m people.csv --json --coverage 0.5").out)
    assert told["set_size"] == pytest.approx(sum(map(len, few)) / len(few))


def test_predict_of_label_sets_lists_them(run: Run) -> None:
    with open("sets.jsonl", "w") as file:
        for i in range(60):
            file.write(json.dumps({"a": i, "b": i % 7, "tags": ["x", "y"] if i > 30 else ["z"]}) + "\n")
    assert run(f"fit table-classifier sets.jsonl --target tags --out sets {' '.join(TINY)}").code == 0
    row = json.loads(run("predict sets sets.jsonl").out.splitlines()[0])
    assert set(row["answer"]) <= {"x", "y", "z"} == set(row["probabilities"])


def test_predict_says_when_categories_are_new(run: Run) -> None:
    Path("new.csv").write_text("age,city,income\n30,Bern,4000\n")
    done = run("predict m new.csv")
    assert len(done.out.splitlines()) == 1
    assert done.err == (
        "warning: categories that training saw hardly or never, answered through the unknown slot: 'city' (1 rows).\n"
    )


def test_a_model_of_arrays_refuses_another_number_of_columns(run: Run) -> None:
    frame = pd.read_csv("people.csv")
    model = decet.TableClassifier(recipe=decet.Recipe(epochs=1), class_weight={0: 1, 1: 2})
    model.fit(frame[["age", "income"]].to_numpy(), (frame["rich"] == "yes").to_numpy(int)).save("arrays")
    frame[["age", "income"]].to_csv("two.csv", index=False)
    frame[["age"]].to_csv("one.csv", index=False)
    assert len(run("predict arrays two.csv").out.splitlines()) == 120
    assert run("predict arrays one.csv") == (2, "", "decet: the table has 1 columns, training had 2.\n")
    assert run("evaluate arrays two.csv") == (2, "", "decet: evaluate needs answers: --target COL.\n")


def test_a_closed_pipe_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does, once it has seen enough
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run("predict m crowd.csv") == (0, "", "")


def test_standard_input_is_a_table(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    of_file = run("predict m people.csv").out
    with open("people.csv") as table:
        monkeypatch.setattr(sys, "stdin", table)
        assert run("predict m -").out == of_file


def test_a_report_is_written_into_the_model_folder(run: Run, tmp_path: Path) -> None:
    done = run("evaluate m people.csv --report")
    assert done.code == 0
    assert "report in m/report.html\n" in done.err
    page = (tmp_path / "m" / "report.html").read_text()
    assert "on 120 rows of people.csv" in page
    assert "decet evaluate m people.csv --report" in page
    assert run("verify m").code == 0
    done = run("fit", "table-classifier", "people.csv", "--target", "rich", *TINY, "--out", "n", "--report")
    assert "report in n/report.html\n" in done.err
    assert "on rows it was not trained on" in (tmp_path / "n" / "report.html").read_text()
    assert run("fit table-classifier people.csv --target rich --report").err == (
        "decet: --report needs --out: the folder that holds the run.\n"
    )


def test_a_report_on_a_public_set_looks_at_its_test_part(run: Run, tmp_path: Path, data_folder: Path) -> None:
    few = ["--recipe.steps", "3", "--family.width", "8", "--family.depth", "1", "--recipe.members", "1"]
    assert run("fit", "table-classifier", "adult", *few, "--out", "a", "--report").code == 0
    page = (tmp_path / "a" / "report.html").read_text()
    assert "on 16,281 rows of adult" in page
    (copies,) = re.findall(r"([\d,]+) rows are copies of rows", page)  # people of whom all the same is known
    assert 0 < int(copies.replace(",", "")) < 200


def test_words_near_to_a_word_a_map_and_the_page(run: Run, tmp_path: Path) -> None:
    Path("texts.txt").write_text(
        "the cat sat on the mat\nthe dog sat on the rug\n我喜歡吃蘋果\n" * 20, encoding="utf-8"
    )
    Path("pairs.tsv").write_text("cat\tdog\t8\ncat\trug\t1\nmat\trug\t7\n")
    quick = ["--family.width", "8", "--recipe.epochs", "1"]
    done = run("fit", "word-embedder", "texts.txt", "--out", "w", "--report", *quick)
    assert done.code == 0
    assert "report in w/report.html" in done.err
    page = Path("w/report.html").read_text(encoding="utf-8")
    assert "words of texts.txt" in page
    assert "蘋果</text>" in page
    assert run("verify", "w").code == 0
    done = run("similar", "w", "cat", "--topn", "2", "--map", "cat.svg")
    assert (done.code, len(done.out.splitlines()), done.err) == (0, 2, "map in cat.svg\n")
    done = run("similar", "w", "--map", "all.svg")
    assert (done.code, done.out, done.err) == (0, "", "map in all.svg\n")
    assert ">蘋果</text>" in Path("all.svg").read_text(encoding="utf-8")
    assert run("evaluate", "w", "pairs.tsv", "--report").code == 0
    assert "of 3 pairs whose words are known" in Path("w/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "decet similar needs a WORD, or --map FILE for a map of the frequent ones."),
        ("--map a.gif", "a map of words is a picture, .svg, .png. Received: 'a.gif'."),
        ("cta --map a.svg", "the word 'cta' is not known. Did you mean 'cat'?"),
    ],
)
def test_words_and_maps_that_cannot_be(run: Run, tmp_path: Path, line: str, told: str) -> None:
    Path("texts.txt").write_text("the cat sat on the mat\n" * 9)
    assert run("fit", "word-embedder", "texts.txt", "--out", "w", "--recipe.epochs", "1").code == 0
    done = run("similar", "w", *line.split())
    assert (done.code, done.out, done.err) == (2, "", f"decet: {told}\n")


def test_evaluate_prints_a_table_or_one_object(run: Run) -> None:
    warned = "warning: the model was trained on {}, so these figures are better than on new rows.\n"
    trained_on = json.loads(Path("m", "model.json").read_text())["provenance"]["data"]
    metrics = decet.load("m").evaluate(trained_on)
    done = run("evaluate", "m", trained_on, "--json")
    assert (done.code, json.loads(done.out), done.err) == (0, metrics, warned.format(trained_on))
    done = run("evaluate m crowd.csv")
    assert [line.split()[0] for line in done.out.splitlines()] == list(metrics)
    assert done.err == ""


def test_evaluate_takes_answers_from_another_column(run: Run) -> None:
    frame = pd.read_csv("people.csv").rename(columns={"rich": "wealthy"})
    frame.to_csv("other.csv", index=False)
    assert run("evaluate m other.csv") == (
        2,
        "",
        "decet: evaluate needs answers: a table with the column rich, or --target COL.\n",
    )
    assert run("evaluate m other.csv --target wealthy").out == run("evaluate m people.csv").out


HELD = ("coverage", "set_size", "answered", "accuracy_answered")  # what evaluation tells of sets of labels


def test_the_official_parts_of_a_public_set(run: Run, data_folder: Path) -> None:
    assert run(f"fit table-classifier adult --out a {' '.join(TINY)} --recipe.epochs 1").code == 0
    test = run("evaluate a adult --split test --json")
    assert set(json.loads(test.out)) == {*decet.load("a").metrics_, *HELD}
    assert test.err == ""
    assert run("evaluate a adult --json") == (0, test.out, "on the official test part of adult:\n")
    train = run("evaluate a adult --split train --json")
    assert train.out != test.out
    assert train.err.startswith("warning: the model was trained on adult")
    assert len(run("predict a adult --split test").out.splitlines()) == 16_281


# ----------------------------------------------------------------------------------- verify, show, cells, datasets


def test_verify_prints_its_checks(run: Run) -> None:
    done = run("verify m")
    assert done.code == 0
    assert done.out.splitlines()[0].startswith("ok  files: 5 files as saved")
    assert done.out.endswith("m: verified\n")


def test_a_model_that_was_changed_is_not_verified(run: Run) -> None:
    weights = bytearray(Path("m", "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    Path("m", "weights.safetensors").write_bytes(weights)
    done = run("verify m")
    assert done.code == 1
    assert done.out.startswith("BAD files: weights.safetensors is not as it was saved")
    assert done.out.endswith("m: NOT verified\n")
    done = run("predict m people.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("decet: weights.safetensors is not as it was saved")


def test_show_tells_all(run: Run) -> None:
    text = run("show m").out
    facts = json.loads(run("show m --json").out)
    assert facts["parameters"] == sum(layer["parameters"] for layer in facts["layers"])
    assert f"  {facts['parameters']:,} parameters" in text
    assert "TableClassifier: rich of " in text
    for words in ("body.layers.0.linear", "(B, 8)", "epochs 2", "log_loss", "北京", "fingerprint", "torch 2"):
        assert words in text


def test_cells_is_the_map(run: Run) -> None:
    text = run("cells").out
    assert "  table-classifier     Table -> label          DNN  ResNet  (Transformer)\n" in text
    assert "are planned" in text
    rows = [json.loads(line) for line in run("cells --json").out.splitlines()]
    assert rows[0]["families"] == {"DNN": True, "ResNet": True, "Transformer": False}
    assert len(rows) == 27


def test_datasets_lists_and_tells(run: Run) -> None:
    text = run("datasets").out
    assert any(line.split()[:4] == ["iris", "table", "yes", "150"] for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= 100
    one = run("datasets iris").out
    assert "  here      yes\n" in one
    assert "Fisher 1936" in one
    assert json.loads(run("datasets iris --json").out)["name"] == "iris"


def test_a_set_that_cannot_be_fetched_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DECET_DATA", raising=False)
    monkeypatch.setenv("DECET_CACHE", "cache")
    done = run("datasets bccd")
    assert (done.code, done.out) == (2, "")
    assert "needs the file bccd/BCCD.zip, which is not in cache" in done.err
    assert ["bccd", "(images)", "no"] in [line.split()[:3] for line in run("datasets").out.splitlines()]


# -------------------------------------------------------------------------------------- our faults, interrupts, kills


def failing(error: BaseException) -> Callable[[list[str]], int]:
    def fail(arguments: list[str]) -> int:
        raise error

    return fail


def test_our_fault_is_told_with_a_report(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.VERBS, "cells", (failing(RuntimeError("two\nlines")), "", ""))
    done = run("cells", "a b")
    assert (done.code, done.out) == (3, "")
    report = next(Path.cwd().glob("decet-report-*.txt"))
    assert done.err == f"decet: our fault (RuntimeError: two lines). Please send us {report}\n"
    text = report.read_text()
    for words in ("command: decet cells 'a b'", f"decet {decet.__version__}", "torch 2", "Traceback", "raise error"):
        assert words in text


def test_a_report_goes_elsewhere_where_this_folder_is_closed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.VERBS, "cells", (failing(RuntimeError("no")), "", ""))
    monkeypatch.setattr(cli.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(cli.Path, "cwd", lambda: Path("/proc/none"))
    done = run("cells")
    assert done.code == 3
    assert str(tmp_path / "decet-report-") in done.err


def test_an_interrupt_before_training_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.VERBS, "cells", (failing(KeyboardInterrupt()), "", ""))
    assert run("cells") == (130, "", "decet: interrupted.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_the_best_so_far(run: Run, number: int) -> None:
    def interrupt() -> None:
        wait_for(Path("long", CHECKPOINT).exists)
        time.sleep(0.2)
        os.kill(os.getpid(), number)

    line = "fit table-classifier crowd.csv --target rich --out long --recipe.epochs 100000 --recipe.patience 0"
    other = threading.Thread(target=interrupt)
    other.start()
    done = run(f"{line} --family.width 8 --recipe.members 1")
    other.join()
    assert done.code == 130
    assert "warning: training was interrupted; the best weights so far are kept.\n" in done.err
    assert done.err.endswith("interrupted: the best so far is saved in long. The same command with --resume goes on.\n")
    assert Path("long", CHECKPOINT).exists()
    assert decet.verify("long")
    assert decet.load("long").provenance_["interrupted"]


def test_a_run_that_was_killed_ends_with_the_same_bits(run: Run, tmp_path: Path) -> None:
    line = (
        "fit table-classifier crowd.csv --target rich --family.width 16 --recipe.members 2 --recipe.epochs 30 "
        "--recipe.batch 64 --recipe.patience 30"
    )
    often = "import decet.training.loop as loop; loop.WRITE_SECONDS = 0; from decet.cli import main"
    checkpoint = tmp_path / "killed" / CHECKPOINT
    process = started(*line.split(), "--out", "killed", code=often)
    wait_for(checkpoint.exists)
    first = checkpoint.stat().st_mtime_ns
    wait_for(lambda: checkpoint.stat().st_mtime_ns != first)
    second = checkpoint.stat().st_mtime_ns
    wait_for(lambda: checkpoint.stat().st_mtime_ns != second)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not Path("killed", "model.json").exists()

    refused = run(f"{line} --seed 1 --out killed --resume")
    assert refused.code == 2
    assert "belongs to another run: seed" in refused.err
    resumed = run(f"{line} --out killed --resume")
    assert resumed.code == 0
    assert "resumed at step " in resumed.err
    assert "resumed at step 0 " not in resumed.err
    assert run(f"{line} --out unbroken").code == 0
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("killed", "unbroken")]
    assert weights[0] == weights[1]
    assert sorted(os.listdir("killed")) == sorted(FILES)


# ------------------------------------------------------------------------------------------------------------ vectors

SENTENCES = ["a king and a queen live in the castle", "the cat and the dog live in the house"] * 20
WORDS = "--recipe.epochs 2 --family.width 16"


@pytest.fixture
def words(run: Run, tmp_path: Path) -> Run:
    """`run`, with the model `w` of sentences.txt."""
    (tmp_path / "sentences.txt").write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    done = run(f"fit word-embedder sentences.txt --out w {WORDS}")
    assert done.code == 0
    assert "warning: 360 words teach little" in done.err
    assert "no figures: vectors have no answers to be held against" in done.err + done.out
    return run


def test_similar_words_stand_under_one_another(words: Run) -> None:
    code, out, err = words("similar w King --topn 3")
    assert (code, err) == (0, "")
    assert [len(line.split()) for line in out.splitlines()] == [2, 2, 2]
    code, out, _ = words("similar w king queen --minus cat --topn 2 --json")
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, [set(record) for record in found]) == (0, [{"word", "cosine"}] * 2)
    assert not {"king", "queen", "cat"} & {record["word"] for record in found}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("similar w quen", "the word 'quen' is not known. Did you mean 'queen'?"),
        ("similar w king --topn 0", "topn must be a whole number of at least 1. Received: 0."),
        ("similar m king", "m holds a table-classifier, which has no vectors of words or nodes."),
        ("similar w", "decet similar needs a WORD, or --map FILE for a map of the frequent ones."),
        ("evaluate w nowhere.tsv", "there is no file 'nowhere.tsv' of pairs or questions."),
        (
            "predict w nowhere",
            "no such path or public set: 'nowhere'. A text itself is given in a list, or to decet predict by --text.",
        ),
        ("fit word-embedder wordtests", "no such path or public set: 'wordtests'. Did you mean 'word-tests'?"),
        ("fit word-embedder sentence.txt", "there is no file 'sentence.txt' of texts. Did you mean 'sentences.txt'?"),
    ],
)
def test_what_vectors_cannot_do_is_told(words: Run, line: str, sentence: str) -> None:
    Path("pairs.tsv").write_text("king\tqueen\t9\n", encoding="utf-8")
    code, _, err = words(line)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"decet: {sentence}")


def test_a_word_of_bytes_that_are_no_text_is_told(words: Run) -> None:
    code, _, err = words("similar", "w", "\udcff")
    assert (code, err.count("\n")) == (2, 1)
    assert r"the word '\udcff' is not known" in err


def test_vectors_are_shown_as_tables(words: Run) -> None:
    code, out, _ = words("show w")
    assert code == 0
    assert out.startswith("WordEmbedder: vectors of sentences.txt\n")
    assert "  vectors  table  (11, 16)  176" in out
    assert "recipe: epochs 2, lr 0.025, schedule one-cycle, warmup 0.0\n" in out
    assert "\nno figures: vectors have no answers" in out
    assert words("verify w").code == 0


def test_texts_become_vectors(words: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = words("predict", "w", "--text", "the king", "--text", "unheard")
    first, second = map(json.loads, out.splitlines())
    assert (code, first["keywords"], second["keywords"]) == (0, ["king", "the"], [])
    assert len(first["vector"]) == 16
    with open("sentences.txt") as lines, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", lines)
        assert len(words("predict w -").out.splitlines()) == 40
    assert words("predict w sentences.txt --out vectors.parquet").code == 0
    assert pd.read_parquet("vectors.parquet").shape == (40, 2)


def test_vectors_are_held_against_judgements(words: Run) -> None:
    Path("pairs.tsv").write_text("king\tqueen\t9\ncat\tdog\t8\nking\tdog\t1\n", encoding="utf-8")
    assert set(json.loads(words("evaluate w pairs.tsv --json").out)) == {"wordsim", "pairs"}
    Path("questions.txt").write_text(": gram1-of-a-very-long-name\nking queen cat dog\n", encoding="utf-8")
    lines = words("evaluate w questions.txt").out.splitlines()
    assert len({line.rindex(" ") for line in lines}) == 1  # figures stand under one another


def test_vectors_of_standard_input_and_on_from_a_model(words: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("sentences.txt") as lines, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", lines)
        assert words(f"fit word-embedder - --out v {WORDS}").code == 0
    Path("more.txt").write_text("a wizard and a witch live in the castle\n" * 5, encoding="utf-8")
    code, _, err = words("fit word-embedder more.txt --start v --out u --recipe.epochs 1")
    assert code == 0
    assert "2 new words join 11 known ones\n" in err
