"""The flags of `decet fit`: a flag a field, values from text, YAML in and out, mistakes as sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decet import (
    CNN,
    DNN,
    DQN,
    Agent,
    BadInput,
    Recipe,
    TableClassifier,
    TableRegressor,
    Tables,
    Unsupported,
    Word2Vec,
    flags,
)
from decet.errors import listed
from decet.explaining import worded


def read(line: str) -> flags.Fit:
    return flags.read(line.split())


def refused(line: str) -> str:
    with pytest.raises((BadInput, Unsupported)) as caught:
        read(line)
    return worded(str(caught.value))


# ---------------------------------------------------------------------------------------------------- what is said


def test_an_estimator_and_data_are_enough() -> None:
    wanted = read("table-classifier iris")
    assert isinstance(wanted.estimator, TableClassifier)
    assert (wanted.data, wanted.target, wanted.out, wanted.budget) == ("iris", None, None, None)
    assert (wanted.estimator.seed, wanted.estimator.device, wanted.estimator.recipe) == (0, "auto", None)


@pytest.mark.parametrize(
    ("line", "part", "value"),
    [
        ("--family.depth 3", "family", DNN(depth=3)),
        ("--family DNN --family.hidden 64,32", "family", DNN(hidden=(64, 32))),
        ("--family=dnn --family.hidden=[64,32]", "family", DNN(hidden=(64, 32))),
        ("--family.hidden 64", "family", DNN(hidden=(64,))),
        ("--family.residual true --family.norm none", "family", DNN(residual=True, norm="none")),
        ("--recipe.lr 1e-3 --recipe.epochs 7", "recipe", Recipe(lr=1e-3, epochs=7)),
        ("--recipe.weight-decay=0.1", "recipe", Recipe(weight_decay=0.1)),
        ("--inputs.drop a,b --inputs.bins 8", "inputs", Tables(drop=("a", "b"), bins=8)),
        ("--inputs.number 7", "inputs", Tables(number=("7",))),
        ("--label-smoothing 0.1", "label_smoothing", 0.1),
        ("--label_smoothing 0.1", "label_smoothing", 0.1),
        ("--class-weight balanced", "class_weight", "balanced"),
        ("--class-weight no=1,yes=2.5", "class_weight", {"no": 1.0, "yes": 2.5}),
        ("--threshold 0.3 --seed 5", "threshold", 0.3),
    ],
)
def test_each_field_is_a_flag(line: str, part: str, value: Any) -> None:
    assert getattr(read(f"table-classifier iris {line}").estimator, part) == value


@pytest.mark.parametrize("said", ["3,5", "(3, 5)", "[3,5]", "(3,5)"])
def test_tuples_may_be_written_as_in_python(said: str) -> None:
    wanted = flags.read(["word-embedder", "corpus.txt", "--family.subwords", said])
    assert wanted.estimator.family == Word2Vec(subwords=(3, 5))
    assert flags.read(["word-embedder", "c.txt", "--family.subwords", "()"]).estimator.family == Word2Vec(subwords=())


def test_the_question_of_another_estimator_has_other_flags() -> None:
    wanted = read("table-regressor diabetes --loss huber")
    assert isinstance(wanted.estimator, TableRegressor)
    assert wanted.estimator.loss == "huber"
    assert refused("table-regressor diabetes --threshold 0.5") == "there is no flag --threshold."


def test_what_is_about_the_call() -> None:
    line = "table-classifier t.csv --target a,b --out m --resume --budget 10m --start s --validation v.csv --groups g"
    wanted = read(f"{line} --order o --json")
    assert wanted.target == ["a", "b"]
    assert (wanted.out, wanted.resume, wanted.overwrite) == (Path("m"), True, False)
    assert (wanted.budget, wanted.start, wanted.validation) == (600.0, "s", "v.csv")
    assert (wanted.groups, wanted.order, wanted.json) == ("g", "o", True)


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h", 3600), ("0.5m", 30)]
)
def test_times(text: str, value: float) -> None:
    assert flags.seconds(text) == value


@pytest.mark.parametrize("text", ["", "soon", "0", "10x", "-3", "1m1h"])
def test_no_times(text: str) -> None:
    with pytest.raises(BadInput, match="--budget must be a time above 0, as 90, 90s, 10m or 1h30m"):
        flags.seconds(text)


# -------------------------------------------------------------------------------------------------- what is refused

THERE = (
    "table-classifier, table-regressor, image-classifier, image-generator, text-classifier, text-generator, "
    "word-embedder, node-classifier and 4 more"
)
START = "table-classifier iris"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", f"decet fit needs an ESTIMATOR and DATA. There are: {THERE}."),
        ("table-classifer iris", "there is no estimator 'table-classifer'. Did you mean 'table-classifier'?"),
        ("text-tagger conll", f"text-tagger is planned, but not there yet. There are: {THERE}."),
        ("word-embedder corpus.txt --groups word", "there is no flag --groups. Did you mean '--out'?"),
        (
            "word-embedder corpus.txt --family.subwords 3",
            "--family.subwords must be the shortest and longest n-grams, as (3, 6), or (). Received: (3,).",
        ),
        (
            "table-classifier",
            "decet fit table-classifier needs DATA: a path, - for standard input, or a public set.",
        ),
        (f"{START} more", "decet fit does not know what to do with 'more'."),
        (f"{START} --family DNNN", "there is no family 'DNNN'. Did you mean 'DNN'?"),
        (f"{START} --family LSTM", "table-classifier cannot use LSTM. It takes DNN (default), ResNet."),
        (
            f"{START} --family Transformer",
            "table-classifier with Transformer is planned, but not there yet. It takes DNN (default), ResNet.",
        ),
        (f"{START} --family", "--family needs a value."),
        (
            f"{START} --family.dpth 3",
            "there is no flag --family.dpth: DNN has no field 'dpth'. Did you mean 'depth'?",
        ),
        (
            f"{START} --recipe.epoch 3",
            "there is no flag --recipe.epoch: recipe has no field 'epoch'. Did you mean 'epochs'?",
        ),
        (f"{START} --famly.depth 3", "there is no flag --famly.depth. Did you mean '--family.depth'?"),
        (f"{START} --sed 3", "there is no flag --sed. Did you mean '--seed'?"),
        (f"{START} --recipe.lr", "--recipe.lr needs a value."),
        (f"{START} --recipe.lr fast", "--recipe.lr must be a number between 1e-12 and 100.0. Received: 'fast'."),
        (f"{START} --recipe.epochs 0", "--recipe.epochs must be a whole number of at least 1. Received: 0."),
        (
            f"{START} --recipe.epochs 3 --recipe.steps 4",
            "--recipe.epochs (3) and --recipe.steps (4) both say how long; keep one.",
        ),
        (f"{START} --family.depth -1", "--family.depth must be a whole number between 0 and 1000. Received: -1."),
        (
            f"{START} --family.hidden 64,x",
            "each width in hidden must be a whole number between 1 and 65536. Received: 'x'.",
        ),
        (
            f"{START} --family.residual perhaps",
            "--family.residual must be one of True, False. Received: 'perhaps'.",
        ),
        (f"{START} --threshold 2", "--threshold must be a number between 0.0 and 1.0. Received: 2.0."),
        (
            f"{START} --class-weight equal",
            "--class-weight must be None, 'balanced' or a dict of label to weight. Received: 'equal'.",
        ),
        (f"{START} --inputs.drop a --inputs.text a", "column 'a' is said to be of two kinds. Name it once."),
        (f"{START} --resume", "--resume needs --out: the folder that holds the run."),
        (f"{START} --overwrite", "--overwrite needs --out: the folder that holds the run."),
        (
            f"{START} --out m --resume --overwrite",
            "--resume and --overwrite exclude each other: go on with the run, or begin anew.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(line: str, sentence: str) -> None:
    assert refused(line) == sentence


# ------------------------------------------------------------------------------------------------------------- YAML


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_settings_go_out_and_in(tmp_path: Path) -> None:
    line = (
        "table-classifier t.csv --target 城市 --family.hidden 8,4 --family.residual false --recipe.lr 1e-5 "
        "--inputs.drop a,b --class-weight no=1,yes=3 --label-smoothing 0.05 --seed 9 --budget 90s --out m"
    )
    out = read(f"{line} --print-config").config
    assert out is not None
    path = written(tmp_path, out)
    again = read(f"--config {path} --print-config")
    assert again.config == out
    first, second = read(line), read(f"--config {path}")
    assert first.estimator.get_params() == second.estimator.get_params()
    assert (first.data, first.target, first.out, first.budget) == (
        second.data,
        second.target,
        second.out,
        second.budget,
    )


def test_flags_win_over_the_file_wherever_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path, "data: iris\nfamily: {depth: 2, width: 8}\nrecipe:\n  lr: 1e-4\nseed: 3\n")
    wanted = read(f"table-classifier wine --family.depth 5 --config {path} --seed 4")
    assert wanted.data == "wine"
    assert wanted.estimator.family == DNN(depth=5, width=8)
    assert wanted.estimator.recipe == Recipe(lr=1e-4)
    assert wanted.estimator.seed == 4


def test_the_last_of_several_files_wins(tmp_path: Path) -> None:
    one, other = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("estimator: table-regressor\ndata: diabetes\nrecipe: {epochs: 1, lr: 0.1}\n")
    other.write_text("recipe.epochs: 2\n")
    wanted = read(f"--config {one} --config={other}")
    assert isinstance(wanted.estimator, TableRegressor)
    assert wanted.estimator.recipe == Recipe(epochs=2, lr=0.1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "--config FILE is not YAML (line 1: expected the node content, but found '<stream end>')."),
        ("- a\n", "--config FILE must hold settings by name, as --print-config prints them."),
        ("traget: x\n", "--config FILE has no setting 'traget' to give. Did you mean 'target'?"),
        ("family: {dpth: 3}\n", "--config FILE: DNN has no field 'dpth'. Did you mean 'depth'?"),
        ("recipe.epoch: 3\n", "--config FILE: recipe has no field 'epoch'. Did you mean 'epochs'?"),
        ("family: DNN\n", "--config FILE: family must hold {name: DNN, depth: 3}. Received: 'DNN'."),
        ("recipe: {lr: [1]}\n", "--recipe.lr cannot be [1]."),
        ("family: {name: CNM}\n", "there is no family 'CNM'. Did you mean 'CNN'?"),
        ("family: {name: Forest}\n", "there is no family 'Forest'. table-classifier takes DNN (default), ResNet."),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    assert refused(f"table-classifier iris --config {path}").replace(str(path), "FILE") == sentence


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    assert refused(f"{START} --config {path}") == f"--config {path} cannot be read (No such file or directory)."


# ------------------------------------------------------------------------------------------- settings within settings

CART = "agent CartPole-v1"
NETWORK = f"{CART} --family.network"


@pytest.mark.parametrize(
    ("line", "network"),
    [
        ("DNN", DNN()),
        ("DNN --family.network.width 24 --family.network.depth 2", DNN(width=24, depth=2)),
        ("dnn --family.network.hidden 24,24", DNN(hidden=(24, 24))),
        ("CNN --family.network.layers=[16,flat,dense128]", CNN(layers=(16, "flat", "dense128"))),
        ("DNN --family.network.embedding-width 8", DNN(embedding_width=8)),
    ],
)
def test_a_method_s_body_is_named_and_its_fields_are_flags(line: str, network: Any) -> None:
    wanted = read(f"{NETWORK} {line} --family.lookahead 5")
    assert isinstance(wanted.estimator, Agent)
    assert wanted.estimator.family == DQN(network=network, lookahead=5)


def test_a_body_goes_out_as_yaml_and_in_again(tmp_path: Path) -> None:
    out = read(f"{NETWORK} DNN --family.network.width 24 --family.network.hidden 24,8 --print-config").config
    assert out is not None
    assert "family:\n  name: DQN\n  network:\n    name: DNN\n    hidden:\n    - 24\n    - 8\n    width: 24\n" in out
    path = written(tmp_path, out)
    assert read(f"--config {path} --print-config").config == out
    wider = read(f"--config {path} --family.network.width 32").estimator.family
    assert wider == DQN(network=DNN(width=32, hidden=(24, 8)))
    dotted = written(tmp_path, "family.network.name: DNN\nfamily.network.width: 7\n")
    assert read(f"{CART} --config {dotted}").estimator.family == DQN(network=DNN(width=7))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"{NETWORK}.width 24", "--family.network.width needs --family.network NAME: DNN, CNN, ResNet, LSTM."),
        (NETWORK, "--family.network needs a value."),
        (f"{NETWORK} --family.network.width 3", "--family.network needs a value."),
        (
            f"{NETWORK} DNNN",
            "--family.network cannot be 'DNNN'. It takes DNN, CNN, ResNet, LSTM. Did you mean 'DNN'?",
        ),
        (f"{NETWORK} GNN", "--family.network cannot be 'GNN'. It takes DNN, CNN, ResNet, LSTM."),
        (
            f"{NETWORK} DNN --family.network.wdth 3",
            "there is no flag --family.network.wdth: DNN has no field 'wdth'. Did you mean 'width'?",
        ),
        (
            f"{NETWORK} DNN --family.network.width wide",
            "--family.network.width must be a whole number between 1 and 65536. Received: 'wide'.",
        ),
        (
            f"{NETWORK} DNN --family.network.depth 2.5",
            "--family.network.depth must be a whole number between 0 and 1000. Received: '2.5'.",
        ),
        (
            f"{NETWORK} DNN --family.network.norm bach",
            "--family.network.norm must be one of 'none', 'batch', 'layer'. Received: 'bach'. Did you mean 'batch'?",
        ),
        (
            f"{CART} --family.netwrk DNN",
            "there is no flag --family.netwrk: DQN has no field 'netwrk'. Did you mean 'network'?",
        ),
        (
            f"{START} --family.network DNN",
            "there is no flag --family.network: DNN has no field 'network'. Choose from: hidden, width, depth, "
            "embedding, embedding_width, frequencies, sigma, activation and 5 more.",
        ),
        (
            f"{CART} --family DNN",
            "agent cannot use DNN. It takes DQN (default). DNN may be --family.network.",
        ),
        ("agent", "decet fit agent needs DATA: the id of an environment of Gymnasium, as CartPole-v1."),
    ],
)
def test_a_mistake_in_a_body_is_one_sentence(line: str, sentence: str) -> None:
    assert refused(line) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "family: {network: DNN}",
            "--config FILE: network in family must hold {name: DNN, depth: 3}. Received: 'DNN'.",
        ),
        ("family: {network: {width: 3}}", "--config FILE: network in family needs a name: DNN, CNN, ResNet, LSTM."),
        (
            "family: {network: {name: DNN, wdth: 3}}",
            "--config FILE: DNN has no field 'wdth'. Did you mean 'width'?",
        ),
        (
            "family: {network: {name: DNN, width: 0}}",
            "--family.network.width must be a whole number between 1 and 65536. Received: 0.",
        ),
    ],
)
def test_a_mistake_in_a_body_of_the_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    assert refused(f"{CART} --config {path}").replace(str(path), "FILE") == sentence


# ------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        (
            "which column of t.csv is the target? Say y=... (--target).",
            "which column of t.csv is the target? Say --target COL.",
        ),
        ("y has one class only ('a').", "the target has one class only ('a')."),
        ("X lacks column 'y', which training had.", "the table lacks column 'y', which training had."),
        ("recipe.metric 'acc' is not a metric.", "--recipe.metric 'acc' is not a metric."),
        ("y holds text. Did you mean TableClassifier?", "the target holds text. Did you mean table-classifier?"),
        ("two\n  lines", "two lines"),
        ("family.network.width is 0.", "--family.network.width is 0."),
        ("say norm='none' of the network.", "say --family.network.norm none."),
    ],
)
def test_sentences_in_the_words_of_the_command_line(sentence: str, words: str) -> None:
    assert worded(sentence) == words


@pytest.mark.parametrize("name", ["TableClassifier", "table-classifier"])
def test_names_in_kebab_case(name: str) -> None:
    assert flags.kebab(name) == "table-classifier"
    assert listed(flags.estimator_names()) == THERE
