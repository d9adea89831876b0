"""Vectors of files: opened, asked, and given to networks of texts."""

from __future__ import annotations

import numpy as np
import pytest

import decet
from decet import CNN, BadInput, Recipe, TextClassifier, Word2Vec
from decet.cli import main
from decet.data.vectors import write_vectors
from decet.nn.stems import TokenStem
from decet.tasks.embed import WordVectors

WORDS = ["clean", "dirty", "room", "bed"]
MATRIX = np.random.default_rng(0).normal(size=(4, 20)).astype(np.float32)
TEXTS, LABELS = ["a clean room", "a dirty room", "a clean bed", "a dirty bed"] * 6, ["good", "bad"] * 12


@pytest.fixture
def folder(tmp_path):
    for name in ("v.txt", "v.bin", "v.vec.gz", "v.safetensors"):
        write_vectors(tmp_path / name, WORDS, MATRIX)
    return tmp_path


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v.vec.gz", "v.safetensors"])
def test_a_file_of_vectors_is_loaded_and_asked(folder, name, capsys):
    found = decet.load(folder / name)
    assert isinstance(found, WordVectors)
    np.testing.assert_allclose(found.vector("dirty"), MATRIX[1], atol=1e-6)
    assert main(["similar", str(folder / name), "clean", "--topn", "1"]) == 0
    assert capsys.readouterr().out.split()[0] == found.most_similar("clean", topn=1)[0][0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", [Word2Vec(width=20), CNN(width=20)])
def test_a_classifier_begins_with_the_vectors_of_a_file(folder, family):
    model = TextClassifier(family, recipe=Recipe(steps=1, lr=1e-9)).fit(TEXTS, LABELS, start=folder / "v.bin")
    tables = [module.tokens.weight.detach() for module in model.learner_.modules() if isinstance(module, TokenStem)]
    assert model.taken_ == len(tables) > 0
    for table in tables:
        for number, word in enumerate(model.codec_.words, 2):
            if word in WORDS:
                np.testing.assert_allclose(table[number, :20].numpy(), MATRIX[WORDS.index(word)], atol=1e-6)
                assert float(table[number, 20:].abs().sum()) < 1e-6


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "v.vec").write_text("2 3\na 1 2 3\nb 1 2\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 3"):
        decet.load(tmp_path / "v.vec")
