"""Fidelity: how like real pictures drawn ones are, by what some network makes of them (n, D), or by their pixels.

    frechet     |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)                       from 0, which is best
    kernel      mean k(x, x') + mean k(y, y') - 2 mean k(x, y),  k(x, y) = (x.y / D + 1)^3
                                                                 0 is best, a little below it by chance
    precision   share of drawn rows that lie in a ball around some real one            0 to 1, which is best
    recall      share of real rows that lie in a ball around some drawn one            0 to 1, which is best
    density     balls around real rows that a drawn one lies in, over k                from 0; 1 is ordinary
    coverage    share of balls around real rows that hold a drawn one                  0 to 1, which is best
    departure   largest |share of a class - what was wanted|                           0, which is best, to 1
    variety     distances between drawn rows over those between real ones      from 0; 1 is as real
    copied      share of drawn rows as near to a training row as the nearest thousandth of held-out rows is
                                                                 0 to 1; 0.001 is ordinary, 1 is nothing but copies

x are real rows with mean m and covariance S, y drawn ones with m' and S'; the pairs (x, x') and (y, y') are of
different rows. A ball around a row reaches as far as the k-th nearest other row of its own set.

All of them see what the features see: figures of two networks, or of sets of different sizes, cannot be held against
each other. Frechet's distance of few rows is too large, so what is best is to be measured: real rows against others.

References: Frechet distance: Heusel et al., 1706.08500; kernel: Binkowski et al., 1801.01401; precision, recall:
Kynkaanniemi et al., 1904.06991; density, coverage: Naeem et al., 2002.09797; copies told by held-out rows: Meehan et
al., 2004.05675.

Differs from the papers:
1. The root of the product is never taken: with S = L L^T and S' = M M^T, the trace of it is the sum of the singular
   values of L^T M, the roots of the eigenvalues of L^T S' L, which is symmetric: they are real, and round-off is small.
2. The kernel of sets of at most `size` rows is that of all rows, once, and not a mean over subsets.
3. A row on the rim of a ball lies in it, so that precision and recall of a set against itself are 1 whatever it holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from decet.errors import BadInput, check_range

CHUNK = 2_048  # rows; so many times so many distances are in memory at once
LARGEST = 1e40  # of a feature, so that cubes of products are finite
ROUNDING = 1e-12  # share of |x|^2 + |y|^2 that round-off takes from |x - y|^2 or adds to it, at most
NEAR, WIDE = 3, 5  # neighbours that a ball reaches to: of precision and recall, of density and coverage
SUBSETS, SIZE = 100, 1_000  # of the kernel, as is usual
SELDOM = 1_000  # one in so many held-out rows is as near to a training row as what is called a copy
TINY = 1e-9  # instead of distances of 0, to divide by
SHOWN = 16  # drawn rows whose nearest training row is named


@dataclass(frozen=True)
class Fidelity:
    """All figures; None = undefined or not asked. ordinary: the share of held-out rows that are as near as copies."""

    frechet: float | None = None
    kernel: float | None = None
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None
    departure: float | None = None
    copied: float | None = None
    ordinary: float | None = None

    higher: ClassVar[dict[str, bool]] = {
        "frechet": False, "kernel": False, "precision": True, "recall": True, "density": True, "coverage": True,
        "departure": False, "copied": False,
    }  # fmt: skip

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


class Copied(NamedTuple):
    """What tells whether drawn rows are copies of training rows."""

    share: float  # of drawn rows that are as near to a training row as `limit`
    ordinary: float  # the same of held-out rows: 0.001, or one of them where they are fewer than 1,000
    limit: float  # a distance
    nearest: tuple[tuple[int, float], ...]  # of the first drawn rows: the nearest training row's place, its distance


@torch.no_grad()
def compare(
    real: Tensor,
    made: Tensor,
    *,
    train: Tensor | None = None,
    chosen: Tensor | None = None,
    classes: int | None = None,
    wanted: Sequence[float] | None = None,
    subsets: int = SUBSETS,
    size: int = SIZE,
    seed: int = 0,
) -> Fidelity:
    """All figures of drawn rows `made` (m, D) beside real ones (n, D) that nothing was trained on.

    train: rows (t, D) that were trained on: are drawn ones copies of them? chosen (m,): the class of each drawn
    picture as a classifier has it, of so many `classes`, whose shares were to be as `wanted` (alike where it is None).
    Fewer than two rows of a set have no spread: frechet and kernel are None. Balls need six rows of each set, real ones
    that are not all alike: else precision, recall, density and coverage are None.
    Raises BadInput for rows that are none.
    """
    _check_together({"real": real, "made": made})
    if chosen is not None and classes is None:
        raise BadInput("chosen needs classes: how many there are. Received: None.")
    spread = min(len(real), len(made)) >= 2
    figures: dict[str, float | None] = {}
    if spread:
        figures["frechet"] = frechet(real, made)
        figures["kernel"] = kernel(real, made, subsets=subsets, size=size, seed=seed)
    if min(len(real), len(made)) > WIDE and _varies(real):
        figures |= _of_balls(real, made)
    if chosen is not None and classes is not None:
        figures["departure"] = balance(chosen, classes, wanted)["departure"]
    if train is not None:
        told = copied(made, train, real)
        figures |= {"copied": told.share, "ordinary": told.ordinary}
    return Fidelity(**figures)


# --------------------------------------------------------------------------------------------------- two distances


@torch.no_grad()
def frechet(real: Tensor, made: Tensor) -> float:
    """Frechet's distance of the Gaussians that fit both sets, squared as usual: the 2-Wasserstein distance's square.

    real (n, D), made (m, D), of two rows or more each. 0 is best; grows with the square of the features' scale.
    """
    _check_together({"real": real, "made": made}, 2, "to have a spread")
    mean, factor = _gaussian(real)
    other_mean, other = (part.to(mean.device) for part in _gaussian(made))
    common = torch.linalg.svdvals(factor.T @ other).sum()
    apart = (mean - other_mean).square().sum()
    return max(0.0, float(apart + factor.square().sum() + other.square().sum() - 2 * common))


def _gaussian(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) of rows, and L (D, R), whose L L^T is their covariance; float64."""
    mean, (count, width) = _mean(rows), rows.shape
    if count <= width:  # the rows themselves are the smaller factor
        return mean, ((rows.double() - mean) / math.sqrt(count - 1)).T
    covariance = torch.zeros(width, width, dtype=torch.float64, device=rows.device)
    for _, part in _parts(rows, mean):
        covariance.addmm_(part.T, part)
    values, vectors = torch.linalg.eigh(covariance / (count - 1))
    # What round-off makes of a spread of 0 is told from it no more, and its root would be seen.
    there = values > 10 * width * torch.finfo(torch.float64).eps * values[-1]
    return mean, vectors[:, there] * values[there].sqrt()


@torch.no_grad()
def kernel(real: Tensor, made: Tensor, *, subsets: int = SUBSETS, size: int = SIZE, seed: int = 0) -> float:
    """Squared maximum mean discrepancy, unbiased, under the cubic polynomial kernel.

    real (n, D), made (m, D), of two rows or more each: the mean over so many `subsets`, of `size` rows of each set
    drawn without replacement; of sets that are both no larger it is that of all rows. 0 is best and what two sets of
    one kind have on average, so that it is below 0 now and then.
    """
    _check_together({"real": real, "made": made}, 2, "to make pairs of")
    check_range("subsets", subsets, 1, 1_000_000, whole=True)
    check_range("size", size, 2, whole=True)
    check_range("seed", seed, 0, 2**63 - 1, whole=True)
    if size >= max(len(real), len(made)):
        return _discrepancy(real, made)
    generator = torch.Generator().manual_seed(seed)
    found = [_discrepancy(_some(real, size, generator), _some(made, size, generator)) for _ in range(subsets)]
    return math.fsum(found) / subsets


def _some(rows: Tensor, size: int, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:size].to(rows.device)]


def _discrepancy(x: Tensor, y: Tensor) -> float:
    within = sum((_kernels(rows, rows) - _kernels_of_own(rows)) / (len(rows) * (len(rows) - 1)) for rows in (x, y))
    return within - 2 * _kernels(x, y) / (len(x) * len(y))


def _kernels(x: Tensor, y: Tensor) -> float:
    """The sum of k(x, y) over all pairs of rows."""
    found = []
    for part in x.split(CHUNK):
        for other in y.split(CHUNK):
            products = (part.double() / x.shape[1]) @ other.to(part.device).double().T + 1
            found.append(float(torch.dot(products.square().flatten(), products.flatten())))
    return math.fsum(found)


def _kernels_of_own(rows: Tensor) -> float:
    """The sum of k(x, x)."""
    return math.fsum(
        float((part.double().square().sum(1) / rows.shape[1] + 1).pow(3).sum()) for part in rows.split(CHUNK)
    )


# ------------------------------------------------------------------------------------------------------------ balls


@torch.no_grad()
def precision_recall(real: Tensor, made: Tensor, k: int = NEAR) -> tuple[float, float]:
    """Precision, how much of what is drawn might be real, and recall, how much of what is real might be drawn: 0 to 1.

    real (n, D), made (m, D), more than k rows each, real ones that are not all alike.
    """
    check_range("k", k, 1, whole=True)
    _check_together({"real": real, "made": made}, k + 1, f"for balls that reach to neighbour {k}")
    _check_varied(real)
    inside, _ = _held(made, real, _radii(real, (k,)))
    reached, _ = _held(real, made, _radii(made, (k,)))
    return _share(inside[:, 0] > 0), _share(reached[:, 0] > 0)


@torch.no_grad()
def density_coverage(real: Tensor, made: Tensor, k: int = WIDE) -> tuple[float, float]:
    """Density, from 0: how many balls around real rows a drawn one lies in, over k; and coverage, 0 to 1: how many of
    them hold a drawn one.

    real (n, D), more than k rows that are not all alike; made (m, D). A lone far real row, whose ball is large, counts
    as one of many here, and makes precision 1 by itself.
    """
    check_range("k", k, 1, whole=True)
    _check_together({"real": real, "made": made})
    _check_together({"real": real}, k + 1, f"for balls that reach to neighbour {k}")
    _check_varied(real)
    inside, holds = _held(made, real, _radii(real, (k,)))
    return float(inside.double().mean()) / k, _share(holds)


@torch.no_grad()
def covered(real: Tensor, made: Tensor, k: int = WIDE) -> Tensor:
    """Which real rows (n, D) have a drawn one in the ball around them that reaches to neighbour k: (n,) bool. Their
    share is the coverage."""
    check_range("k", k, 1, whole=True)
    _check_together({"real": real, "made": made})
    _check_together({"real": real}, k + 1, f"for balls that reach to neighbour {k}")
    return _held(made, real, _radii(real, (k,)))[1][:, 0]


@torch.no_grad()
def variety(real: Tensor, made: Tensor) -> float:
    """How far drawn rows are from each other, over how far real ones are; (n, D) each, two rows at least.

    The lesser of two ratios: of the mean distance, which falls where kinds are missing, and of that to the nearest,
    which falls where each kind is drawn in one way only. 1 is as real ones.
    """
    _check_together({"real": real, "made": made}, 2, "to be apart")
    ratios = []
    for measure in (lambda rows: torch.pdist(rows.double()).mean(), lambda rows: _radii(rows, (1,)).sqrt().mean()):
        ratios.append(float(measure(made)) / max(float(measure(real)), TINY))
    return min(ratios)


@torch.no_grad()
def _of_balls(real: Tensor, made: Tensor) -> dict[str, float | None]:
    """The figures of both functions above, with what they have in common reckoned once."""
    inside, holds = _held(made, real, _radii(real, (NEAR, WIDE)))
    reached, _ = _held(real, made, _radii(made, (NEAR,)))
    return {
        "precision": _share(inside[:, 0] > 0),
        "recall": _share(reached[:, 0] > 0),
        "density": float(inside[:, 1].double().mean()) / WIDE,
        "coverage": _share(holds[:, 1]),
    }


def _radii(rows: Tensor, neighbours: Sequence[int]) -> Tensor:
    """Squared distances of each row to its k-th nearest other one, for each k of `neighbours`: (n, R)."""
    most, centre, found = max(neighbours), _centre(rows), []
    for start, some in _parts(rows, centre):
        near = []
        for begin, others in _parts(rows, centre):
            squared = _squared(some, others)
            if begin == start:
                squared.fill_diagonal_(math.inf)
            near.append(squared.topk(min(most, len(others)), largest=False).values)
        nearest = torch.cat(near, 1).topk(most, largest=False).values
        found.append(nearest[:, [k - 1 for k in neighbours]].clamp(min=0))
    return torch.cat(found)


def _held(asked: Tensor, rows: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
    """In how many balls around `rows` (n, D), of squared `radii` (n, R), each asked row (m, D) lies: (m, R) int64; and
    whether each ball holds any: (n, R)."""
    centre, kinds = _centre(rows), range(radii.shape[1])
    counts = torch.zeros(len(asked), len(kinds), dtype=torch.int64, device=rows.device)
    holds = torch.zeros(radii.shape, dtype=torch.bool, device=rows.device)
    for start, some in _parts(asked, centre):
        for begin, others in _parts(rows, centre):
            squared, end = _squared(some, others, ROUNDING), begin + len(others)
            for kind in kinds:
                inside = squared <= radii[begin:end, kind]
                counts[start : start + len(some), kind] += inside.sum(1, dtype=torch.int32)
                holds[begin:end, kind] |= inside.any(0)
    return counts, holds


# ------------------------------------------------------------------------------------------------ classes and copies


def balance(chosen: Tensor, classes: int, wanted: Sequence[float] | None = None) -> dict[str, Any]:
    """`shares` of the classes among drawn pictures, and the largest `departure` from what was wanted, 0 (best) to 1.

    chosen (m,): each picture's class, 0 to classes - 1, as a classifier has it. wanted: a share of each class, or the
    number of its training pictures; None: all alike.
    """
    check_range("classes", classes, 1, whole=True)
    if chosen.ndim != 1 or not len(chosen) or chosen.is_floating_point() or chosen.is_complex():
        raise BadInput(
            "chosen must hold the number of a class for each picture, (m,) with m at least 1. "
            f"Received: shape {tuple(chosen.shape)}, {chosen.dtype}."
        )
    ids = chosen.long()
    low, high = (int(end) for end in ids.aminmax())
    if low < 0 or high >= classes:
        raise BadInput(f"chosen must hold classes from 0 to {classes - 1}. Received: {low if low < 0 else high}.")
    shares = (torch.bincount(ids, minlength=classes).double() / len(ids)).tolist()
    right = [1.0] * classes if wanted is None else [float(share) for share in wanted]
    total = sum(right)
    if len(right) != classes or min(right) < 0 or not 0 < total < math.inf:
        raise BadInput(f"wanted must hold a share of at least 0 of each of {classes} classes. Received: {wanted}.")
    return {"shares": shares, "departure": max(abs(a - b / total) for a, b in zip(shares, right, strict=True))}


@torch.no_grad()
def copied(made: Tensor, train: Tensor, held: Tensor, shown: int = SHOWN) -> Copied:
    """What share of drawn rows (m, D) is as near to a training row (t, D) as hardly a held-out row (h, D) is.

    Held-out rows are as far from training rows as new ones are; the nearest thousandth of them (the nearest one, where
    they are fewer) sets the limit. More than the ordinary share below it means that training rows were learned by
    heart. shown: of how many drawn rows, the first ones, the nearest training row is named.
    """
    _check_together({"made": made, "train": train, "held": held})
    check_range("shown", shown, 0, whole=True)
    distances, places = _nearest(made, train)
    usual, _ = _nearest(held, train)
    limit = usual.sort().values[max(1, (len(held) + 1) // SELDOM) - 1]
    first = zip(places[:shown].tolist(), distances[:shown].tolist(), strict=True)
    return Copied(_share(distances <= limit), _share(usual <= limit), float(limit), tuple(first))


def _nearest(asked: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """How far the nearest of `rows` is from each asked row (m,), and its place (m,), the first of several."""
    centre, distances, places = _centre(rows), [], []
    for _, some in _parts(asked, centre):
        least = torch.full((len(some),), math.inf, dtype=torch.float64, device=centre.device)
        place = torch.zeros(len(some), dtype=torch.int64, device=centre.device)
        for begin, others in _parts(rows, centre):
            near, at = _squared(some, others).min(1)
            place = torch.where(near < least, begin + at, place)
            least = torch.minimum(near, least)
        # Measured again, for a copy is to be at 0 and not at what round-off leaves of large numbers.
        distances.append((some - (rows[place].to(centre) - centre)).square().sum(1).sqrt())
        places.append(place)
    return torch.cat(distances), torch.cat(places)


# -------------------------------------------------------------------------------------------------- rows in portions


def _parts(rows: Tensor, centre: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Some rows at a time, as far as they are from `centre`, float64, and where they begin."""
    for start in range(0, len(rows), CHUNK):
        yield start, rows[start : start + CHUNK].to(centre) - centre


def _squared(x: Tensor, y: Tensor, less: float = 0.0) -> Tensor:
    """|x - y|^2 of all pairs (a, b), less by such a share of |x|^2 + |y|^2; one product, which is the quickest."""
    own, others = ((1 - less) * rows.square().sum(1, keepdim=True) for rows in (x, y))
    return torch.cat([-2 * x, own, torch.ones_like(own)], 1) @ torch.cat([y, torch.ones_like(others), others], 1).T


def _mean(rows: Tensor) -> Tensor:
    return torch.stack([part.double().sum(0) for part in rows.split(CHUNK)]).sum(0) / len(rows)


def _centre(rows: Tensor) -> Tensor:
    """About the mean; whole numbers, as pixels are, stay whole, so that sums of their squares are exact."""
    return _mean(rows) if rows.is_floating_point() else _mean(rows).round()


def _share(true: Tensor) -> float:
    return float(true.double().mean())


# ------------------------------------------------------------------------------------------------------ what is refused


def _check_together(sets: dict[str, Tensor], least: int = 1, why: str = "") -> None:
    """Raise BadInput unless each set is `least` rows of finite numbers or more, all of one width."""
    for name, rows in sets.items():
        if rows.ndim != 2 or not rows.shape[1] or rows.is_complex() or rows.dtype == torch.bool:
            raise BadInput(
                f"{name} must be numbers of shape (n, D), a row a picture; of pixels say .flatten(1). "
                f"Received: shape {tuple(rows.shape)}, {rows.dtype}."
            )
        if len(rows) < least:
            fewest, reason = f"{least} rows" if least > 1 else "one row", f", {why}" if why else ""
            raise BadInput(f"{name} must have at least {fewest}{reason}. Received: {len(rows)}. Add pictures.")
        low, high = (float(end) for end in rows.aminmax())
        if not (low > -LARGEST and high < LARGEST):
            raise BadInput(f"{name} must hold finite numbers within 1e40. Received: values from {low:g} to {high:g}.")
    widths = {name: rows.shape[1] for name, rows in sets.items()}
    if len(set(widths.values())) > 1:
        said = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise BadInput(f"rows must have as many columns, all by one network. Received: {said}.")


def _varies(rows: Tensor) -> bool:
    return bool((rows != rows[0]).any())


def _check_varied(real: Tensor) -> None:
    if not _varies(real):
        raise BadInput(
            f"real rows must not be all alike, for balls around them are points. Received: {len(real)} equal rows. "
            "Take another network's features."
        )
