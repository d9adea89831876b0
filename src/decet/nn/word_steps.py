"""The step that learns vectors of words: by the compiled kernel, or by torch, with the same draws.

By torch, blocks of centres are computed from the rows as they stood, as `nn.word_kernels` does where bits must be the
same: the two then differ in rounding alone. It serves where numba is missing, and on CUDA, where blocks are larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decet.nn import team
from decet.nn.drawing import BLOCK, PACE, Draws, signed

BLOCK_CUDA = 8_192  # centres on CUDA, at most: of fewer words they would overshoot
CENTRES = 4  # words for each of them
DAMPED = 64.0  # moves of one row in a block, from which on they count as so many

Array = NDArray[Any]


@dataclass
class Tables:
    """The rows that a step reads and moves, (rows, D) float32 each, D a multiple of 16.

    vectors    of words, then of n-grams        outputs  of words, or of the tree's inner nodes
    parts      where each word's rows begin in `pieces` (V + 1,) int64, with subwords
    pieces     rows of `vectors` that words are the means of, int32
    positions  weights of the neighbours' positions (2 window, D)
    bags       a window's mean predicts its centre (CBOW); else each of its words does (skip-gram)
    """

    vectors: Tensor
    outputs: Tensor
    bags: bool
    parts: Array | None = None
    pieces: Array | None = None
    positions: Tensor | None = None

    def rows(self, words: Tensor) -> Tensor:
        """The vectors of words (...) -> (..., D): their rows, or the means of their subwords'."""
        if self.parts is None or self.pieces is None:
            return nn.functional.embedding(words, self.vectors)
        pieces, begins, _ = _pieces_of(self.parts, self.pieces, words.flatten())
        mean = nn.functional.embedding_bag(pieces, self.vectors, begins, mode="mean")
        return mean.view(*words.shape, -1)

    def add(self, words: Tensor, rows: Tensor, most: float) -> None:
        """Add rows (n, D) to the vectors of words (n,), in full to each of their subwords'; `most`: see `_damped`."""
        if self.parts is not None and self.pieces is not None:
            pieces, _, counts = _pieces_of(self.parts, self.pieces, words)
            words, rows = pieces, torch.repeat_interleave(rows, counts, 0)
        self.vectors.index_add_(0, words, _damped(rows, words, len(self.vectors), most))


def _pieces_of(parts: Array, pieces: Array, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of each word (n,) end to end, where each word's begin, and how many they are."""
    at = words.cpu().numpy()
    sizes = parts[at + 1] - parts[at]
    begins = np.cumsum(sizes) - sizes
    index = np.repeat(parts[at] - begins, sizes) + np.arange(int(sizes.sum()))
    rows, starts, counts = (torch.from_numpy(x) for x in (pieces[index].astype(np.int64), begins, sizes))
    return rows.to(words.device), starts.to(words.device), counts.to(words.device)


@dataclass
class Passage:
    """Words to be learned from: numbers (n,) int32, places in the corpus (n,), where sentences begin (s + 1,)."""

    words: Array
    places: Array
    edges: Array


def step(
    tables: Tables, drawn: Draws, passage: Passage, seed: int, rate: float, deterministic: bool
) -> tuple[float, float]:
    """Learn from a passage, in place; the summed loss, and the number of pairs (windows, in CBOW) it is of."""
    if tables.vectors.device.type == "cpu" and team.compiles():
        return compiled(tables, drawn, passage, seed, rate, deterministic)
    return plain(tables, drawn, passage, seed, rate)


# ----------------------------------------------------------------------------------------------------- by the kernel


def compiled(
    tables: Tables, drawn: Draws, passage: Passage, seed: int, rate: float, deterministic: bool
) -> tuple[float, float]:
    """`step` on all cores, without Python's lock."""
    from decet.nn import word_kernels as kernels

    words, wide, window, tree = passage.words, tables.vectors.shape[1], drawn.window, drawn.tree
    group = drawn.group
    most_in = group if tables.bags else 2 * window
    most_out = group + drawn.drawn if tree is None else int(np.diff(tree[0]).max())
    room, slot = kernels.room_of(group, most_in, most_out, wide)
    barrier = team.barrier() if deterministic else 0
    workers = max(1, min(torch.get_num_threads(), len(words) // (2 * BLOCK)))
    workers = 1 if deterministic and not barrier else workers
    scratch, store = _aligned(workers * room), _aligned(drawn.block // group * slot if deterministic else 0)
    moves, rates = np.zeros((2 * window, wide), np.float32), np.array([rate], np.float32)
    found = np.zeros((workers, 2))
    job = kernels.Job(
        bags=int(tables.bags),
        group=group,
        window=window,
        negatives=drawn.negatives,
        drawn=drawn.drawn,
        width=wide,
        centres=len(words),
        words=_at(words),
        places=_at(passage.places),
        edges=_at(passage.edges),
        sentences=len(passage.edges) - 1,
        inputs=tables.vectors.data_ptr(),
        outputs=tables.outputs.data_ptr(),
        aliases=_at(drawn.aliases),
        vocabulary=len(tables.outputs),
        paths=_at(tree and tree[0]),
        nodes=_at(tree and tree[1]),
        codes=_at(tree and tree[2]),
        most_in=most_in,
        most_out=most_out,
        parts=_at(tables.parts),
        pieces=_at(tables.pieces),
        positions=0 if tables.positions is None else tables.positions.data_ptr(),
        moves=_at(moves),
        seed=signed(seed),
        rate=_at(rates),
        found=_at(found),
        scratch=_at(scratch),
        room=room,
        store=_at(store),
        slot=slot,
        block=drawn.block,
        barrier=barrier if workers > 1 else 0,
    )
    team.run(kernels.work(deterministic).address, workers, job)
    loss, pairs = found.sum(0).tolist()
    return loss, pairs


def _at(array: Array | None) -> int:
    return 0 if array is None else int(array.ctypes.data)


def _aligned(size: int) -> Array:
    """So many bytes that begin with a line of the cache."""
    raw = np.empty(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size]


# ---------------------------------------------------------------------------------------------------------- by torch


@torch.no_grad()
def plain(tables: Tables, drawn: Draws, passage: Passage, seed: int, rate: float) -> tuple[float, float]:
    """`step` by torch, block after block."""
    device = tables.vectors.device
    size = drawn.block if device.type == "cpu" else large_block(len(tables.outputs))
    loss, pairs = torch.zeros((), dtype=torch.float64, device=device), 0
    for begin in range(0, len(passage.words), size):
        centres = np.arange(begin, min(begin + size, len(passage.words)))
        around = _neighbours(drawn, passage, centres, seed)
        more, count = _block(tables, drawn, passage, centres, around, seed, rate)
        loss, pairs = loss + more, pairs + count
    return float(loss), float(pairs)


def large_block(words: int) -> int:
    """Centres that may be computed from the same rows where moves are damped."""
    return min(BLOCK_CUDA, max(BLOCK, words // CENTRES // BLOCK * BLOCK))


def _neighbours(drawn: Draws, passage: Passage, centres: Array, seed: int) -> Array:
    """Places in the passage of the neighbours at -window, ..., -1, 1, ..., window, (n, 2 window); -1 = none."""
    sentence = np.searchsorted(passage.edges, centres, side="right") - 1
    low, high = passage.edges[sentence][:, None], passage.edges[sentence + 1][:, None]
    away = np.concatenate([np.arange(-drawn.window, 0), np.arange(1, drawn.window + 1)])
    at = centres[:, None] + away
    reach = drawn.reaches(passage.places[centres], seed)[:, None]
    there = (abs(away) <= reach) & (at >= low) & (at < high)
    return np.where(there, at, -1)


def _block(
    tables: Tables, drawn: Draws, passage: Passage, centres: Array, around: Array, seed: int, rate: float
) -> tuple[Tensor, int]:
    """One block: G = rate (labels - s(X Y')), dX = G Y, dY = G' X."""
    device = tables.vectors.device
    real = torch.from_numpy(around >= 0).to(device)  # (n, w)
    near = torch.from_numpy(passage.words[np.maximum(around, 0)].astype(np.int64)).to(device)
    outs, labels, counts = (torch.from_numpy(x).to(device) for x in _asked(drawn, passage, centres, seed))
    rows = tables.rows(near) * real.unsqueeze(-1)  # (n, w, D)
    many = real.sum(1).clamp(min=1).view(-1, 1, 1)
    if tables.bags:
        weighed = rows if tables.positions is None else rows * tables.positions
        X, there = weighed.sum(1, keepdim=True) / many, real.any(1, keepdim=True)  # (n, 1, D)
    else:
        X, there = rows, real
    Y = tables.outputs[outs]  # (n, k, D)
    asked = there.unsqueeze(-1) * counts.unsqueeze(1)  # (n, w or 1, k)
    sign = torch.where(labels.unsqueeze(1), 1.0, -1.0)
    margins = -sign * (X @ Y.transpose(1, 2))
    loss = (nn.functional.softplus(margins) * asked).double().sum()
    G = rate * sign * torch.sigmoid(margins) * asked
    dX, dY = G @ Y, G.transpose(1, 2) @ X
    most = math.inf if len(centres) <= BLOCK else DAMPED
    outs, dY = outs[counts > 0], dY[counts > 0]
    tables.outputs.index_add_(0, outs, _damped(dY, outs, len(tables.outputs), most))
    each = dX.expand(-1, near.shape[1], -1)
    if tables.positions is not None:
        moves = PACE * (rows * each / many).sum(0)
        each = each * tables.positions
        tables.positions += moves
    tables.add(near[real], each[real], most)
    return loss, int(there.sum())


def _damped(moves: Tensor, rows: Tensor, size: int, most: float) -> Tensor:
    """Moves (n, D) of rows (n,), less where more than `most`, which know nothing of each other, move one row."""
    if most == math.inf:
        return moves
    times = torch.bincount(rows, minlength=size).clamp(min=1)
    return moves * (most / times).clamp(max=1.0)[rows].unsqueeze(-1)


def _asked(drawn: Draws, passage: Passage, centres: Array, seed: int) -> tuple[Array, Array, Array]:
    """Rows of outputs (n, k) that each centre is about, whether they are real, and how much each counts."""
    words, places = passage.words[centres].astype(np.int64), passage.places[centres]
    if drawn.tree is None:
        leader = np.arange(len(centres)) // drawn.group * drawn.group
        outs = np.concatenate([words[:, None], drawn.others(places[leader], seed)], 1)
        labels = np.zeros(outs.shape, bool)
        labels[:, 0] = True
        counts = np.where(labels, 1.0, np.where(outs != words[:, None], drawn.negatives / drawn.drawn, 0.0))
        return outs, labels, counts.astype(np.float32)
    paths, nodes, turns = drawn.tree
    sizes = paths[words + 1] - paths[words]
    step = np.arange(int(sizes.max()))
    there = step < sizes[:, None]
    at = np.where(there, paths[words][:, None] + step, 0)
    return nodes[at].astype(np.int64), turns[at].astype(bool), there.astype(np.float32)
