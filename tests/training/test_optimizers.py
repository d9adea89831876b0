"""AdamW and SGD equal torch.optim's to the bit; clipping equals torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from decet.training import optimizers
from decet.training.checkpoint import read_tree, same_tree, write_tree
from decet.training.optimizers import Optimizer
from decet.training.recipe import Recipe

ADAMW = Recipe(optimizer="adamw", weight_decay=0.1)
LIVELY_ADAMW = Recipe(optimizer="adamw", momentum=0.5, weight_decay=0.0)
SGD = Recipe(optimizer="sgd", momentum=0.9, weight_decay=0.1)
PLAIN_SGD = Recipe(optimizer="sgd", momentum=0.0, weight_decay=0.0)


def _network() -> nn.Module:
    """Matrices, biases, and a convolution whose weights lie channels-last in memory."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(180, 4), nn.LayerNorm(4))
    return network.to(memory_format=torch.channels_last)


def _reference(network: nn.Module, recipe: Recipe, fused: bool = True) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.dim() >= 2]
    plain = [p for p in network.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    if recipe.optimizer == "adamw":
        betas = (0.9 if recipe.momentum is None else recipe.momentum, 0.999)
        return torch.optim.AdamW(groups, lr=1.0, betas=betas, fused=fused, foreach=not fused)
    return torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _gradients(network: nn.Module, step: int) -> None:
    network.zero_grad()
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(6, 3, 8, 8, generator=generator)
    network(x).square().sum().backward()


def _bits(network: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in network.parameters()]


@pytest.mark.parametrize(
    "recipe", [ADAMW, LIVELY_ADAMW, SGD, PLAIN_SGD], ids=["adamw", "adamw with its first beta", "sgd", "plain sgd"]
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


@pytest.mark.parametrize("recipe", [ADAMW, SGD], ids=["adamw", "sgd"])
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


def test_where_the_fused_kernel_is_missing_torchs_functional_form_is_used(monkeypatch):
    monkeypatch.delattr(torch, "_fused_adamw_")
    mine, theirs = _network(), _network()
    own, reference = Optimizer(list(mine.parameters()), ADAMW), _reference(theirs, ADAMW, fused=False)
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


def test_without_any_gradient_nothing_happens():
    network = nn.Linear(3, 2)
    before = _bits(network)
    Optimizer(list(network.parameters()), Recipe(optimizer="adamw", weight_decay=0.1, clip=1.0)).step(0.1)
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
