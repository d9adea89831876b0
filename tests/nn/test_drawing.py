"""What Word2Vec draws: functions of a seed and a place alone, with the probabilities that the papers say."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from decet.nn.drawing import GROUP, MORE, Draws, aliases, bits, huffman, thresholds

COUNTS = np.array([5_000, 900, 900, 300, 40, 7, 1])
UNSURE = 1e-4  # a fair draw is called unfair so seldom, and the draws here are always the same


def draws(counts: np.ndarray = COUNTS, **said: object) -> Draws:
    return Draws(counts, **{"window": 5, "negatives": 5, "sample": 0.0, "exponent": 0.75, **said})  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------------------- 64 bits


def test_the_bits_are_those_of_splitmix64() -> None:
    """Of its first numbers from the seed 1234567, as they are published beside the reference code."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert bits(1234567, np.arange(1, 5)).tolist() == published


def test_draws_are_functions_of_seed_and_place_alone() -> None:
    drawn, places = draws(sample=1e-3), np.arange(1_000, 3_000)
    for few in (slice(0, 1), slice(700, 703), slice(None, None, -1)):
        assert np.array_equal(bits(3, places)[few], bits(3, places[few]))
        assert np.array_equal(drawn.reaches(places, 3)[few], drawn.reaches(places[few], 3))
        assert np.array_equal(drawn.others(places, 3)[few], drawn.others(places[few], 3))
    assert not np.array_equal(drawn.others(places, 3), drawn.others(places, 4))
    assert not np.array_equal(drawn.reaches(places, 3), drawn.reaches(places, 4))


def test_a_passage_cut_in_two_keeps_the_same_words() -> None:
    drawn, ids = draws(sample=1e-3), np.random.default_rng(0).integers(0, 7, 900).astype(np.int32)
    edges = np.array([0, 10, 400, 401, 900])
    words, places, ends = drawn.kept(ids, edges + 50, 50, 9)
    first = drawn.kept(ids[:400], edges[:3] + 50, 50, 9)
    second = drawn.kept(ids[400:], edges[2:] + 50, 450, 9)
    assert np.array_equal(words, np.concatenate([first[0], second[0]]))
    assert np.array_equal(places, np.concatenate([first[1], second[1]]))
    assert np.array_equal(ends, np.concatenate([first[2], second[2][1:] + len(first[0])]))
    assert np.array_equal(words, ids[places - 50])


def test_sentences_keep_their_words() -> None:
    """Where sentences begin among the words that are left: each word is still in its own."""
    drawn, ids = draws(sample=1e-3), np.random.default_rng(1).integers(0, 7, 500).astype(np.int32)
    edges = np.array([0, 1, 2, 250, 500])
    _, places, ends = drawn.kept(ids, edges, 0, 2)
    for (low, high), (a, b) in zip(pairwise(edges), pairwise(ends), strict=True):
        assert ((places[a:b] >= low) & (places[a:b] < high)).all()
    assert (ends[0], ends[-1]) == (0, len(places))


# ------------------------------------------------------------------------------------------------- who is left out


def test_frequent_words_stay_with_the_papers_probability() -> None:
    sample, times = 1e-2, 100_000
    drawn = draws(sample=sample)
    for word, count in enumerate(COUNTS):
        f = count / COUNTS.sum()
        wanted = min(1.0, np.sqrt(sample / f) + sample / f)
        kept, _, _ = drawn.kept(np.full(times, word, np.int32), np.array([0, times]), 0, word)
        assert len(kept) / times == pytest.approx(wanted, abs=4.5 * np.sqrt(wanted * (1 - wanted) / times) + 1e-12)


def test_rare_words_always_stay_and_without_a_sample_all_do() -> None:
    below = thresholds(np.array([1_000_000, 1]), 1e-3)
    assert below is not None
    assert below[1] == 2**32 - 1  # no 32 bits are above it
    assert thresholds(COUNTS, 0.0) is None
    ids = np.arange(7, dtype=np.int32)
    words, places, edges = draws().kept(ids, np.array([3, 5, 10]), 3, 1)
    assert (words.tolist(), places.tolist(), edges.tolist()) == (ids.tolist(), [*range(3, 10)], [0, 2, 7])


# ----------------------------------------------------------------------------------------------- windows, negatives


@pytest.mark.parametrize("window", [1, 2, 5, 7, 1_000])
def test_windows_are_uniform_from_one_word_to_all(window: int) -> None:
    found = draws(window=window).reaches(np.arange(100 * window), 5)
    assert (found.min(), found.max()) == (1, window)
    assert window == 1 or chisquare(np.bincount(found)[1:]).pvalue > UNSURE


def test_windows_do_not_depend_on_who_stays() -> None:
    """Both come of one number: of words that stay, as of all, each reach is as likely."""
    drawn, places = draws(sample=1e-2), np.arange(200_000)
    _, stayed, _ = drawn.kept(np.zeros(len(places), np.int32), np.array([0, len(places)]), 0, 8)
    assert 0.05 < len(stayed) / len(places) < 0.2
    assert chisquare(np.bincount(drawn.reaches(stayed, 8))[1:]).pvalue > UNSURE


@pytest.mark.parametrize("exponent", [0.75, 1.0, 0.0, -0.5])
def test_negatives_are_drawn_by_a_power_of_their_counts(exponent: float) -> None:
    found = draws(exponent=exponent).others(np.arange(40_000), 6)
    assert found.shape == (40_000, 5)
    wanted = COUNTS**exponent
    assert chisquare(np.bincount(found.ravel(), minlength=7), found.size * wanted / wanted.sum()).pvalue > UNSURE


def test_cbow_shares_twice_as_many_negatives_among_its_group() -> None:
    bags, single = draws(bags=True), draws()
    assert (bags.group, bags.drawn) == (GROUP, 5 * MORE)
    assert (single.group, single.drawn) == (1, 5)
    assert bags.others(np.arange(3), 0).shape == (3, 10)


def test_hierarchical_softmax_draws_no_negatives_and_has_a_tree() -> None:
    drawn = draws(negatives=0, bags=True)
    assert (drawn.group, drawn.drawn, drawn.aliases) == (1, 0, None)
    assert drawn.others(np.arange(3), 0).shape == (3, 0)
    assert drawn.tree is not None
    assert draws().tree is None


# --------------------------------------------------------------------------------------------------------- aliases


def probabilities(table: np.ndarray) -> list[Fraction]:
    """What each word is drawn with, exactly: its own place's chance, and those of the places that name it."""
    size = len(table)
    found = [Fraction(0)] * size
    for place, entry in enumerate(table.tolist()):
        chance, other = Fraction(entry >> 32, 2**32), entry & 0xFFFFFFFF
        found[place] += chance / size
        found[other] += (1 - chance) / size
    return found


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
def test_aliases_give_back_the_weights(weights: list[int]) -> None:
    found = probabilities(aliases(np.array(weights, np.float64)))
    assert sum(found) == 1
    for chance, weight in zip(found, weights, strict=True):
        assert abs(chance - Fraction(weight, sum(weights))) < len(weights) * 2.0**-32


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([1, 1], id="two words"),
        pytest.param([3] * 100, id="equal counts"),
        pytest.param([10**12] + [1] * 500, id="one huge count"),
    ],
)
def test_aliases_at_the_edges(counts: list[int]) -> None:
    found = probabilities(aliases(np.array(counts, np.float64)))
    np.testing.assert_allclose([float(p) for p in found], np.array(counts) / sum(counts), atol=len(counts) * 2.0**-32)
    assert min(found) >= 0


# ------------------------------------------------------------------------------------------------------------ tree


def codes(counts: list[int]) -> list[str]:
    paths, _, turns = huffman(np.array(counts))
    return ["".join(map(str, turns[a:b])) for a, b in pairwise(paths)]


def test_huffmans_tree_worked_by_hand() -> None:
    """Of 8, 4, 2 and 1: 1 and 2 join to 3 (node 0), 3 and 4 to 7 (node 1), 7 and 8 to the root (node 2). The lighter
    goes left."""
    paths, nodes, turns = huffman(np.array([8, 4, 2, 1]))
    assert codes([8, 4, 2, 1]) == ["0", "10", "110", "111"]
    assert [nodes[a:b].tolist() for a, b in pairwise(paths)] == [[2], [2, 1], [2, 1, 0], [2, 1, 0]]
    assert (paths.dtype, nodes.dtype, turns.dtype) == (np.int64, np.int32, np.int8)


def shortest(counts: list[int]) -> int:
    """The bits of the best code: what all joins of the two lightest weigh together."""
    left, total = sorted(counts), 0
    while len(left) > 1:
        joint = left.pop(0) + left.pop(0)
        total += joint
        left = sorted([*left, joint])
    return total


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=60))
def test_the_tree_is_prefix_free_and_as_short_as_can_be(counts: list[int]) -> None:
    found = codes(counts)
    assert sum(Fraction(1, 2 ** len(code)) for code in found) == 1  # Kraft: every turn leads to a word
    assert all(not b.startswith(a) for a, b in pairwise(sorted(found)))
    assert sum(count * len(code) for count, code in zip(counts, found, strict=True)) == shortest(counts)
    _, nodes, _ = huffman(np.array(counts))
    assert set(nodes.tolist()) == set(range(len(counts) - 1))


@pytest.mark.parametrize(
    ("counts", "lengths"),
    [
        pytest.param([1, 1], [1, 1], id="two words"),
        pytest.param([5] * 8, [3] * 8, id="equal counts"),
        pytest.param([10**12, 1, 1, 1, 1], [1, 3, 3, 3, 3], id="one huge count"),
    ],
)
def test_the_tree_at_the_edges(counts: list[int], lengths: list[int]) -> None:
    assert [len(code) for code in codes(counts)] == lengths
