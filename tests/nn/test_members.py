"""M networks trained as one equal M networks trained apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from decet.contracts import Body, Features
from decet.nn.members import Ensemble, MemberHead, MemberLinear, head_of


def _randomised(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        parameter.data.normal_()
    return layer


def test_member_linear_equals_a_scaled_linear_layer_a_member():
    layer, x = _randomised(MemberLinear(5, 3, members=4)), torch.randn(7, 4, 5)
    out = layer(x)
    assert out.shape == (7, 4, 3)
    for m in range(4):
        weight = layer.s[m].unsqueeze(1) * layer.weight * layer.r[m]  # diag(s) W diag(r)
        torch.testing.assert_close(out[:, m], F.linear(x[:, m], weight, layer.bias[m]))


def test_gradients_of_shared_matrix_are_the_sum_over_members():
    layer, x = _randomised(MemberLinear(5, 3, members=4)), torch.randn(7, 4, 5)
    layer(x).square().sum().backward()
    shared = layer.weight.detach().clone().requires_grad_()
    for m in range(4):
        weight = layer.s[m].detach().unsqueeze(1) * shared * layer.r[m].detach()
        F.linear(x[:, m], weight, layer.bias[m].detach()).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, shared.grad)


def test_only_the_first_layer_starts_with_random_signs():
    varied, plain = MemberLinear(50, 3, members=8, varied=True), MemberLinear(50, 3, members=8)
    assert set(varied.r.unique().tolist()) == {-1.0, 1.0}
    assert not torch.equal(varied.r[0], varied.r[1])
    assert set(plain.r.unique().tolist()) == {1.0}
    assert set(varied.s.unique().tolist()) == {1.0}


def test_adapters_are_not_decayed_and_the_shared_matrix_is():
    layer, head = MemberLinear(5, 3, members=4), MemberHead(5, 3, members=4)
    assert {n for n, p in layer.named_parameters() if getattr(p, "undecayed", False)} == {"r", "s", "bias"}
    assert {n for n, p in head.named_parameters() if getattr(p, "undecayed", False)} == {"bias"}


def test_member_head_equals_a_linear_layer_a_member():
    head, x = _randomised(head_of(5, 3, members=4)), torch.randn(7, 4, 5)
    out = head(x)
    assert out.shape == (7, 4, 3)
    for m in range(4):
        torch.testing.assert_close(out[:, m], F.linear(x[:, m], head.weight[m].T, head.bias[m, 0]))


def test_the_head_of_one_network_is_a_linear_layer_that_starts_without_preference():
    head = head_of(5, 3, members=1)
    assert isinstance(head, nn.Linear)
    assert head(torch.randn(7, 1, 5)).shape == (7, 1, 3)
    assert not head.bias.any()


class _Line(Body):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 4)
        self.width = self.summary_width = 4

    def forward(self, inputs, *, condition=None):
        x = inputs[0] if condition is None else inputs[0] + condition
        return Features(summary=self.line(x))


def test_ensemble_is_its_bodies_side_by_side_and_they_share_nothing():
    ensemble, x = Ensemble(_Line, members=3), torch.randn(5, 3)
    features = ensemble((x,), condition=torch.ones(5, 3))
    assert features.members == 3
    assert (ensemble.width, ensemble.summary_width) == (4, 4)
    pooled = features.pooled()
    for m, body in enumerate(ensemble.bodies):
        torch.testing.assert_close(pooled[:, m], body.line(x + 1))
    assert len({p.data_ptr() for p in ensemble.parameters()}) == 6
    assert not torch.equal(ensemble.bodies[0].line.weight, ensemble.bodies[1].line.weight)
