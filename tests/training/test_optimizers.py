"""AdamW and SGD equal torch.optim's to the bit; clipping equals torch's; Muon's steps are orthogonal, by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from decet.nn.members import head_of
from decet.training import optimizers
from decet.training.checkpoint import read_tree, same_tree, write_tree
from decet.training.optimizers import Optimizer, orthogonal
from decet.training.recipe import Recipe

ADAMW = Recipe(optimizer="adamw", weight_decay=0.1)
ADAM = Recipe(optimizer="adam", weight_decay=0.1)
LIVELY_ADAMW = Recipe(optimizer="adamw", momentum=0.5, weight_decay=0.0)
SGD = Recipe(optimizer="sgd", momentum=0.9, weight_decay=0.1)
PLAIN_SGD = Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0)
MUON = Recipe(optimizer="muon", momentum=0.9, weight_decay=0.1)
PLAIN_MUON = Recipe(optimizer="muon", momentum=0.9, weight_decay=0.0)


def _network() -> nn.Module:
    """Matrices, biases, and a convolution whose weights lie channels-last in memory."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(180, 4), nn.LayerNorm(4))
    return network.to(memory_format=torch.channels_last)


def _reference(network: nn.Module, recipe: Recipe, fused: bool = True) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.dim() >= 2]
    plain = [p for p in network.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    if recipe.optimizer in ("adamw", "adam"):
        betas = (0.9 if recipe.momentum is None else recipe.momentum, 0.999)
        kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
        return kind(groups, lr=1.0, betas=betas, fused=fused, foreach=not fused)
    return torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _gradients(network: nn.Module, step: int) -> None:
    network.zero_grad()
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(6, 3, 8, 8, generator=generator)
    network(x).square().sum().backward()


def _bits(network: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in network.parameters()]


@pytest.mark.parametrize(
    "recipe",
    [ADAMW, LIVELY_ADAMW, ADAM, SGD, PLAIN_SGD],
    ids=["adamw", "adamw with its first beta", "adam", "sgd", "plain sgd"],
)
def test_twenty_steps_equal_torch_optim_to_the_bit(recipe):
    mine, theirs = _network(), _network()
    own, reference = Optimizer(list(mine.parameters()), recipe), _reference(theirs, recipe)
    assert mine[0].weight.is_contiguous(memory_format=torch.channels_last)
    for step in range(20):
        lr = 0.01 * (20 - step)
        for group in reference.param_groups:
            group["lr"] = lr
        for network in (mine, theirs):
            _gradients(network, step)
        own.step(lr)
        reference.step()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("recipe", [ADAMW, ADAM, SGD, MUON], ids=["adamw", "adam", "sgd", "muon"])
def test_an_optimizer_taken_back_from_the_disk_goes_on_with_the_same_bits(recipe, tmp_path):
    """Fused kernels silently corrupt where channels-last parameters get moments that lie otherwise in memory."""
    network = _network()
    optimizer = Optimizer(list(network.parameters()), recipe)
    for step in range(10):
        _gradients(network, step)
        optimizer.step(0.05)
    write_tree(tmp_path / "state.safetensors", optimizer.state())
    twin = copy.deepcopy(network)
    restored = Optimizer(list(twin.parameters()), recipe)
    restored.restore(read_tree(tmp_path / "state.safetensors"))
    for group in restored.groups:
        for moment in group.moments:
            for p, m in zip(group.parameters, moment, strict=True):
                assert p.stride() == m.stride()
    for step in range(10, 20):
        for net, own in ((network, optimizer), (twin, restored)):
            _gradients(net, step)
            own.step(0.05)
    assert same_tree(_bits(network), _bits(twin))
    assert same_tree(optimizer.state(), restored.state())


@pytest.mark.parametrize("recipe", [ADAMW, ADAM], ids=["adamw", "adam"])
def test_where_the_fused_kernel_is_missing_torchs_functional_form_is_used(monkeypatch, recipe):
    monkeypatch.delattr(torch, f"_fused_{recipe.optimizer}_")
    mine, theirs = _network(), _network()
    own, reference = Optimizer(list(mine.parameters()), recipe), _reference(theirs, recipe, fused=False)
    for step in range(10):
        for group in reference.param_groups:
            group["lr"] = 0.01
        for network in (mine, theirs):
            _gradients(network, step)
        own.step(0.01)
        reference.step()
    assert same_tree(_bits(mine), _bits(theirs))


@pytest.mark.parametrize("recipe", [ADAMW, SGD], ids=["adamw", "sgd"])
def test_a_parameter_without_a_gradient_is_left_alone_as_in_torch_optim(recipe):
    def network() -> nn.ModuleList:
        torch.manual_seed(0)
        return nn.ModuleList([nn.Linear(4, 3), nn.Linear(4, 3)])

    mine, theirs = network(), network()
    own, reference = Optimizer(list(mine.parameters()), recipe), _reference(theirs, recipe)
    for step in range(6):
        for net in (mine, theirs):
            net.zero_grad()
            x = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
            loss = net[0](x).square().sum()
            if step % 2:  # the second layer is used in every other step
                loss = loss + net[1](x).square().sum()
            loss.backward()
        for group in reference.param_groups:
            group["lr"] = 0.1
        before = mine[1].weight.detach().clone()
        own.step(0.1)
        reference.step()
        assert bool(torch.equal(before, mine[1].weight)) == (step % 2 == 0)
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd", "muon"])
def test_without_any_gradient_nothing_happens(kind):
    network = nn.Linear(3, 2)
    before = _bits(network)
    Optimizer(list(network.parameters()), Recipe(optimizer=kind, weight_decay=0.1, clip=1.0)).step(0.1)
    assert same_tree(before, _bits(network))


def test_only_matrices_that_are_not_marked_are_decayed():
    matrix, table, bias = (nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2, 2), (2,)))
    table.undecayed = True
    optimizer = Optimizer([matrix, table, bias], Recipe(optimizer="adamw", weight_decay=0.5))
    for p in (matrix, table, bias):
        p.grad = torch.zeros_like(p)
    optimizer.step(0.1)
    assert matrix.unique().tolist() == pytest.approx([0.95])
    assert table.unique().tolist() == bias.unique().tolist() == [1.0]


def test_step_keeps_the_gradients_and_clear_drops_them():
    network = nn.Linear(3, 2)
    optimizer = Optimizer(list(network.parameters()), ADAMW)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step(0.1)
    assert all(p.grad is not None for p in network.parameters())
    optimizer.clear()
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_equals_torchs(limit):
    mine, theirs = _network(), _network()
    for network in (mine, theirs):
        _gradients(network, 0)
    optimizers._clip([p.grad for p in mine.parameters()], limit)
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=0, rtol=1e-6)


def test_a_recipes_clip_bounds_the_joint_gradient():
    network = _network()
    _gradients(network, 0)
    Optimizer(list(network.parameters()), Recipe(optimizer="sgd", momentum=0.0, clip=0.25)).step(0.0)
    norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in network.parameters()]))
    assert float(norm) == pytest.approx(0.25, rel=1e-4)


# ---------------------------------------------------------------------------------------------------------------- Muon


def _spread(rows: int, columns: int, scale: float = 1.0) -> torch.Tensor:
    """A matrix whose singular values go from 0.05 to 1, times a scale."""
    small = min(rows, columns)
    left, right = (torch.linalg.qr(torch.randn(n, small))[0] for n in (rows, columns))
    return scale * left @ torch.diag(torch.linspace(0.05, 1.0, small)) @ right.T


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("rows", "columns"), [(8, 30), (30, 8), (16, 16), (1, 5), (5, 1), (1, 1)])
def test_matrices_become_nearly_orthogonal_and_keep_their_directions(rows, columns, scale):
    torch.manual_seed(0)
    given = torch.stack([_spread(rows, columns, scale) for _ in range(3)])
    made = orthogonal(given)
    assert made.shape == given.shape
    values = torch.linalg.svdvals(made)
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    u, _, v = torch.linalg.svd(given, full_matrices=False)
    turned = u.transpose(1, 2) @ made @ v.transpose(1, 2)  # diagonal where the directions are kept
    torch.testing.assert_close(turned, torch.diag_embed(turned.diagonal(dim1=1, dim2=2)), atol=2e-3, rtol=0)
    assert bool((turned.diagonal(dim1=1, dim2=2) > 0).all())


@pytest.mark.parametrize(("rows", "columns"), [(12, 20), (64, 300), (40, 16)])
def test_autocast_makes_the_products_in_bf16_and_the_steps_stay_what_they_are(rows, columns):
    """As Jordan's own code does: the steps need no more than the direction."""
    torch.manual_seed(0)
    given = torch.randn(2, rows, columns)
    with torch.autocast("cpu", torch.bfloat16):
        made = orthogonal(given)
    assert made.dtype == torch.float32
    values = torch.linalg.svdvals(made)
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.35
    whole = orthogonal(given)
    assert float((made - whole).norm() / whole.norm()) < 0.1
    assert not torch.equal(made, whole)


def test_a_matrix_of_zeros_stays_one():
    assert not orthogonal(torch.zeros(2, 4, 3)).any()


def _stepped(gradients: list[torch.Tensor], recipe: Recipe, lr: float = 0.1) -> torch.Tensor:
    """A matrix of ones after steps along these gradients."""
    matrix = nn.Parameter(torch.ones_like(gradients[0]))
    optimizer = Optimizer([matrix], recipe)
    for gradient in gradients:
        matrix.grad = gradient.clone()
        optimizer.step(lr)
    return matrix.detach()


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (5, 3, 2, 2)])
def test_two_steps_of_muon_by_hand(shape):
    torch.manual_seed(0)
    first, second = torch.randn(shape), torch.randn(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    size = 0.1 * 0.2 * math.sqrt(max(rows, columns))
    by_hand, velocity = torch.ones(rows, columns), torch.zeros(rows, columns)
    for gradient in (first.view(rows, columns), second.view(rows, columns)):
        velocity = 0.9 * velocity + 0.1 * gradient
        looked = 0.1 * gradient + 0.9 * velocity
        by_hand = by_hand * (1 - 0.1 * 0.5) - size * orthogonal(looked.unsqueeze(0))[0]
    recipe = Recipe(optimizer="muon", momentum=0.9, weight_decay=0.5)
    torch.testing.assert_close(_stepped([first, second], recipe), by_hand.view(shape), atol=1e-5, rtol=1e-5)


def test_the_first_step_is_the_nearest_orthogonal_matrix_roughly():
    torch.manual_seed(0)
    gradient = _spread(12, 20)
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    change = (1 - _stepped([gradient], PLAIN_MUON, lr=1.0)) / (0.2 * math.sqrt(20))
    assert float((change - u @ v).norm() / (u @ v).norm()) < 0.3


@pytest.mark.parametrize("shape", [(16, 16), (8, 64), (64, 8), (16, 8, 3, 3)])
def test_a_step_of_muon_has_the_size_of_a_step_of_adamw(shape):
    torch.manual_seed(0)
    change = _stepped([torch.randn(shape)], PLAIN_MUON, lr=0.01) - 1
    assert float(change.square().mean().sqrt()) == pytest.approx(0.01 * 0.2, rel=0.25)


def test_a_step_of_muon_does_not_depend_on_the_gradients_scale():
    torch.manual_seed(0)
    gradients = [torch.randn(6, 9) for _ in range(4)]
    own = _stepped(gradients, PLAIN_MUON)
    for scale in (1e-3, 1e3):
        torch.testing.assert_close(_stepped([scale * g for g in gradients], PLAIN_MUON), own, atol=1e-4, rtol=0)


class _Parts(nn.Module):
    """A table, a hidden matrix, a head and their biases, marked as decet's layers mark them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.hidden, self.head = nn.Embedding(7, 6), nn.Linear(6, 5), nn.Linear(5, 3)
        self.gain = nn.Parameter(torch.ones(2, 3))
        self.table.weight.undecayed = self.gain.undecayed = True
        self.head.weight.elementwise = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.table(x)).tanh()) * self.gain.sum(0)


def _parts_gradients(network: nn.Module, step: int) -> None:
    network.zero_grad()
    x = torch.randint(7, (8,), generator=torch.Generator().manual_seed(step))
    network(x).square().sum().backward()


def test_muon_moves_hidden_matrices_and_leaves_all_else_to_adamw_to_the_bit():
    mine, theirs = _Parts(), _Parts()
    own = Optimizer(list(mine.parameters()), MUON)
    undecayed = [theirs.table.weight, theirs.gain, theirs.hidden.bias, theirs.head.bias]
    groups = [{"params": [theirs.head.weight], "weight_decay": 0.1}, {"params": undecayed, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.999), fused=True)
    before = theirs.hidden.weight.detach().clone()
    for step in range(10):
        theirs.hidden.weight.data.copy_(mine.hidden.weight.data)
        for network in (mine, theirs):
            _parts_gradients(network, step)
        own.step(0.02)
        reference.step()
    for name, p in mine.named_parameters():
        if name != "hidden.weight":
            assert torch.equal(p, theirs.get_parameter(name)), name
    assert not torch.equal(mine.hidden.weight, before)


def test_heads_of_one_network_and_of_members_are_marked_as_heads():
    for members in (1, 3):
        head = head_of(4, 2, members)
        kinds = [type(group).__name__ for group in Optimizer(list(head.parameters()), MUON).groups]
        assert set(kinds) == {"_AdamW"}


def test_without_decay_muon_moves_the_same_parameters():
    network = _Parts()
    by_kind = {type(g).__name__: g.parameters for g in Optimizer(list(network.parameters()), PLAIN_MUON).groups}
    assert [p.shape for p in by_kind["_Muon"]] == [(5, 6)]
    assert len(by_kind["_AdamW"]) == 5


def test_filters_that_lie_channels_last_in_memory_get_the_same_steps():
    torch.manual_seed(0)
    values, gradient = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        p = nn.Parameter(values.clone(memory_format=layout))
        p.grad = gradient.contiguous(memory_format=layout)
        optimizer = Optimizer([p], MUON)
        optimizer.step(0.1)
        optimizer.step(0.1)
        assert p.is_contiguous(memory_format=layout)
        moved.append(p.detach())
    torch.testing.assert_close(*moved, atol=1e-6, rtol=0)


def test_a_matrix_without_a_gradient_is_left_alone_by_muon():
    one, other = (nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    optimizer = Optimizer([one, other], MUON)
    one.grad = torch.randn(3, 4)
    optimizer.step(0.1)
    assert bool((one != 1).all())
    assert bool((other == 1).all())


@pytest.mark.parametrize("lr", [0.0, 0.02])
def test_muon_trains_a_small_network(lr):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    x = torch.randn(64, 6)
    y = (x[:, :1] * x[:, 1:2]).sin()
    optimizer, losses = Optimizer(list(network.parameters()), PLAIN_MUON), []
    for _ in range(60):
        network.zero_grad()
        loss = (network(x) - y).square().mean()
        loss.backward()
        optimizer.step(lr)
        losses.append(float(loss.detach()))
    if lr:
        assert losses[-1] < 0.3 * losses[0]
    else:
        assert losses[-1] == losses[0]
