"""Columns of a table as one vector: number embeddings against a hand-written double loop, category embeddings."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from decet.contracts import TableSpec
from decet.nn.stems import UNKNOWN_SHARE, Periodic, Piecewise, TableStem, category_width

EDGES = ((-1.0, 0.0, 0.5, 2.0), (0.0, 1.0), (3.0, 3.5, 7.0))


def test_periodic_is_relu_of_a_map_of_waves_one_column_at_a_time():
    layer = Periodic(count=3, width=4, frequencies=5, sigma=0.7)
    layer.bias.data.normal_()
    x = torch.randn(6, 3)
    expected = torch.zeros(6, 3, 4)
    for b in range(6):
        for f in range(3):
            waves = [math.cos(2 * math.pi * c * float(x[b, f])) for c in layer.frequency[f].tolist()]
            waves += [math.sin(2 * math.pi * c * float(x[b, f])) for c in layer.frequency[f].tolist()]
            for d in range(4):
                total = float(layer.bias[f, 0, d]) + sum(w * float(layer.mix[f, i, d]) for i, w in enumerate(waves))
                expected[b, f, d] = max(total, 0.0)
    torch.testing.assert_close(layer(x), expected.flatten(1), atol=1e-5, rtol=1e-5)


def test_periodic_starts_with_frequencies_within_three_sigma():
    frequency = Periodic(count=50, width=2, frequencies=200, sigma=0.1).frequency
    assert float(frequency.abs().max()) <= 0.3
    assert float(frequency.std()) == pytest.approx(0.1, rel=0.05)


def test_piecewise_is_relu_of_a_map_of_filled_bins_and_the_number_itself():
    layer = Piecewise(EDGES, width=4)
    layer.mix.data.normal_()  # it starts at zero
    layer.bias.data.normal_()
    x = torch.tensor([[-2.0, 0.25, 3.0], [0.25, 0.5, 5.0], [0.5, 2.0, 9.0]])
    expected = torch.zeros(3, 3, 4)
    for b in range(3):
        for f, edges in enumerate(EDGES):
            value = float(x[b, f])
            for d in range(4):
                total = float(layer.bias[f, 0, d]) + value * float(layer.plain[f, 0, d])
                for j in range(len(edges) - 1):
                    filled = min(max((value - edges[j]) / (edges[j + 1] - edges[j]), 0.0), 1.0)
                    total += filled * float(layer.mix[f, j, d])
                expected[b, f, d] = max(total, 0.0)
    torch.testing.assert_close(layer(x), expected.flatten(1))


def test_piecewise_starts_as_the_plain_numbers():
    layer, x = Piecewise(EDGES, width=4), torch.randn(5, 3)
    plain = (x.unsqueeze(-1) * layer.plain.squeeze(1)).relu()
    torch.testing.assert_close(layer(x), plain.flatten(1))


def test_piecewise_survives_equal_edges():
    layer = Piecewise(((1.0, 1.0, 2.0),), width=2)
    layer.mix.data.fill_(1.0)
    assert bool(torch.isfinite(layer(torch.tensor([[0.0], [1.0], [5.0]]))).all())


# ------------------------------------------------------------------------------------------------------------- stems


def _stem(spec: TableSpec, embedding: str = "none") -> TableStem:
    return TableStem(spec, embedding, width=6, frequencies=3, sigma=0.1).eval()


@pytest.mark.parametrize(("embedding", "width"), [("none", 3), ("periodic", 18), ("piecewise", 18)])
def test_stem_puts_embedded_numbers_before_embedded_categories(embedding, width):
    stem = _stem(TableSpec(3, (2, 5), EDGES), embedding)
    numbers, categories = torch.randn(7, 3), torch.tensor([[0, 4], [1, 2]] * 3 + [[1, 0]])
    out = stem((numbers, categories))
    assert out.shape == (7, stem.width) == (7, width + 2 + 5)
    torch.testing.assert_close(out[:, :width], stem.numbers(numbers))
    for row in range(7):
        for i, start in enumerate((width, width + 2)):
            vector = stem.categories[i].weight[categories[row, i]]
            torch.testing.assert_close(out[row, start : start + len(vector)], vector)


def test_stem_without_numbers_or_without_categories():
    nothing = torch.empty(4, 0)
    only_categories = _stem(TableSpec(0, (5,)))
    assert only_categories((nothing, torch.zeros(4, 1, dtype=torch.int64))).shape == (4, 5)
    only_numbers, numbers = _stem(TableSpec(3)), torch.randn(4, 3)
    assert torch.equal(only_numbers((numbers, nothing.long())), numbers)


def test_stem_falls_back_to_plain_numbers_where_the_data_gave_no_edges():
    assert isinstance(_stem(TableSpec(3), "piecewise").numbers, nn.Identity)


def test_in_training_one_percent_of_the_categories_is_hidden_so_that_the_unknown_slot_learns():
    stem = _stem(TableSpec(0, (5,)))
    stem.categories[0].weight.data = torch.arange(5.0).unsqueeze(1).expand(5, 5).clone()
    inputs = (torch.empty(100_000, 0), torch.full((100_000, 1), 3))
    assert bool((stem(inputs) == 3).all())  # never when answering
    hidden = (stem.train()(inputs)[:, 0] == 0).float().mean()
    assert float(hidden) == pytest.approx(UNKNOWN_SHARE, rel=0.2)


def test_flags_of_missing_values_are_not_hidden():
    stem = _stem(TableSpec(0, (2, 2))).train()
    inputs = (torch.empty(5_000, 0), torch.ones(5_000, 2, dtype=torch.int64))
    assert torch.equal(stem(inputs), stem.eval()(inputs))


def test_flags_are_not_hidden_beside_a_category_either():
    stem = _stem(TableSpec(0, (2, 9))).train()
    inputs = (torch.empty(20_000, 0), torch.ones(20_000, 2, dtype=torch.int64))
    flag = stem.categories[0].weight[1]
    assert bool((stem(inputs)[:, :2] == flag).all())


def test_embeddings_and_biases_are_not_decayed_but_maps_are():
    stem = _stem(TableSpec(3, (5,), EDGES), "piecewise")
    undecayed = {name for name, p in stem.named_parameters() if getattr(p, "undecayed", False)}
    assert undecayed == {"numbers.bias", "categories.0.weight"}
    waves = Periodic(2, 3, 4, 0.1)
    assert {n for n, p in waves.named_parameters() if getattr(p, "undecayed", False)} == {"frequency", "bias"}


def test_category_width_is_one_hot_while_slots_are_few_then_grows_slowly():
    assert [category_width(slots) for slots in (2, 8, 9, 100, 10_000, 10**7)] == [2, 8, 5, 21, 64, 64]
