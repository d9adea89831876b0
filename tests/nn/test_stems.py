"""Columns of a table as one vector, against hand-written loops; pixels standardised; texts and series that end."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from decet.contracts import ImageSpec, TableSpec, TokenSpec
from decet.nn.stems import (
    UNKNOWN_SHARE,
    FlatStem,
    ImageStem,
    Periodic,
    Piecewise,
    SeriesStem,
    TableStem,
    TokenStem,
    category_width,
    drawn,
    inside,
    outside,
)

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


def test_stems_laid_out_on_the_meta_device_do_not_load_torchs_decompositions():
    """That took seconds of every load of a saved model."""
    code = """
import sys, torch
from decet.contracts import ImageSpec, TableSpec, TokenSpec
from decet.nn.stems import ImageStem, TableStem, TokenStem, drawn
before = len(sys.modules)
with torch.device("meta"):
    ImageStem(ImageSpec(3, 8, 8)), TokenStem(TokenSpec(9), 4), drawn(3, 4, 0.5)
    for embedding in ("periodic", "piecewise"):
        TableStem(TableSpec(2, (3, 9), ((0.0, 1.0),) * 2), embedding, 4, 3, 0.1)
print(len(sys.modules) - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 20


def test_drawn_numbers_have_the_spread_asked_for():
    assert float(drawn(400, 300, 0.5).std()) == pytest.approx(0.5, rel=0.02)


# ---------------------------------------------------------------------------------------------------------- pictures

SCALE = ((120.0, 60.0), (110.0, 50.0), (100.0, 70.0))


def test_image_stem_standardises_each_channel_of_bytes_and_of_floats_alike():
    stem, pixels = ImageStem(ImageSpec(3, 4, 5, scale=SCALE)), torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    expected = torch.stack([(pixels[:, c].double() - m) / s for c, (m, s) in enumerate(SCALE)], 1).float()
    for given in (pixels, pixels.float(), pixels.contiguous(memory_format=torch.channels_last)):
        out = stem((given,))
        torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)
        assert out.dtype == torch.float32
        assert out.is_contiguous(memory_format=torch.channels_last)


def test_image_stem_without_a_scale_brings_pixels_to_minus_2_to_2():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
    assert ImageStem(ImageSpec(1, 1, 2))((pixels,)).flatten().tolist() == pytest.approx([-2.0, 2.0], abs=1e-6)


def test_image_stem_puts_the_frames_of_a_clip_one_after_the_other():
    stem, clips = ImageStem(ImageSpec(3, 4, 5, frames=6, scale=SCALE)), torch.rand(2, 3, 6, 4, 5) * 255
    out = stem((clips,))
    assert out.shape == (12, 3, 4, 5)
    torch.testing.assert_close(out[6 + 4 : 6 + 5], stem((clips[1:, :, 4],)))
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_flat_stem_gives_every_pixel_once():
    spec, clips = ImageSpec(3, 4, 5, frames=2, scale=SCALE), torch.rand(2, 3, 2, 4, 5) * 255
    flat, pictures = FlatStem(spec), ImageStem(spec)((clips,))
    assert flat.width == 120
    assert torch.equal(flat((clips,)).sort(1).values, pictures.reshape(2, -1).sort(1).values)
    one = FlatStem(ImageSpec(3, 4, 5, scale=SCALE))((clips[:, :, 0],))
    assert torch.equal(one.view(2, 4, 5, 3).permute(0, 3, 1, 2), ImageStem(spec)((clips[:, :, 0],)))


# ------------------------------------------------------------------------------------------------ texts and series


def test_token_stem_embeds_and_ends_each_text_at_its_last_word():
    stem = TokenStem(TokenSpec(9), 4)
    tokens = torch.tensor([[3, 5, 0], [0, 0, 0], [7, 0, 2]])
    x, lengths = stem((tokens,))
    assert lengths.tolist() == [2, 1, 3]  # nothing counts as one padding word
    assert x.shape == (3, 4, 3)
    torch.testing.assert_close(x[0, :, 1], stem.tokens.weight[5])
    assert bool((x[0, :, 2] == 0).all())
    assert bool((x[1] == 0).all())


def test_the_words_alone_are_those_of_the_padded_texts_end_to_end():
    stem = TokenStem(TokenSpec(9, streams=(5, 6)), 4)
    tokens, tags = torch.tensor([[3, 5, 0], [0, 0, 0], [7, 0, 2]]), torch.randint(0, 5, (3, 3))
    letters = torch.randint(0, 6, (3, 3, 2))
    padded, _ = stem((tokens, tags, letters))
    x, lengths, inside = stem.rows((tokens, tags, letters), 2)
    assert lengths.tolist() == [2, 1, 3]
    assert inside.tolist() == [[True, True, False], [True, True, False], [True, True, True]]
    torch.testing.assert_close(x, padded.transpose(1, 2)[inside])
    assert bool((x[3] == 0).all())  # a text of one word, brought to two
    x, lengths, inside = stem.rows((tokens, tags, letters), 5)
    assert (x.shape, inside.shape) == ((15, 4), (3, 5))
    torch.testing.assert_close(x.view(3, 5, 4)[:, :3], padded.transpose(1, 2))


def test_token_stem_adds_aligned_streams_and_the_mean_of_a_words_characters():
    stem = TokenStem(TokenSpec(9, streams=(5, 6)), 4)
    tokens, tags = torch.tensor([[3, 5]]), torch.tensor([[1, 4]])
    letters = torch.tensor([[[2, 3, 0], [0, 0, 0]]])
    x, _ = stem((tokens, tags, letters))
    first, second = stem.streams[0].weight, stem.streams[1].weight
    torch.testing.assert_close(x[0, :, 0], stem.tokens.weight[3] + first[1] + (second[2] + second[3]) / 2)
    torch.testing.assert_close(x[0, :, 1], stem.tokens.weight[5] + first[4])


def test_token_stem_knows_its_own_padding_word_and_does_not_decay_its_vectors():
    stem = TokenStem(TokenSpec(9, pad=8), 4)
    x, lengths = stem((torch.tensor([[0, 8, 8]]),))
    assert lengths.tolist() == [1]
    assert bool((x[0, :, 0] != 0).any())
    assert stem.tokens.weight.undecayed


def test_series_stem_zeroes_what_lies_beyond_a_length():
    values = torch.randn(2, 4, 3)
    x, lengths = SeriesStem()((values, torch.tensor([2, 0])))
    assert lengths.tolist() == [2, 1]
    assert torch.equal(x[0, :, :2], values[0, :2].T)
    assert bool((x[0, :, 2:] == 0).all())
    x, lengths = SeriesStem()((values, None))
    assert lengths is None
    assert torch.equal(x, values.transpose(1, 2))


def test_pixels_go_inside_and_come_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    found = inside(pixels)
    assert (float(found.min()), float(found.max())) == (-1.0, 1.0)
    assert torch.equal(outside(found).round().to(torch.uint8), pixels)
    assert float(outside(torch.full((1,), 1.5))) == 255.0
