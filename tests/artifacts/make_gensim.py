"""Makes tests/artifacts/gensim: the same vectors as gensim 4.4.0 writes them, as text and binary.

.venv/bin/pip install -c constraints.txt -e ".[bench]" && .venv/bin/python tests/artifacts/make_gensim.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors

WORDS = ["the", "蘋果", "don't", "émile"]


def vectors() -> np.ndarray:
    """(4, 7) float32, some of them hard to write: tiny, huge, a whole number."""
    found = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    found[1, 2], found[2, 0], found[3, 5] = 1e-12, -3.4e38, 0
    return found


if __name__ == "__main__":
    folder = Path(__file__).parent / "gensim"
    folder.mkdir(exist_ok=True)
    model = KeyedVectors(7)
    model.add_vectors(WORDS, vectors())
    model.save_word2vec_format(str(folder / "vectors.txt"))
    model.save_word2vec_format(str(folder / "vectors.bin"), binary=True)
