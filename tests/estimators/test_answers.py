"""Which form answers have is found from them."""

from __future__ import annotations

import numpy as np
import pytest

from decet.errors import BadInput
from decet.estimators.answers import fit_answer, is_soft, place_of
from decet.tasks.classify import Classify
from decet.tasks.regress import Regress


def test_the_question_and_the_answers_decide() -> None:
    assert fit_answer(Classify(), ["a", "b", "a"]).classes[0].tolist() == ["a", "b"]
    assert fit_answer(Classify(), [[0.2, 0.8], [0.5, 0.5]]).soft
    assert fit_answer(Regress(), [1.0, 2.0]).spec.count == 1


def test_probabilities_are_rows_of_fractions_that_sum_to_one() -> None:
    assert is_soft([[0.25, 0.75], [1.0, 0.0]])
    assert not is_soft([[1.0, 0.0], [0.0, 1.0]])  # labels, one a column
    assert not is_soft([[0.5, 0.6], [0.5, 0.5]])
    assert not is_soft(np.array([0.5, 0.5]))
    assert not is_soft([["a"], ["a", "b"]])


def test_one_class_is_refused() -> None:
    with pytest.raises(BadInput, match="y has one class only"):
        fit_answer(Classify(), ["a", "a"])


@pytest.mark.parametrize(("label", "place"), [(None, None), ("b", 1), (np.str_("a"), 0)])
def test_a_label_has_its_place_among_the_classes(label, place) -> None:
    assert place_of(label, ["a", "b"]) == place


@pytest.mark.parametrize("label", ["c", ["a"], np.array(["a", "b"]), 1])
def test_what_is_no_class_is_refused(label) -> None:
    with pytest.raises(BadInput, match=r"is no class of this model: a, b\."):
        place_of(label, ["a", "b"])
