"""How like real pictures drawn ones are: by hand, against loops of the test's own, and what must not move a figure."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import sqrtm
from torch import Tensor

from decet.errors import BadInput
from decet.tasks import fidelity
from decet.tasks.fidelity import (
    NEAR,
    WIDE,
    Fidelity,
    balance,
    compare,
    copied,
    density_coverage,
    frechet,
    kernel,
    precision_recall,
    variety,
)

RNG = np.random.default_rng(0)


def normal(count: int, width: int, seed: int = 0, shift: float = 0.0) -> Tensor:
    return shift + torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def column(*values: float) -> Tensor:
    return torch.tensor(values).unsqueeze(1)


def whole_numbers(least: int, most: int) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Two sets of rows of small whole numbers, in which ties and copies are common."""
    counts = st.integers(least, most)
    return st.tuples(counts, counts, st.integers(1, 3)).flatmap(
        lambda sizes: st.tuples(
            *(
                arrays(np.int64, (count, sizes[2]), elements=st.integers(-3, 3)).map(torch.from_numpy)
                for count in sizes[:2]
            )
        )
    )


# ------------------------------------------------------------------------------------------------------ by hand


def test_frechet_by_hand() -> None:
    """Means 0 and 4, variances 2 and 8: 16 + 2 + 8 - 2 sqrt(16)."""
    assert frechet(column(-1, 1), column(2, 6)) == pytest.approx(18.0)
    assert frechet(torch.zeros(3, 2), torch.tensor([[3.0, 4.0]] * 5)) == pytest.approx(25.0)  # points: their distance


def test_kernel_by_hand() -> None:
    """k(0, 2) = 1, k(1, 1) = 8, and k(x, y) = 1, 1, 27, 27."""
    assert kernel(column(0, 2), column(1, 1)) == pytest.approx(1 + 8 - 2 * (1 + 1 + 27 + 27) / 4)


def test_precision_recall_density_and_coverage_by_hand() -> None:
    """Real balls reach by 1, drawn ones by 8.5; 1.5 lies in those around 1 and 2, and 10 in none."""
    real, made = column(0, 1, 2, 3), column(1.5, 10)
    assert precision_recall(real, made, k=1) == (0.5, 1.0)
    assert density_coverage(real, made, k=1) == (2 / 2, 2 / 4)


def test_balance_by_hand() -> None:
    chosen = torch.tensor([0, 0, 0, 2])
    assert balance(chosen, 3) == {"shares": [0.75, 0.0, 0.25], "departure": pytest.approx(0.75 - 1 / 3)}
    assert balance(chosen, 3, wanted=[30, 0, 10])["departure"] == pytest.approx(0.0)
    assert balance(torch.tensor([1]), 2, wanted=[1.0, 0.0])["departure"] == pytest.approx(1.0)


def test_copies_by_hand() -> None:
    train, held = column(0, 10), column(1, 13)
    told = copied(column(0.5, 5, 9, 10), train, held, shown=2)
    assert (told.share, told.ordinary, told.limit) == (0.75, 0.5, 1.0)
    assert told.nearest == ((0, 0.5), (0, 5.0))


# ------------------------------------------------------------------------------------------ other ways to reckon them


@pytest.mark.parametrize("width", [1, 6])
def test_frechet_is_that_of_the_matrix_square_root(width: int) -> None:
    mixed = torch.from_numpy(RNG.normal(size=(width, width)))
    real, made = normal(50, width).double(), normal(40, width, 1, shift=0.3).double() @ mixed
    one, other = (np.atleast_2d(np.cov(rows.numpy().T)) for rows in (real, made))
    apart = np.square((real.mean(0) - made.mean(0)).numpy()).sum()
    wanted = apart + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet(real, made) == pytest.approx(wanted, rel=1e-9)


def test_frechet_of_more_columns_than_rows_is_that_of_the_columns_that_vary() -> None:
    turned = np.linalg.qr(RNG.normal(size=(60, 60)))[0]
    real, made = normal(20, 5).double(), normal(30, 5, 1, shift=1.0).double()
    wide = [torch.from_numpy(np.pad(rows.numpy(), ((0, 0), (0, 55))) @ turned) for rows in (real, made)]
    assert frechet(*wide) == pytest.approx(frechet(real, made), rel=1e-9)
    assert frechet(wide[0], torch.cat([wide[1]] * 3)) == pytest.approx(frechet(real, torch.cat([made] * 3)), rel=1e-9)


def test_sets_that_vary_along_different_directions_have_nothing_in_common() -> None:
    """The root of a spread that only round-off makes must not be seen: rows of a rank far below their width."""
    turned = torch.from_numpy(np.linalg.qr(RNG.normal(size=(8, 8)))[0])
    real, made = normal(50, 4).double() @ turned[:4], normal(50, 4, 1).double() @ turned[4:]
    apart = (real.mean(0) - made.mean(0)).square().sum()
    assert frechet(real, made) == pytest.approx(float(apart + real.var(0).sum() + made.var(0).sum()), rel=1e-12)


def test_kernel_is_that_of_two_loops() -> None:
    real, made = normal(7, 3).double(), normal(5, 3, 1, shift=0.5).double()

    def mean(rows: Tensor, others: Tensor, own: bool) -> float:
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(others)) if not own or i != j]
        return sum((float(rows[i] @ others[j]) / 3 + 1) ** 3 for i, j in pairs) / len(pairs)

    wanted = mean(real, real, True) + mean(made, made, True) - 2 * mean(real, made, False)
    assert kernel(real, made) == pytest.approx(wanted, rel=1e-10)


def test_kernel_over_subsets_is_the_whole_on_average() -> None:
    real, made = normal(60, 4), normal(50, 4, 1, shift=1.0)
    found = kernel(real, made, subsets=400, size=20)
    assert found == pytest.approx(kernel(real, made), rel=0.1)
    assert found == kernel(real, made, subsets=400, size=20)
    assert found != kernel(real, made, subsets=400, size=20, seed=1)


def test_kernel_is_nothing_on_average_between_sets_of_one_kind() -> None:
    found = [kernel(normal(100, 3, seed), normal(100, 3, 1_000 + seed)) for seed in range(40)]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(40)


def balls(real: np.ndarray, made: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density, coverage, all pairs at once."""

    def apart(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.square(rows[:, None].astype(float) - others[None]).sum(2)

    def reach(rows: np.ndarray) -> np.ndarray:
        own = apart(rows, rows)
        np.fill_diagonal(own, np.inf)
        return np.sort(own, 1)[:, k - 1]

    across = apart(made, real)
    inside, reached = reach(real) >= across, reach(made) >= across.T
    return inside.any(1).mean(), reached.any(1).mean(), inside.sum() / (k * len(made)), inside.any(0).mean()


@given(whole_numbers(5, 12), st.integers(1, 4))
def test_balls_are_those_of_all_pairs_ties_and_copies_among_them(sets: tuple[Tensor, Tensor], k: int) -> None:
    real, made = sets
    if (real == real[0]).all():
        with pytest.raises(BadInput, match="real rows must not be all alike"):
            precision_recall(real, made, k)
        return
    wanted = balls(real.numpy(), made.numpy(), k)
    for kind in (torch.int64, torch.float32):
        found = (*precision_recall(real.to(kind), made.to(kind), k), *density_coverage(real.to(kind), made.to(kind), k))
        assert found == pytest.approx(wanted)


def test_balls_of_many_rows_are_those_of_all_pairs() -> None:
    real, made = normal(300, 8), normal(200, 8, 1, shift=0.5)
    found = compare(real, made)
    assert (found.precision, found.recall) == pytest.approx(balls(real.numpy(), made.numpy(), NEAR)[:2])
    assert (found.density, found.coverage) == pytest.approx(balls(real.numpy(), made.numpy(), WIDE)[2:])


def test_the_nearest_training_row_is_that_of_all_pairs() -> None:
    train, made = normal(150, 5), normal(40, 5, 1)
    distances = np.linalg.norm(made.numpy()[:, None] - train.numpy(), axis=2)
    told = copied(made, train, normal(30, 5, 2), shown=40)
    assert [place for place, _ in told.nearest] == distances.argmin(1).tolist()
    assert [far for _, far in told.nearest] == pytest.approx(distances.min(1), rel=1e-5)


# ------------------------------------------------------------------------------------------------------- properties


@given(whole_numbers(5, 12))
def test_a_set_is_like_itself(sets: tuple[Tensor, Tensor]) -> None:
    real = sets[0].double() / 7
    assert frechet(real, real) == pytest.approx(0, abs=1e-9)
    assert kernel(real, real) < 1e-9
    if bool((real != real[0]).any()):
        assert precision_recall(real, real) == (1.0, 1.0)
        density, coverage = density_coverage(real, real, k=4)
        assert density >= 1
        assert coverage == 1


@given(whole_numbers(6, 12))
def test_a_set_far_away_is_like_nothing(sets: tuple[Tensor, Tensor]) -> None:
    real, made = sets
    if bool((real != real[0]).any()):
        found = compare(real, made + 1_000)
        assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)
        assert found.frechet is not None
        assert found.frechet > 900_000


@given(whole_numbers(6, 12), st.randoms())
def test_the_order_of_rows_does_not_count(sets: tuple[Tensor, Tensor], random) -> None:
    real, made = (rows.double() / 3 for rows in sets)
    dealt = [rows[random.sample(range(len(rows)), len(rows))] for rows in (real, made)]
    for one, other in zip(figures(compare(real, made)), figures(compare(*dealt)), strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


def figures(found: Fidelity) -> list[float]:
    return [-1.0 if figure is None else figure for figure in found.as_dict().values()]


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
def test_how_many_rows_are_looked_at_at_once_does_not_count(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made, train = normal(20, 3), normal(17, 3, 1, shift=0.2), normal(40, 3, 2)
    real[5:8] = real[4]
    train[30:] = train[:10]
    chosen = torch.arange(17) % 4
    whole = figures(compare(real, made, train=train, chosen=chosen, classes=4))
    nearest = copied(made, train, real).nearest
    pixels = torch.arange(40, dtype=torch.uint8).unsqueeze(1) % 10  # each of them four times
    monkeypatch.setattr(fidelity, "CHUNK", chunk)
    assert copied(pixels[:16], pixels, pixels).nearest == tuple((place % 10, 0.0) for place in range(16))
    assert figures(compare(real, made, train=train, chosen=chosen, classes=4)) == pytest.approx(whole, rel=1e-10)
    assert [far for _, far in copied(made, train, real).nearest] == pytest.approx([far for _, far in nearest])


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_pixels_and_half_floats_are_reckoned_in_full(kind: torch.dtype) -> None:
    real, made = (
        torch.randint(0, 200, (30, 12), generator=torch.Generator().manual_seed(seed)).to(kind) for seed in (0, 1)
    )
    assert figures(compare(real, made, train=made)) == pytest.approx(
        figures(compare(real.double(), made.double(), train=made.double())), rel=1e-9
    )


def test_far_rows_keep_their_differences() -> None:
    """Features with a large constant: what is left of |x|^2 + |y|^2 - 2 xy must not be round-off."""
    real, made = normal(200, 4).double(), normal(200, 4, 1).double()
    near = compare(real, made)
    far = compare(real + 1e7, made + 1e7)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(far, name) == getattr(near, name)
    assert far.frechet == pytest.approx(near.frechet, rel=1e-6)


def test_figures_ask_for_no_gradients() -> None:
    real, made = normal(10, 3).requires_grad_(), normal(10, 3, 1).requires_grad_()
    assert math.isfinite(compare(real, made, train=real).frechet or math.nan)


# ------------------------------------------------------------------------------------------------------- what they tell


def test_who_draws_too_little_is_told_by_recall_and_coverage_and_who_draws_wrong_by_precision_and_density() -> None:
    ids = torch.arange(400) % 4
    centres = 20 * torch.eye(4)
    real = centres[ids] + normal(400, 4)
    same = compare(real, centres[ids] + normal(400, 4, 1))
    one = compare(real, centres[:1] + normal(400, 4, 1))  # a collapsed generator
    blurred = compare(real, centres[ids] + 4 * normal(400, 4, 1))
    assert min(same.precision, same.recall, same.coverage) > 0.85
    assert same.density == pytest.approx(1, abs=0.15)
    assert one.precision > 0.85
    assert one.recall < 0.3
    assert one.coverage < 0.3
    assert blurred.precision < 0.5
    assert blurred.density < 0.5
    assert blurred.recall > 0.9
    assert same.frechet < 1 < min(one.frechet, blurred.frechet)
    assert same.kernel < min(one.kernel, blurred.kernel)


def test_planted_copies_are_found_and_fresh_draws_are_none() -> None:
    train, held, made = normal(1_500, 20), normal(1_200, 20, 1), normal(1_000, 20, 2)
    fresh = copied(made, train, held)
    assert fresh.share <= 0.005
    assert fresh.ordinary == pytest.approx(1 / 1_200)
    planted = made.clone()
    planted[:50] = train[100:150] + 1e-3 * normal(50, 20, 3)
    told = copied(planted, train, held)
    assert told.share == pytest.approx(fresh.share + 0.05, abs=0.003)
    assert [place for place, _ in told.nearest] == list(range(100, 116))
    assert max(far for _, far in told.nearest) < 0.01 < told.limit
    assert copied(train, train, held).share == 1


def test_of_thousands_of_held_out_rows_one_in_a_thousand_is_ordinary() -> None:
    train, held, made = normal(300, 4), normal(10_000, 4, 1), normal(20_000, 4, 2)
    told = copied(made, train, held)
    assert told.ordinary == pytest.approx(0.001)
    assert 0.0003 < told.share < 0.0025


def test_copies_of_pixels_are_at_nothing_even_where_held_out_ones_are_too() -> None:
    train = torch.randint(0, 256, (100, 784), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    held = torch.cat([train[7:8], torch.randint(0, 256, (50, 784)).to(torch.uint8)])
    told = copied(torch.cat([train[3:5], held[5:9]]), train, held)
    assert told.limit == 0
    assert told.share == pytest.approx(2 / 6)
    assert told.nearest[:2] == ((3, 0.0), (4, 0.0))
    features = train.float() / 7 + 1_000  # no whole numbers, and far from 0
    assert copied(features[:5], features, held.float()).nearest[:1] == ((0, 0.0),)


# --------------------------------------------------------------------------------------------------------- compare


def test_all_figures_are_those_of_the_functions() -> None:
    real, made, train = normal(40, 3), normal(30, 3, 1, shift=0.2), normal(60, 3, 2)
    chosen = torch.arange(30) % 3
    found = compare(real, made, train=train, chosen=chosen, classes=4, subsets=5, size=10, seed=3)
    assert found.frechet == frechet(real, made)
    assert found.kernel == kernel(real, made, subsets=5, size=10, seed=3)
    assert (found.precision, found.recall) == precision_recall(real, made)
    assert (found.density, found.coverage) == density_coverage(real, made)
    told = copied(made, train, real)
    assert (found.copied, found.ordinary) == (told.share, told.ordinary)
    assert found.departure == balance(chosen, 4)["departure"]
    assert set(Fidelity.higher) | {"ordinary"} == set(found.as_dict())
    assert compare(real, made).as_dict() | {"departure": None, "copied": None} == compare(real, made).as_dict()


def test_what_is_undefined_is_none() -> None:
    one = compare(normal(1, 3), normal(10, 3), train=normal(5, 3), chosen=torch.tensor([0, 1]), classes=2)
    assert {name for name, figure in one.as_dict().items() if figure is not None} == {"departure", "copied", "ordinary"}
    few = compare(normal(5, 3), normal(10, 3))
    assert few.precision is few.recall is few.density is few.coverage is None
    assert few.frechet is not None
    alike = compare(torch.ones(10, 3), normal(10, 3))
    assert alike.precision is alike.coverage is None
    assert math.isfinite(alike.frechet or math.nan)
    collapsed = compare(normal(10, 3), torch.ones(10, 3))  # all drawn pictures are one: that is a finding
    assert collapsed.recall == 0
    assert all(figure is None or math.isfinite(figure) for figure in collapsed.as_dict().values())


@settings(max_examples=50)
@given(
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 4),
    st.sampled_from([0.0, 1e-30, 1.0, 1e30, 3e38]),
    st.integers(0, 99),
)
def test_no_figure_is_ever_infinite_or_no_number(count: int, others: int, width: int, scale: float, seed: int) -> None:
    real, made = scale * normal(count, width, seed).clamp(-1, 1), scale * normal(others, width, seed + 100).clamp(-1, 1)
    found = compare(real, made, train=real, chosen=torch.zeros(others, dtype=torch.int64), classes=3)
    assert all(figure is None or math.isfinite(figure) for figure in found.as_dict().values())


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet(normal(1, 2), normal(5, 2)), "real must have at least 2 rows, to have a spread. Received: 1."),
        (lambda: kernel(normal(5, 2), normal(1, 2)), "made must have at least 2 rows, to make pairs of. Received: 1."),
        (lambda: precision_recall(normal(9, 2), normal(3, 2)), "at least 4 rows, for balls that reach to neighbour 3."),
        (lambda: density_coverage(normal(5, 2), normal(3, 2)), "real must have at least 6 rows, for balls that reach"),
        (lambda: density_coverage(torch.ones(9, 2), normal(3, 2)), "real rows must not be all alike, .* 9 equal rows."),
        (lambda: precision_recall(normal(9, 2), normal(9, 2), k=0), "k must be a whole number of at least 1. Received"),
        (lambda: kernel(normal(9, 2), normal(9, 2), size=1), "size must be a whole number of at least 2. Received: 1."),
        (lambda: kernel(normal(9, 2), normal(9, 2), subsets=0), "subsets must be a whole number between 1 and"),
        (lambda: kernel(normal(9, 2), normal(9, 2), seed=-1), "seed must be a whole number between 0 and"),
        (lambda: frechet(normal(5, 2), normal(5, 3)), "rows must have as many columns, .* Received: real 2, made 3."),
        (lambda: frechet(torch.ones(5, 1, 2, 2), normal(5, 4)), r"real must be .* \.flatten\(1\).*\(5, 1, 2, 2\)"),
        (lambda: frechet(normal(5, 2), torch.ones(5, 2) > 0), r"made must be numbers .* shape \(5, 2\), torch.bool"),
        (lambda: frechet(normal(5, 0), normal(5, 0)), r"real must be numbers of shape .* shape \(5, 0\)"),
        (lambda: compare(normal(5, 2), normal(0, 2)), "made must have at least one row. Received: 0. Add pictures."),
        (lambda: frechet(normal(5, 2) / 0, normal(5, 2)), "real must hold finite numbers within 1e40. Received"),
        (lambda: compare(normal(5, 2), column(0, 1, math.nan).expand(3, 2)), "made must hold finite .* nan to nan"),
        (
            lambda: compare(normal(5, 2).double().abs() * 1e60, normal(5, 2)),
            "real must hold finite .* within 1e40.",
        ),
        (lambda: copied(normal(5, 2), normal(5, 2), normal(0, 2)), "held must have at least one row. Received: 0."),
        (lambda: copied(normal(5, 2), normal(5, 3), normal(5, 2)), "Received: made 2, train 3, held 2."),
        (lambda: copied(normal(5, 2), normal(5, 2), normal(5, 2), -1), "shown must be a whole number of at least 0."),
        (lambda: compare(normal(5, 2), normal(5, 2), chosen=torch.zeros(5).long()), "chosen needs classes"),
        (lambda: balance(torch.tensor([0, 3]), 3), "chosen must hold classes from 0 to 2. Received: 3."),
        (lambda: balance(torch.tensor([0, -1]), 3), "chosen must hold classes from 0 to 2. Received: -1."),
        (lambda: balance(torch.tensor([0.5]), 3), r"chosen must hold the number of a class .* \(1,\), torch.float32."),
        (lambda: balance(torch.tensor([], dtype=torch.int64), 3), r"with m at least 1. Received: shape \(0,\)"),
        (lambda: balance(torch.tensor([0]), 2, [1.0]), r"wanted must hold a share .* each of 2 classes. .* \[1.0\]"),
        (lambda: balance(torch.tensor([0]), 2, [1.0, -1.0]), "wanted must hold a share of at least 0"),
        (lambda: balance(torch.tensor([0]), 2, [0.0, 0.0]), "wanted must hold a share of at least 0"),
        (lambda: balance(torch.tensor([0]), 0), "classes must be a whole number of at least 1. Received: 0."),
    ],
)
def test_what_has_no_figure_is_told(call, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call()


def test_variety_falls_where_kinds_are_missing_and_where_each_is_drawn_in_one_way() -> None:
    source = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(10, 16, generator=source)
    kinds = torch.arange(200) % 10
    real, other = (centres[kinds] + torch.randn(200, 16, generator=source) for _ in range(2))
    one_kind = centres[0] + torch.randn(200, 16, generator=source)
    one_way = centres[kinds] + 0.01 * torch.randn(200, 16, generator=source)
    assert variety(real, other) > 0.9
    assert variety(real, one_kind) < 0.5
    assert variety(real, one_way) < 0.5
