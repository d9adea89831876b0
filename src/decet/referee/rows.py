"""What everybody is fitted on and judged by: test rows set aside first, or the official ones of a public set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from decet.contracts import LabelSpec
from decet.data import datasets
from decet.data.archives import NoPart
from decet.data.documents import read_documents
from decet.data.images import Images
from decet.data.pictures import read_pictures
from decet.data.splits import split
from decet.data.texts import Texts
from decet.errors import BadInput, suggest
from decet.estimators.answers import fit_answer
from decet.estimators.fitting import FOLDS
from decet.estimators.reading import Given
from decet.referee.contenders import Contender, Network, answers_taken, baselines, taken

Array = NDArray[Any]
OFFICIAL = "the official test part"  # how test rows were chosen
FEWEST = 20  # rows below which none can be set aside


@dataclass
class Ground:
    """What a comparison stands on, the same for all.

    train, test: what everybody is fitted on, and asked. target: the true answers, as the task's metrics take them, with
    their spec. how: test items were chosen. items: what they are called. sizes: (to train, to judge), in rows or items.
    baselines: who needs no network. network: what makes a contender of a family. classes: training rows of each.
    whole: nobody holds anything out, the figure is one of the data itself.
    groups, order: of the training rows. remarks: on reading. places: which rows of the data those to train are.
    """

    train: Given
    test: Given
    target: Array
    spec: Any
    how: str
    sizes: tuple[int, int]
    baselines: Sequence[Contender]
    network: type[Network] = Network
    items: str = "test rows"
    whole: bool = False
    classes: dict[str, int] = field(default_factory=dict)
    groups: Any = None
    order: Any = None
    remarks: Sequence[str] = ()
    places: Array | None = None

    def facts(self) -> dict[str, Any]:
        """As `Comparison.facts` has them."""
        return {
            "train": self.sizes[0],
            "test": self.sizes[1],
            "items": self.items,
            "how": self.how,
            "targets": list(self.train.targets),
            "classes": self.classes,
        } | ({"whole": True} if self.whole else {})


def row_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """Rows with answers. template: the estimator without a family; the others as `compare` takes them.

    The answers' codec knows the training answers alone.
    """
    given = template._given(X, y, reset=True)
    template.target_names_ = given.targets
    official, asked = official_rows(template, X, y), template._asked()
    whole = fit_answer(asked, given.answers)
    asked.check(whole.spec)
    groups, order = _column(given, groups), _column(given, order)
    if official is not None:
        train, judged, how, places = given, official, OFFICIAL, None
    else:
        train, judged, how, groups, order, places = _split(template, given, whole, groups, order, test)
    answer = fit_answer(asked, train.answers)
    return Ground(
        train=train,
        test=judged,
        target=target_of(answer, judged.answers),
        spec=answer.spec,
        how=how,
        sizes=(train.rows.shape[0], judged.rows.shape[0]),
        baselines=baselines(template, train, answer),
        classes=_counted(answer, train.answers),
        groups=groups,
        order=order,
        remarks=getattr(given.rows, "remarks", ()),
        places=places,
    )


def _split(
    template: Any, given: Given, whole: Any, groups: Any, order: Any, share: float
) -> tuple[Given, Given, str, Any, Any, Array]:
    """Rows to train and to judge, how they were chosen, groups, order and places of those to train."""
    count = given.rows.shape[0]
    if count < FEWEST:
        raise BadInput(f"compare needs at least {FEWEST} rows, to set some aside for the test. Received: {count}.")
    labels = labels_of(whole, given.answers)
    copies = _copies(template, given) if groups is None and order is None else None
    together = copies if groups is None else groups
    parts = split(
        count,
        seed=int(template.seed),
        labels=labels,
        groups=together,
        order=order,
        fractions=(1.0, 0.0, 0.0),
        test=share,
    )
    places = _with_every_class(parts.train, parts.test, labels, together)
    train, test = (
        Given(taken(given.rows, part), answers_taken(given.answers, part), given.source, given.targets)
        for part in places
    )
    latest = "the latest " if order is not None else ""
    kept = ", groups on one side" if groups is not None else ", copies on one side" if copies is not None else ""
    spread = " in proportion to the classes" if labels is not None and order is None else ""
    how = f"{latest}{100 * len(places[1]) / count:.0f} % of the rows, set aside{spread}{kept}"
    groups, order = (None if values is None else np.asarray(values)[places[0]] for values in (groups, order))
    return train, test, how, groups, order, places[0]


def _column(given: Given, values: Any) -> Any:
    """Values one a row: given as such, or as the name of a column."""
    if not isinstance(values, str):
        return values
    table = given.rows if given.beside is None else given.beside
    names = list(getattr(table, "columns", []))
    if values not in names:
        raise BadInput(f"groups or order names the column {values!r}, which X does not have.{suggest(values, names)}")
    return table[values].to_numpy()


def _copies(template: Any, given: Given) -> Array | None:
    """Groups of equal rows, where there are any and enough others."""
    inputs = template._inputs()
    ids: Array = inputs.groups(given.rows)
    return ids if 2 * FOLDS <= len(np.unique(ids)) < len(ids) else None


def target_of(answer: Any, answers: Any) -> Array:
    """Raw answers as the metrics take them: class ids, or numbers in their units."""
    target: Array = answer.encode(answers).numpy()
    if isinstance(answer.spec, LabelSpec):
        return target
    return np.asarray(answer.decode(target), np.float64).reshape(len(target), -1)


def labels_of(answer: Any, answers: Any) -> Array | None:
    """Class ids to spread evenly: those of a single column of labels."""
    if not isinstance(answer.spec, LabelSpec):
        return None
    target = answer.encode(answers)
    if target.is_floating_point():
        return target.argmax(1).numpy()
    return target[:, 0].numpy() if target.shape[1] == 1 else None


def _with_every_class(train: Array, test: Array, labels: Array | None, groups: Any) -> tuple[Array, Array]:
    """Move test rows whose class no training row has, with all of their groups, to training."""
    if labels is None:
        return train, test
    strange = ~np.isin(labels[test], labels[train])
    if groups is not None:
        own = np.asarray(groups)[test]
        strange = np.isin(own, own[strange])
    return np.sort(np.concatenate([train, test[strange]])), test[~strange]


def _counted(answer: Any, answers: Any) -> dict[str, int]:
    """Rows of each class, where there is one column of them."""
    labels = labels_of(answer, answers)
    if labels is None:
        return {}
    counts = np.bincount(labels, minlength=answer.spec.classes[0])
    return {str(name): int(count) for name, count in zip(answer.classes[0].tolist(), counts, strict=True)}


def official_rows(template: Any, X: Any, y: Any) -> Given | None:
    """The official test rows of a public set, or of a folder or .zip with parts; None where there are none."""
    another = clone(template)
    if isinstance(X, str) and datasets.means_set(X):
        splits = datasets.load(X).splits
        return another._given(datasets.load(X, "test"), y, reset=True) if splits and "test" in splits else None
    known: dict[type, Callable[..., Any]] = {Images: read_pictures, Texts: read_documents}
    reads = known.get(template.kind)
    if reads is None or not isinstance(X, (str, Path)) or not (Path(X).is_dir() or str(X).lower().endswith(".zip")):
        return None
    try:
        rows, answers, *_ = reads(X, part="test")
    except NoPart:
        return None
    given: Given = another._given(rows, answers, reset=True)
    return given
