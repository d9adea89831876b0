"""The sentences of decet.errors: what was wrong, what was received, what would work."""

from __future__ import annotations

import numpy as np
import pytest

from decet.errors import (
    BadInput,
    DecetError,
    Diverged,
    NotFitted,
    Unsupported,
    check_choice,
    check_range,
    listed,
    suggest,
)


def test_every_error_is_a_decet_error_and_one_that_python_knows():
    assert issubclass(BadInput, DecetError)
    assert issubclass(BadInput, ValueError)
    assert issubclass(Unsupported, DecetError)
    assert issubclass(Unsupported, TypeError)
    assert issubclass(NotFitted, DecetError)
    assert issubclass(NotFitted, (ValueError, AttributeError))
    assert issubclass(Diverged, DecetError)
    assert issubclass(Diverged, ArithmeticError)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("incme", ["income", "age"], " Did you mean 'income'?"),
        ("DNN", ["dnn", "cnn-of-another-kind"], " Did you mean 'dnn'?"),
        ("zebra", ["income", "age"], " Choose from: income, age."),
        ("zebra", [], ""),
        (3, [1, 2], " Choose from: 1, 2."),
    ],
)
def test_suggest_names_the_near_option_or_lists_all(name, options, sentence):
    assert suggest(name, options) == sentence


def test_listed_cuts_a_long_list_and_counts_the_rest():
    assert listed("abc") == "a, b, c"
    assert listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7 and 4 more"
    assert listed(range(12), most=2) == "0, 1 and 10 more"
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("value", "low", "high", "whole", "sentence"),
    [
        (0, 1, 9, True, "depth must be a whole number between 1 and 9. Received: 0."),
        (10, 1, 9, True, "depth must be a whole number between 1 and 9. Received: 10."),
        (2.5, 1, None, True, "depth must be a whole number of at least 1. Received: 2.5."),
        (3.0, None, 2.0, False, "depth must be a number of at most 2.0. Received: 3.0."),
        ("3", None, None, False, "depth must be a number. Received: '3'."),
        (True, 0, 1, False, "depth must be a number between 0 and 1. Received: True."),
        (float("nan"), 0, None, False, "depth must be a number of at least 0. Received: nan."),
        (float("inf"), 0, None, False, "depth must be a number of at least 0. Received: inf."),
        ([1], 0, None, False, "depth must be a number of at least 0. Received: [1]."),
        (np.int64(0), 1, None, True, "depth must be a whole number of at least 1. Received: 0."),
    ],
)
def test_check_range_says_the_rule_and_what_was_received(value, low, high, whole, sentence):
    with pytest.raises(BadInput) as caught:
        check_range("depth", value, low, high, whole=whole)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("value", [np.str_("deep"), np.bool_(True), np.array(["deep"])])
def test_check_range_refuses_numpy_values_that_are_no_numbers(value):
    with pytest.raises(BadInput, match=r"^depth must be a number\. Received: "):
        check_range("depth", value)


@pytest.mark.parametrize("value", [None, 1, 9, 2.0, np.int64(4), np.float32(4)])
def test_check_range_lets_pass_what_fits_and_what_was_not_said(value):
    check_range("depth", value, 1, 9, whole=True)


def test_check_choice_suggests_the_near_option():
    with pytest.raises(BadInput) as caught:
        check_choice("norm", "batsch", ("none", "batch", "layer"))
    assert (
        str(caught.value) == "norm must be one of 'none', 'batch', 'layer'. Received: 'batsch'. Did you mean 'batch'?"
    )


def test_check_choice_without_a_near_option_does_not_list_them_twice():
    with pytest.raises(BadInput) as caught:
        check_choice("norm", "zzz", ("none", "batch"))
    assert str(caught.value) == "norm must be one of 'none', 'batch'. Received: 'zzz'."


def test_check_choice_tells_true_from_1():
    with pytest.raises(BadInput, match=r"^residual must be one of True, False\. Received: 1\.$"):
        check_choice("residual", 1, (True, False))


@pytest.mark.parametrize("value", [None, "batch"])
def test_check_choice_lets_pass_options_and_what_was_not_said(value):
    check_choice("norm", value, ("none", "batch"))
