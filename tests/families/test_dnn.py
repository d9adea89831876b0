"""DNN equals torch's own layers with copied weights; every setting does what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from decet.contracts import ImageSpec, TableSpec, TokenSpec
from decet.errors import BadInput, Unsupported
from decet.families.dnn import ACTIVATIONS, DNN, EMBEDDINGS, NORMS, SHARINGS
from decet.nn.members import Ensemble, MemberLinear
from decet.tensors import Sparse

SPEC = TableSpec(numbers=4)
MIXED = TableSpec(numbers=3, categories=(4, 9), edges=((-1.0, 0.0, 1.0),) * 3)


def _inputs(spec: TableSpec, rows: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    columns = [torch.randint(slots, (rows,)) for slots in spec.categories]
    categories = torch.stack(columns, 1) if columns else torch.empty(rows, 0, dtype=torch.int64)
    return torch.randn(rows, spec.numbers), categories


# --------------------------------------------------------------------------------------------------- torch's own layers


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("norm", NORMS)
def test_dnn_equals_a_plain_stack_of_torch_layers_with_the_same_weights(activation, norm):
    body = DNN(hidden=(64, 32), activation=activation, norm=norm).encoder(SPEC)
    reference = nn.Sequential()
    for width, size in ((4, 64), (64, 32)):
        reference.append(nn.Linear(width, size))
        if norm != "none":
            reference.append({"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[norm](size))
        reference.append(ACTIVATIONS[activation]())
    own, theirs = body.state_dict(), reference.state_dict()
    reference.load_state_dict(dict(zip(theirs, own.values(), strict=True)))
    inputs = _inputs(SPEC)
    for mode in (True, False):
        body.train(mode)
        reference.train(mode)
        torch.testing.assert_close(body(inputs).pooled()[:, 0], reference(inputs[0]), atol=1e-6, rtol=0)


def test_the_classic_iris_network_is_one_line():
    body = DNN(hidden=(64, 32)).encoder(SPEC)
    shapes = [tuple(p.shape) for p in body.parameters()]
    assert shapes == [(64, 4), (64,), (32, 64), (32,)]
    assert body.summary_width == body.width == 32


def test_depth_0_is_a_linear_model():
    body, inputs = DNN(depth=0).encoder(SPEC), _inputs(SPEC)
    assert not list(body.parameters())
    assert torch.equal(body(inputs).pooled()[:, 0], inputs[0])


def test_width_and_depth_build_the_stack_and_hidden_wins_over_them():
    shapes = [p.shape[0] for n, p in DNN(width=7, depth=3).encoder(SPEC).named_parameters() if n.endswith("weight")]
    assert shapes == [7, 7, 7]
    shapes = [p.shape[0] for n, p in DNN(hidden=(5,), width=7).encoder(SPEC).named_parameters() if n.endswith("weight")]
    assert shapes == [5]


def test_residual_adds_a_layers_input_where_widths_agree():
    body, inputs = DNN(width=6, depth=3, residual=True).encoder(SPEC), _inputs(SPEC)
    x = body.layers[0].linear(inputs[0]).relu()  # 4 -> 6: nothing to add
    for layer in (body.layers[1], body.layers[2]):
        x = x + layer.linear(x).relu()
    torch.testing.assert_close(body(inputs).pooled()[:, 0], x)


def test_dropout_drops_its_share_in_training_and_nothing_after():
    body, inputs = DNN(hidden=(4000,), activation="sigmoid", dropout=0.3).encoder(SPEC), _inputs(SPEC)
    share = (body.train()(inputs).pooled() == 0).float().mean()
    assert float(share) == pytest.approx(0.3, abs=0.02)
    assert bool((body.eval()(inputs).pooled() > 0).all())
    assert torch.equal(body(inputs).pooled(), body(inputs).pooled())


def test_condition_is_added_to_the_columns():
    body, inputs = DNN(hidden=(8,)).encoder(SPEC), _inputs(SPEC)
    shift = torch.randn(11, 4)
    moved = body((inputs[0] + shift, inputs[1])).pooled()
    torch.testing.assert_close(body(inputs, condition=shift).pooled(), moved)


# ----------------------------------------------------------------------------------------------------------- members


def test_members_equal_one_network_each_with_its_own_scalings():
    body, inputs = DNN(hidden=(8, 6)).encoder(SPEC, members=3), _inputs(SPEC)
    for module in body.modules():
        if isinstance(module, MemberLinear):
            module.r.data.normal_()
            module.s.data.normal_()
    out = body(inputs).pooled()
    assert out.shape == (11, 3, 6)
    for m in range(3):
        x = inputs[0]
        for layer in body.layers:
            own = layer.linear
            x = (own.s[m] * ((own.r[m] * x) @ own.weight.T) + own.bias[m]).relu()
        torch.testing.assert_close(out[:, m], x)


def test_members_start_different_and_share_their_matrices():
    body = DNN(hidden=(8, 6)).encoder(SPEC, members=3)
    matrices = [tuple(m.weight.shape) for m in body.modules() if isinstance(m, MemberLinear)]
    assert matrices == [(8, 4), (6, 8)]
    out = body(_inputs(SPEC)).pooled()
    assert not torch.allclose(out[:, 0], out[:, 1])


def test_members_that_share_nothing_are_a_plain_ensemble():
    body = DNN(hidden=(8,), sharing="none").encoder(SPEC, members=3)
    assert isinstance(body, Ensemble)
    assert body(_inputs(SPEC)).pooled().shape == (11, 3, 8)
    assert sum(p.numel() for p in body.parameters()) == 3 * (4 * 8 + 8)


def test_batch_norm_of_members_is_over_rows_and_members():
    body, inputs = DNN(hidden=(8,), norm="batch", activation="selu").encoder(SPEC, members=3), _inputs(SPEC, 200)
    seen = []
    body.layers[0].norm.register_forward_hook(lambda module, args, out: seen.append(out))
    body.train()(inputs)
    flat = seen[0].detach().flatten(0, 1)
    torch.testing.assert_close(flat.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat.var(0, unbiased=False), torch.ones(8), atol=1e-3, rtol=0)


@pytest.mark.parametrize("members", [1, 3])
def test_batch_norm_trains_on_a_batch_of_one_row_too(members):
    body, inputs = DNN(hidden=(8,), norm="batch").encoder(SPEC, members).train(), _inputs(SPEC, 1)
    out = body(inputs).pooled()
    out.square().sum().backward()
    assert bool(torch.isfinite(out).all())
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in body.parameters())


# ------------------------------------------------------------------------------------------------------ every setting


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("members", [1, 2])
def test_every_parameter_gets_a_gradient_and_a_rows_answer_depends_on_that_row_alone(embedding, sharing, members):
    settings = DNN(width=8, depth=2, embedding=embedding, sharing=sharing, norm="layer", residual=True, dropout=0.1)
    body, (numbers, categories) = settings.encoder(MIXED, members).eval(), _inputs(MIXED, 200)
    whole = body((numbers, categories)).pooled()
    assert bool(torch.isfinite(whole).all())
    assert whole.shape == (200, members, body.summary_width)
    torch.testing.assert_close(body((numbers[7:8], categories[7:8])).pooled(), whole[7:8], atol=1e-5, rtol=0)
    whole.square().sum().backward()
    for name, parameter in body.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def test_a_sparse_table_is_never_made_dense_and_gives_the_same_as_its_dense_product():
    body = DNN(hidden=(8, 6)).encoder(TableSpec(numbers=5, sparse=True))
    dense = torch.tensor([[0.0, 2, 0, 0, 1], [0, 0, 0, 0, 0], [3, 0, 0, 4, 0]])
    csr = dense.to_sparse_csr()
    x = Sparse(csr.crow_indices(), csr.col_indices(), csr.values(), 5)
    out = body((x, torch.empty(3, 0, dtype=torch.int64))).pooled()[:, 0]
    torch.testing.assert_close(out, body.layers(dense @ body.sparse))


def test_sound_initialisation_keeps_the_size_of_signals_and_the_plain_one_loses_it():
    inputs = _inputs(SPEC, 500)
    sizes = {}
    for init in ("he", "plain"):
        torch.manual_seed(0)
        sizes[init] = float(DNN(width=256, depth=12, init=init).encoder(SPEC)(inputs).pooled().square().mean())
    assert 0.1 < sizes["he"] < 10
    assert sizes["plain"] < 1e-6


def test_he_initialisation_has_variance_2_over_inputs():
    torch.manual_seed(0)
    weight = DNN(hidden=(400, 300), init="he").encoder(SPEC).layers[1].linear.weight
    assert float(weight.std()) == pytest.approx(math.sqrt(2 / 400), rel=0.02)


def test_dnn_says_what_it_reads():
    with pytest.raises(Unsupported, match=r"^DNN reads tables and pictures\. Received: TokenSpec\.$"):
        DNN().encoder(TokenSpec(9))


# ---------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("frames", [None, 2])
def test_a_picture_is_one_row_of_standardised_pixels(frames):
    spec = ImageSpec(3, 4, 5, frames, ((120.0, 60.0), (110.0, 50.0), (100.0, 70.0)))
    body = DNN(hidden=(8,)).encoder(spec)
    pixels = torch.randint(0, 256, (6, 3, *[2] * bool(frames), 4, 5), dtype=torch.uint8)
    mean, spread = torch.tensor(spec.scale).T.view(2, 3, *[1] * (pixels.dim() - 2))
    rows = ((pixels - mean) / spread).movedim(1, -1).flatten(1)  # each pixel's channels side by side
    layer = body.layers[0].linear
    assert layer.in_features == 60 * (frames or 1)
    expected = (rows @ layer.weight.T + layer.bias).relu()
    for given in (pixels, pixels.float()):
        torch.testing.assert_close(body((given,)).pooled()[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_every_pixel_counts_and_embeddings_of_numbers_do_not():
    spec = ImageSpec(1, 3, 3)
    body, pixels = DNN(hidden=(50,), embedding="periodic").encoder(spec), torch.full((1, 1, 3, 3), 99.0)
    assert [tuple(p.shape) for p in body.parameters()] == [(50, 9), (50,)]
    pixels.requires_grad_()
    body((pixels,)).pooled().sum().backward()
    assert bool((pixels.grad != 0).all())


@pytest.mark.parametrize("sharing", SHARINGS)
def test_members_read_pictures_too(sharing):
    body = DNN(hidden=(8,), sharing=sharing).encoder(ImageSpec(1, 3, 3), members=4)
    out = body((torch.randint(0, 256, (5, 1, 3, 3), dtype=torch.uint8),)).pooled()
    assert out.shape == (5, 4, 8)
    assert not torch.allclose(out[:, 0], out[:, 1])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hidden": 64}, "hidden must list the widths of the hidden layers, as (64, 32). Received: 64."),
        ({"hidden": "64"}, "hidden must list the widths of the hidden layers, as (64, 32). Received: '64'."),
        ({"hidden": ()}, "hidden must list the widths of the hidden layers, as (64, 32). Received: ()."),
        ({"hidden": (64, 0)}, "each width in hidden must be a whole number between 1 and 65536. Received: 0."),
        ({"width": 0}, "width must be a whole number between 1 and 65536. Received: 0."),
        ({"depth": -1}, "depth must be a whole number between 0 and 1000. Received: -1."),
        ({"depth": 1.5}, "depth must be a whole number between 0 and 1000. Received: 1.5."),
        ({"embedding_width": 0}, "embedding_width must be a whole number between 1 and 4096. Received: 0."),
        ({"frequencies": 0}, "frequencies must be a whole number between 1 and 4096. Received: 0."),
        ({"sigma": 0}, "sigma must be a number between 1e-06 and 1000.0. Received: 0."),
        ({"dropout": 1}, "dropout must be a number between 0.0 and 0.95. Received: 1."),
        (
            {"embedding": "period"},
            "embedding must be one of 'none', 'piecewise', 'periodic'. Received: 'period'. Did you mean 'periodic'?",
        ),
        (
            {"activation": "rlu"},
            "activation must be one of 'relu', 'gelu', 'silu', 'mish', 'tanh', 'sigmoid', 'selu'. Received: 'rlu'. "
            "Did you mean 'relu'?",
        ),
        (
            {"norm": "batchnorm"},
            "norm must be one of 'none', 'batch', 'layer'. Received: 'batchnorm'. Did you mean 'batch'?",
        ),
        ({"residual": "yes"}, "residual must be one of True, False. Received: 'yes'."),
        ({"init": "xavier"}, "init must be one of 'uniform', 'he', 'plain'. Received: 'xavier'."),
        ({"sharing": "all"}, "sharing must be one of 'tabm', 'none'. Received: 'all'."),
    ],
)
def test_settings_out_of_range_are_refused_with_the_rule(settings, sentence):
    with pytest.raises(BadInput) as caught:
        DNN(**settings)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("settings", [{"width": 8.0, "depth": 2.0}, {"width": np.int64(8), "depth": np.float64(2)}])
def test_whole_numbers_of_any_type_build_the_same_network(settings):
    shapes = [tuple(p.shape) for p in DNN(**settings).encoder(SPEC).parameters()]
    assert shapes == [(8, 4), (8,), (8, 8), (8,)]


def test_hidden_may_be_a_list_or_an_array_and_settings_stay_usable_as_keys():
    assert DNN(hidden=[64, 32]) == DNN(hidden=np.array([64, 32])) == DNN(hidden=(64, 32))
    assert hash(DNN(hidden=[64, 32])) == hash(DNN(hidden=(64, 32)))
