"""Vectors of words that a network of texts begins with: of a WordEmbedder, or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from decet.contracts import Learner
from decet.data.tokens import FIRST
from decet.data.vectors import read_vectors
from decet.errors import BadInput, Unsupported
from decet.families.word2vec import LANES
from decet.nn.stems import TokenStem
from decet.tasks.embed import WordVectors


class GivenVectors:
    """Vectors of a file, as a model to go on from."""

    answer_ = None  # it answers nothing,
    codec_ = None  # and encodes nothing

    def __init__(self, vectors: WordVectors):
        self.vectors = vectors

    def _lend(self, learner: Learner, codec: Any, same_answer: bool) -> int:
        return lend(self.vectors, learner, codec)


def opened(path: str | Path) -> WordVectors:
    """The words and vectors of a file that word2vec, fastText, gensim or decet wrote; see `decet.data.vectors`."""
    return WordVectors(*read_vectors(path))


def lend(vectors: WordVectors, learner: Learner, codec: Any) -> int:
    """Copy the vectors of words that a network of texts knows too; how many tables took them.

    Raises Unsupported for a network without a table of words, BadInput for vectors of another width or other words.
    """
    stems = [module for module in learner.modules() if isinstance(module, TokenStem)]
    if not stems or not hasattr(codec, "words"):
        raise Unsupported("vectors of words are for families that read words one by one, not a bag of them.")
    width, other = vectors.matrix.shape[1], stems[0].width
    if not width <= other < width + LANES:
        raise BadInput(f"the vectors have {width} numbers a word, and the network {other}. Say --family.width {width}.")
    known = [(number, word) for number, word in enumerate(codec.words, FIRST) if word in vectors]
    if not known:
        raise BadInput("none of the words of these texts has a vector. Are they of another language?")
    rows = np.zeros((len(known), other), np.float32)  # zeros fill up whole registers
    rows[:, :width] = [vectors.vector(word) for _, word in known]
    for table in (stem.tokens.weight.data for stem in stems):
        places = torch.tensor([number for number, _ in known], device=table.device)
        table[places] = torch.from_numpy(rows).to(table)
    return len(stems)
