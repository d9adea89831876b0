"""Estimators that answer with labels, or with numbers: what they predict, and what they say of their doubt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score

from decet.errors import Unsupported
from decet.estimators.base import Estimator
from decet.tasks.classify import Classify, columns_of, ids_of
from decet.tasks.conformal import Examined
from decet.tasks.regress import Regress

Array = NDArray[Any]
ENDS = ("low", "high")  # of an interval


class Classifies(ClassifierMixin, Estimator):
    """Estimators that answer with labels."""

    question = Classify
    score = Estimator.score  # not the mixin's, which knows arrays only

    scored, agreement = "accuracy", staticmethod(accuracy_score)

    def _is_single(self) -> bool:
        return bool(self.answer_.single and self.answer_.spec.exclusive and not self.answer_.soft)

    def predict(self, X: Any) -> Array:
        """The label of each row, in the form y came in."""
        answers = self._predicted(X)
        labels: Array = self.answer_.decode(self._asked().decide(answers, self.answer_.spec))
        return labels

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n, K) in the order of `classes_`; of a label set (n, labels); of several columns a list."""
        columns = self._probabilities(self._predicted(X))
        if not self.answer_.spec.exclusive:
            return np.stack([column[:, 1] for column in columns], 1)
        return columns[0] if len(columns) == 1 else columns

    def predict_set(self, X: Any, coverage: float | None = None) -> Any:
        """The labels among which the true one is, as often as `coverage` says (None = the question's): a list a row.

        The likeliest label stands first. An empty list: the model is less sure than on all but a share 1 - coverage of
        held-out rows. Of a set of labels: those that may belong, each left out of so many of its own rows at most; of
        several columns a list of such. See `decet.tasks.conformal`. Raises Unsupported where fit held no rows out, and
        BadInput for a coverage that these are too few to tell.
        """
        asked = self._covering(coverage)
        columns = self._sets(self._predicted(X), asked)
        if not self.answer_.spec.exclusive:
            return [list(row) for row in self._belonging(columns)]
        return columns[0] if len(columns) == 1 else columns

    def abstains(self, X: Any, coverage: float | None = None) -> Array:
        """Which rows should be left to a person, bool (n,): those whose set holds no label, or several.

        Of the rows that are answered, and these are many or few, no more than 1 - coverage of all are wrong.
        """
        if not self._is_single():
            raise Unsupported("abstains is of one column of labels.")
        return np.array([len(labels) != 1 for labels in self.predict_set(X, coverage)], dtype=bool)

    def _sets(self, answers: Array, coverage: float) -> list[list[list[Any]]]:
        """Of each column, each row's labels, the likeliest first."""
        inside = self._trusted().sets(answers, self.answer_.spec, coverage)
        columns = []
        for names, chances, chosen in zip(self.answer_.classes, self._probabilities(answers), inside, strict=True):
            order = np.argsort(-chances, 1, kind="stable")
            kept = np.take_along_axis(chosen, order, 1)
            labels = names.tolist()
            columns.append([[labels[k] for k in row[own]] for row, own in zip(order, kept, strict=True)])
        return columns

    def _belonging(self, columns: list[list[list[Any]]]) -> Iterator[list[Any]]:
        """Of a set of labels, those that may belong to each row."""
        labels, there = self.answer_.labels.tolist(), [names.tolist()[1] for names in self.answer_.classes]
        for row in zip(*columns, strict=True):
            yield [label for label, present, own in zip(labels, there, row, strict=True) if present in own]

    def _doubts(self, found: Examined) -> Iterator[dict[str, Any]]:
        columns, codec = self._sets(found.answers.numpy(), self._asked().coverage), self.answer_
        if not codec.spec.exclusive:
            yield from ({"set": row} for row in self._belonging(columns))
        elif codec.single or codec.soft:
            yield from ({"set": row} for row in columns[0])
        else:
            names = self.target_names_ or codec.names
            yield from ({"set": dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True))

    def _kept_word(self, found: Examined, target: Array) -> dict[str, float | None]:
        """coverage: how often sets held the true label (of a set of labels: each true label); set_size: mean labels;
        answered: the share of sets of one label; accuracy_answered: of these."""
        ids, spec, answers = ids_of(target), self.answer_.spec, found.answers.numpy()
        inside = self._trusted().sets(answers, spec, self._asked().coverage)
        if not spec.exclusive:
            may, there = np.stack([column[:, 1] for column in inside], 1), ids == 1
            return {"coverage": mean_of(may[there]), "set_size": mean_of(may[(ids >= 0).any(1)].sum(1))}
        held, sizes, right = [], [], []
        for column, chances, own in zip(inside, columns_of(answers, spec), ids.T, strict=True):
            known = np.flatnonzero(own >= 0)
            held.append(column[known, own[known]])
            sizes.append(column[known].sum(1))
            right.append(chances[known].argmax(1) == own[known])
        each, size, hits = np.concatenate(held), np.concatenate(sizes), np.concatenate(right)
        kept = {"coverage": mean_of(each), "set_size": mean_of(size)}
        return kept | {"answered": mean_of(size == 1), "accuracy_answered": mean_of(hits[size == 1])}

    def _probabilities(self, answers: Array) -> list[Array]:
        """Raw answers column by column (n, K), each row summing to 1."""
        columns = columns_of(answers.astype(np.float64), self.answer_.spec)
        return [column / column.sum(1, keepdims=True) for column in columns]

    def _records(self, answers: Array) -> Iterator[dict[str, Any]]:
        codec = self.answer_
        ids = self._asked().decide(answers, codec.spec)
        chances = [np.round(column, 6).tolist() for column in self._probabilities(answers)]
        classes = [column.tolist() for column in codec.classes]
        for row in range(len(answers)):
            if not codec.spec.exclusive:
                labels = codec.labels.tolist()
                answer: Any = [label for label, said in zip(labels, ids[row], strict=True) if said]
                chosen = {str(label): column[row][1] for label, column in zip(labels, chances, strict=True)}
                yield {"answer": answer, "probabilities": chosen}
                continue
            columns = [
                (names[i], {str(name): chance for name, chance in zip(names, column[row], strict=True)})
                for names, column, i in zip(classes, chances, ids[row], strict=True)
            ]
            if codec.single or codec.soft:
                yield {"answer": columns[0][0], "probabilities": columns[0][1]}
            else:
                named = dict(zip(self.target_names_ or codec.names, columns, strict=True))
                yield {
                    "answer": {name: label for name, (label, _) in named.items()},
                    "probabilities": {name: chance for name, (_, chance) in named.items()},
                }

    def _target(self, y: Any) -> Array:
        target: Array = self.answer_.encode(y).numpy()
        return target


class Regresses(RegressorMixin, Estimator):
    """Estimators that answer with numbers."""

    question = Regress
    score = Estimator.score  # not the mixin's, which knows arrays only

    scored, agreement = "r2", staticmethod(r2_score)

    def _is_single(self) -> bool:
        return bool(self.answer_.spec.count == 1)

    def predict(self, X: Any) -> Array:
        """The number(s) of each row: (n,) or (n, J), as y came."""
        answers = self._predicted(X)
        numbers: Array = self.answer_.decode(answers)
        return numbers

    def _records(self, answers: Array) -> Iterator[dict[str, Any]]:
        names = self.target_names_ or self.answer_.names
        for row in self._numbers_of(answers).tolist():
            yield {"answer": row[0] if len(row) == 1 else dict(zip(names, row, strict=True))}

    def predict_interval(self, X: Any, coverage: float | None = None) -> Array:
        """From where to where each number goes, as often as `coverage` says (None = the question's).

        (n, 2), or (n, J, 2) of several numbers, in their units. See `decet.tasks.conformal`. Raises Unsupported where
        fit held no rows out, and BadInput for a coverage that these are too few to tell.
        """
        asked = self._covering(coverage)
        found = self._ranges(self._examined(X), asked)
        return found[:, 0] if self._is_single() else found

    def _ranges(self, found: Examined, coverage: float | None) -> Array:
        """Intervals (n, J, 2) in the user's units."""
        ends = self._trusted().intervals(found, self._asked().coverage if coverage is None else coverage)
        return np.stack([self._numbers_of(ends[..., side]) for side in (0, 1)], -1)

    def _needs_more(self) -> bool:
        return self._trust() is not None

    def _doubts(self, found: Examined) -> Iterator[dict[str, Any]]:
        names = self.target_names_ or self.answer_.names
        for row in self._ranges(found, None).tolist():
            ends = [
                {name: end if np.isfinite(end) else None for name, end in zip(ENDS, pair, strict=True)} for pair in row
            ]
            yield {"interval": ends[0] if len(ends) == 1 else dict(zip(names, ends, strict=True))}

    def _kept_word(self, found: Examined, target: Array) -> dict[str, float | None]:
        low, high = np.moveaxis(self._ranges(found, None), -1, 0)
        known = ~np.isnan(target)
        inside, width = ((low <= target) & (target <= high))[known], mean_of((high - low)[known])
        return {"coverage": mean_of(inside), "interval_width": width if width is None or np.isfinite(width) else None}

    def _numbers_of(self, answers: Array) -> Array:
        return np.asarray(self.answer_.decode(answers), dtype=np.float64).reshape(len(answers), -1)

    def _target(self, y: Any) -> Array:
        return self._numbers_of(self.answer_.encode(y).numpy())


def mean_of(values: Array) -> float | None:
    """None of no values."""
    return float(values.mean()) if len(values) else None
