"""An estimator as a model folder and back: what is written, how it is rebuilt, how it is verified.

Class names in model.json are looked up in the catalog's closed list; settings pass the same checks as a user's; the
network is laid out without memory first and must agree with the weights' shapes before anything is allocated.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet import __version__, artifact
from decet.data.bags import BagCodec
from decet.data.environment_codec import EnvironmentCodec
from decet.data.graph_codec import GraphCodec
from decet.data.images import ImageCodec
from decet.data.known import KnownNodes
from decet.data.lexicon import Lexicon
from decet.data.prose import ProseCodec
from decet.data.tables import SparseCodec, TableCodec
from decet.data.targets import LabelCodec, NumberCodec
from decet.data.tokens import TextCodec
from decet.data.vectors import has_vectors
from decet.data.walks import WalkCodec
from decet.errors import BadInput, DecetError, suggest
from decet.estimators import catalog, hub
from decet.estimators.asking import examined
from decet.estimators.base import PARTS, Estimator
from decet.estimators.folders import check_held, check_own
from decet.estimators.given import opened
from decet.estimators.judge import Judge
from decet.estimators.picturing import Draws, classes_of
from decet.estimators.reading import DataWarning
from decet.estimators.trust import Trust
from decet.settings import in_words, named
from decet.tensors import Sparse, Web
from decet.training.recipe import Recipe

GOLDEN_ROWS = 16
GOLDEN_SEED = 20_231
TOLERANCE = 1e-4  # relative, of golden answers
NETWORK, CODEC, ANSWER = "network.", "codec.", "answer."  # in weights.safetensors
TRUST, NODES, JUDGE = "trust.", "nodes.", "judge."
CODECS: dict[str, type] = {
    "TableCodec": TableCodec,
    "SparseCodec": SparseCodec,
    "ImageCodec": ImageCodec,
    "TextCodec": TextCodec,
    "BagCodec": BagCodec,
    "Lexicon": Lexicon,
    "ProseCodec": ProseCodec,
    "GraphCodec": GraphCodec,
    "WalkCodec": WalkCodec,
    "EnvironmentCodec": EnvironmentCodec,
}
ANSWERS: dict[str, type] = {"LabelCodec": LabelCodec, "NumberCodec": NumberCodec}


@dataclass
class Verification:
    """What `decet.verify` found. checks: (what, whether it holds, detail), in the order they were made."""

    folder: str
    checks: list[tuple[str, bool, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return bool(self.checks) and all(good for _, good, _ in self.checks)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{'ok ' if good else 'BAD'} {what}: {detail}" for what, good, detail in self.checks]
        return "\n".join([*lines, f"{self.folder}: {'verified' if self.ok else 'NOT verified'}"])


def save(estimator: Estimator, folder: Path) -> None:
    """Write the model folder, whole or not at all. Raises BadInput where it would replace a file of the user's own."""
    files = to_files(estimator)
    with artifact.lock(folder):
        check_own(folder)
        artifact.write(folder, files)


def load(folder: str | Path) -> Any:
    """The estimator of a model folder; or of a file of word vectors (.txt, .vec, .bin, .safetensors) those.

    A folder in Hugging Face's form (config.json, model.safetensors, tokenizer.json) of a GPT-2 is a TextGenerator, of a
    BERT with a head for classes a TextClassifier.
    Raises BadInput for a folder or file that is damaged, hostile, or of a newer decet.
    """
    if Path(folder).is_file() and has_vectors(folder):
        return opened(folder)
    if hub.is_theirs(folder):
        model, weights = hub.read(folder)
        return _checked(artifact.Contents(model, weights, {}, "", [], ""), None)
    return from_files(artifact.read(folder))


def model_of(model: Any) -> Any:
    """An estimator, itself or from its folder. Raises BadInput for anything else."""
    found = load(model) if isinstance(model, (str, Path)) else model
    if not isinstance(found, Estimator):
        raise BadInput(f"a fitted estimator or its folder is needed. Received: {type(model).__name__}.")
    return found


def verify(folder: str | Path) -> Verification:
    """Check hashes, rebuild the model, make the golden rows again, replay them in fp32 and compare."""
    result = Verification(str(folder))
    try:
        files = artifact.read(folder)
        contents = artifact.unpack(files)
        result.checks.append(("files", True, f"{len(files)} files as saved, weights finite, sizes agree"))
        estimator = from_files(files)
        result.checks.append(("network", True, f"{type(estimator).__name__} with {_name(estimator.family_)} rebuilt"))
    except DecetError as error:
        result.checks.append(("files" if not result.checks else "network", False, str(error)))
        return result
    try:
        made = _golden(estimator)
    except (DecetError, KeyError, TypeError, ValueError, IndexError, RuntimeError, OverflowError) as error:
        result.checks.append(("golden rows", False, f"they cannot be made ({type(error).__name__}: {error})"))
        return result
    kept = contents.golden
    if "distances" not in kept:  # older folders have none
        made.pop("distances", None)
    same = set(made) == set(kept) and all(made[name].shape == kept[name].shape for name in made)
    result.checks.append(("golden names", same, f"{len(kept)} tensors"))
    replayed = {"encoding": [n for n in made if n.startswith("inputs.")], "answers": ["outputs"]}
    if "distances" in made:
        replayed["unlikeness"] = ["distances"]
    for what, names in replayed.items():
        worst = max((_distance(made[n], kept[n]) for n in names), default=0.0) if same else float("inf")
        detail = f"largest relative difference {worst:.1e}, at most {TOLERANCE:.0e} allowed"
        result.checks.append((what, worst <= TOLERANCE, detail))
    return result


def to_files(estimator: Any) -> dict[str, bytes]:
    """The files of a fitted estimator's model folder, by name."""
    codec, codec_arrays = estimator.codec_.state()
    answer, answer_arrays = ({}, {}) if estimator.answer_ is None else estimator.answer_.state()
    weights = {NETWORK + name: tensor for name, tensor in estimator.learner_.state_dict().items()}
    trust = {} if estimator._trust() is None else estimator._trust().state()
    known = {} if (nodes := getattr(estimator, "nodes_", None)) is None else nodes.state()
    seen = {} if (judge := getattr(estimator, "judge_", None)) is None else judge.state()
    parts = ((CODEC, codec_arrays), (ANSWER, answer_arrays), (TRUST, trust), (NODES, known), (JUDGE, seen))
    for prefix, arrays in parts:
        weights |= {prefix + name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    said = {name: getattr(estimator, name) for name in estimator._get_param_names()}
    model = {
        "estimator": type(estimator).__name__,
        "said": {name: _settings(value) if name in PARTS else _keyed(value) for name, value in said.items()},
        "used": {part: _settings(getattr(estimator, f"{part}_")) for part in ("family", "recipe", "question")},
        "codec": {"name": type(estimator.codec_).__name__, **codec},
        "answer": None if estimator.answer_ is None else {"name": type(estimator.answer_).__name__, **answer},
        "targets": list(estimator.target_names_),
        "columns": {
            "names": [str(name) for name in getattr(estimator, "feature_names_in_", [])] or None,
            "count": int(estimator.n_features_in_),
        },
        "metrics": estimator.metrics_,
        "warnings": list(estimator.warnings_),
        "suspects": getattr(estimator, "suspects_", []),
        "provenance": estimator.provenance_,
        "plan": estimator.plan_,
        "versions": {"decet": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    return artifact.pack(model, weights, _golden(estimator), card(estimator), estimator.history_)


def from_files(files: Mapping[str, bytes], into: Estimator | None = None) -> Estimator:
    """The estimator of a model folder's files, every name and number in them checked."""
    return _checked(artifact.unpack(files), into)


def _checked(contents: artifact.Contents, into: Estimator | None) -> Estimator:
    try:
        return _rebuilt(contents, into)
    except DecetError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, OverflowError) as error:
        raise BadInput(f"model.json does not describe a model ({type(error).__name__}: {error}).") from error


def _rebuilt(contents: artifact.Contents, into: Estimator | None) -> Estimator:
    model, weights = contents.model, contents.weights
    kind = catalog.estimator_named(model["estimator"])
    if kind is None:
        known = [e.__name__ for e in catalog.ESTIMATORS]
        raise BadInput(f"model.json names the estimator {model['estimator']!r}.{suggest(model['estimator'], known)}")
    said = {name: _unsettled(value, kind) if name in PARTS else value for name, value in model["said"].items()}
    estimator: Any = kind(**said) if into is None else into
    estimator._cell()
    estimator.codec_ = _restored(CODECS, model["codec"], _arrays(weights, CODEC))
    estimator.answer_ = None
    if model["answer"] is not None:
        estimator.answer_ = _restored(ANSWERS, model["answer"], _arrays(weights, ANSWER))
    estimator.family_ = _unsettled(model["used"]["family"], kind)
    estimator.recipe_ = _unsettled(model["used"]["recipe"], kind)
    estimator.question_ = _unsettled(model["used"].get("question"), kind)  # older folders have none
    estimator.device_ = _device(estimator)
    estimator.learner_ = _learner(estimator, _part(weights, NETWORK))
    if trust := _arrays(weights, TRUST):
        width, rows = estimator.learner_.body.summary_width, estimator.codec_.spec
        estimator.trust_ = Trust.restore(trust, estimator.answer_.spec, width, rows)
    if nodes := _arrays(weights, NODES):
        estimator.nodes_ = KnownNodes.restore(nodes)
    if isinstance(estimator, Draws):
        spec, labels = estimator.codec_.spec, classes_of(estimator.answer_)
        estimator.judge_ = Judge.restore(_arrays(weights, JUDGE), spec, labels, estimator.device_)
    estimator.target_names_ = tuple(model["targets"])
    estimator.n_features_in_ = int(model["columns"]["count"])
    if model["columns"]["names"]:
        estimator.feature_names_in_ = np.array(model["columns"]["names"], dtype=object)
    estimator.metrics_, estimator.warnings_ = model["metrics"], model["warnings"]
    estimator.provenance_, estimator.plan_ = model["provenance"], model["plan"]
    estimator.suspects_ = [_suspect(one) for one in model.get("suspects", [])]  # older folders have none
    estimator.history_, estimator.taken_ = contents.history, 0
    estimator.interrupted_ = bool(model["provenance"].get("interrupted", False))
    if isinstance(estimator.answer_, LabelCodec):
        classes = estimator.answer_.classes
        estimator.classes_ = classes[0] if len(classes) == 1 else classes
    return estimator


def _suspect(told: Mapping[str, Any]) -> dict[str, Any]:
    """What model.json says of a label that is likely wrong, each value of its kind."""
    chances = {name: float(told[name]) for name in ("chance_of_label", "chance_instead")}
    return {"row": int(told["row"]), "label": told["label"], "instead": told["instead"], **chances}


def _learner(estimator: Any, weights: dict[str, Tensor]) -> Any:
    """The network, laid out without memory, then given the weights, whose shapes must agree one by one."""
    with torch.device("meta"):
        learner = estimator._network()
    for name, tensor in learner.state_dict().items():
        if name not in weights or weights[name].shape != tensor.shape or weights[name].dtype != tensor.dtype:
            found = f"{tuple(weights[name].shape)} {weights[name].dtype}" if name in weights else "nothing"
            raise BadInput(
                f"the weights do not fit the settings: {name} must be {tuple(tensor.shape)} {tensor.dtype}. "
                f"Found: {found}."
            )
    learner.load_state_dict(weights, assign=True)
    for parameter in learner.parameters():
        parameter.requires_grad_(True)
    return learner.to(estimator.device_).eval()


def _device(estimator: Any) -> torch.device:
    """The device the model was trained on, or, where this machine has none such, the CPU."""
    try:
        return estimator._device()
    except BadInput:
        warnings.warn(
            f"this machine has no device {estimator.device!r}: the model is on the CPU.", DataWarning, stacklevel=2
        )
        return torch.device("cpu")


def _golden(estimator: Any) -> dict[str, Tensor]:
    """Made-up rows, encoded, the answers to them, and how unlike the training rows they are; in fp32 on the CPU."""
    inputs = estimator.codec_.encode(estimator.codec_.sample(GOLDEN_ROWS, GOLDEN_SEED))
    tensors: dict[str, Tensor] = {}
    for i, x in enumerate(inputs):
        if isinstance(x, (Sparse, Web)):
            tensors |= {f"inputs.{i}.{name}": tensor for name, tensor in x.parts().items()}
        else:
            tensors[f"inputs.{i}"] = x
    learner, device = estimator.learner_, estimator.device_
    learner.to("cpu").eval()
    try:
        with torch.inference_mode():
            tensors["outputs"] = learner.predict(inputs).clone()
        if (trust := estimator._trust()) is not None:
            found = examined(learner, inputs, torch.device("cpu"), GOLDEN_ROWS, estimator.codec_.spec)
            tensors["distances"] = trust.seen(found).distances
    finally:
        learner.to(device)
    return tensors


def _distance(made: Tensor, kept: Tensor) -> float:
    """The largest difference relative to the kept tensor's own size."""
    if not kept.numel():
        return 0.0
    a, b = made.double(), kept.double()
    scale = max(float(b.abs().max()), 1e-6)
    worst = float((a - b).abs().max()) / scale
    return worst if worst == worst else float("inf")


def _name(settings: Any) -> str:
    return type(settings).__name__


def _settings(value: Any) -> dict[str, Any] | None:
    """Frozen settings as JSON: their class's name and what was said."""
    if value is None:
        return None
    check_held(value)
    said = {one.name: getattr(value, one.name) for one in fields(value)}
    inner = {name: _settings(part) if is_dataclass(part) else part for name, part in said.items()}
    return {"name": _name(value), **{name: part for name, part in inner.items() if part is not None}}


def _keyed(value: Any) -> Any:
    """A dict's keys as text, which is all that JSON has; `class_weight` compares labels as text."""
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else value


def _unsettled(value: Mapping[str, Any] | None, kind: type[Estimator]) -> Any:
    """Settings from JSON: the class from the closed list of this estimator, the fields through their checks."""
    if value is None:
        return None
    said = dict(value)
    name = said.pop("name")
    known = {c.family.__name__: c.family for c in kind.row} | {
        part.__name__: part for part in (Recipe, kind.kind, kind.question)
    }
    chosen = _one_of(known, name)
    names = [f.name for f in fields(chosen)]
    for key in said:
        if key not in names:
            raise BadInput(f"model.json gives {name} a field {key!r}.{suggest(key, names)}")
    return chosen(**{key: _value(v) for key, v in said.items()})


def _value(value: Any) -> Any:
    """A setting from JSON; one that is settings of its own, of a method's network."""
    if isinstance(value, Mapping) and "name" in value:
        said = {key: _value(part) for key, part in value.items() if key != "name"}
        return _one_of({family.__name__: family for family in catalog.FAMILIES}, value["name"])(**said)
    return tuple(value) if isinstance(value, list) else value


def _restored(known: Mapping[str, type], state: Mapping[str, Any], arrays: dict[str, Any]) -> Any:
    """A codec of what was stored of it."""
    said = dict(state)
    return _one_of(known, said.pop("name")).restore(said, arrays)


def _one_of(known: Mapping[str, type], name: Any) -> Any:
    if name not in known:
        raise BadInput(f"model.json names {name!r}, which is not in decet's list.{suggest(name, known)}")
    return known[name]


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _arrays(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in _part(weights, prefix).items()}


def card(estimator: Any) -> str:
    """The model card, in the Hub's format: what it is, on what it was trained, how good, how to use it."""
    provenance, kind, family = estimator.provenance_, type(estimator).__name__, _name(estimator.family_)
    data = {"Images": "image", "Texts": "text"}.get(type(estimator).kind.__name__, "tabular")
    task = f"{data}-{'regression' if 'Regressor' in kind else 'classification'}"
    counted, use = "rows", "predict(rows)"
    if (told := getattr(type(estimator), "card", None)) is not None:
        task, counted, use = told
    head = ["---", "library_name: decet", f"pipeline_tag: {task}", "tags:", "- decet", f"- {family}", "---", ""]
    metrics = [
        f"| {name} | {'undefined' if v is None else format(v, '.4f')} |" for name, v in estimator.metrics_.items()
    ]
    columns = [[c["name"], c["kind"], c["detail"]] for c in estimator.codec_.description()[:50]]
    rows = [f"| {' | '.join(map(_cell, column))} |" for column in columns]
    body = [
        f"# {kind}({family})",
        "",
        f"Trained by decet {__version__} on {provenance['rows']:,} {counted} of "
        f"{provenance['data'] or 'the given data'} (fingerprint {provenance['fingerprint'][:12]}) in "
        f"{provenance['seconds']} s, seed {estimator.seed}.",
        "",
        f"## Figures {'' if estimator.sets_aside else f'on held-out {counted} '}({provenance['validation']})",
        "",
        *(["| metric | value |", "|---|---|", *metrics] if metrics else [f"None: {provenance['validation']}."]),
        "",
        "## Inputs",
        "",
        "| input | kind | detail |",
        "|---|---|---|",
        *rows,
        "",
        "## Settings",
        "",
        f"- family: {family}: {in_words(named(estimator.family_))}",
        f"- recipe: {in_words(asdict(estimator.recipe_))}",
        f"- bits: {_promise(estimator)}",
        *_doubt(estimator),
        "",
        "## Use",
        "",
        "    import decet",
        "    model = decet.load(FOLDER)",
        f"    model.{use}",
        "",
        "`decet verify FOLDER` checks the files and replays the golden rows.",
    ]
    body += (
        ["", "## Warnings about the data", "", *[f"- {w}" for w in estimator.warnings_]] if estimator.warnings_ else []
    )
    return "\n".join(head + body) + "\n"


def _doubt(estimator: Any) -> list[str]:
    """By how many held-out rows sets and intervals are drawn."""
    trust = estimator._trust()
    if trust is None:
        return []
    rows = ", ".join(f"{len(column):,}" for column in trust.scores.columns)
    kind = "sets of labels" if isinstance(estimator.answer_, LabelCodec) else "intervals"
    return [f"- {kind}: conformal, by the scores of {rows} rows that were not trained on"]


def _cell(text: str) -> str:
    """Text that cannot break a table: no bars, no line ends."""
    return " ".join(str(text).split()).replace("|", "\\|")


def _promise(estimator: Any) -> str:
    provenance = estimator.provenance_
    if provenance["budget"] is not None:
        return "trained under a budget of wall time: another run takes another number of steps"
    if getattr(estimator.family_, "deterministic", None) is False:
        return (
            "threads race while vectors are learned: another run gives other bits, unless the family is deterministic"
        )
    return "the same data, settings, device kind and threads give the same weights, also when killed and resumed"
