"""Averages of weights, moving and equal, by hand; the means of batch norms that belong to them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decet.contracts import Batch, Learner, Loss
from decet.training.average import Average, reestimate


class _Scalar(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))


def test_the_average_follows_the_weights_by_hand():
    module = _Scalar(0.0)
    average = Average(module, decay=0.3)
    by_hand = 0.0
    for t, value in enumerate([10.0, -4.0, 7.0, 1.0]):
        module.weight.data.fill_(value)
        average.update()
        decay = min(0.3, (1 + t) / (10 + t))  # 1/10, 2/11, 3/12, then 0.3
        by_hand = decay * by_hand + (1 - decay) * value
    assert by_hand == pytest.approx(0.3 * (0.25 * (2 / 11 * 9 + 9 / 11 * -4) + 0.75 * 7) + 0.7 * 1)
    with average.applied():
        assert float(module.weight.detach()) == pytest.approx(by_hand, rel=1e-6)


def test_floating_buffers_are_averaged_too_and_counters_are_not():
    module = _Scalar(1.0)
    average = Average(module, decay=0.0)
    module.seen.fill_(5.0)
    module.count.fill_(9)
    average.update()
    module.seen.fill_(6.0)
    module.count.fill_(10)
    with average.applied():
        assert (float(module.seen), int(module.count)) == (5.0, 10)


def test_the_weights_come_back_after_the_block_even_after_an_error():
    module = _Scalar(0.0)
    average = Average(module, decay=0.9)
    module.weight.data.fill_(2.0)
    average.update()
    with pytest.raises(ZeroDivisionError), average.applied():
        assert float(module.weight.detach()) == pytest.approx(1.8)
        raise ZeroDivisionError
    assert float(module.weight.detach()) == 2.0


def test_an_average_taken_back_goes_on_with_the_same_bits():
    one, other = _Scalar(3.0), _Scalar(3.0)
    first, second = Average(one, 0.99), Average(other, 0.99)
    for value in (1.0, 2.0, 5.0):
        one.weight.data.fill_(value)
        first.update()
    second.restore(first.state())
    assert second.updates == 3
    for module, average in ((one, first), (other, second)):
        module.weight.data.fill_(-1.0)
        average.update()
    assert torch.equal(first.tensors[0], second.tensors[0])


# -------------------------------------------------------------------------------------------------- equally averaged


def test_without_a_decay_all_weights_since_the_first_count_equally():
    module = _Scalar(100.0)  # the start, which is not averaged
    average = Average(module, decay=None)
    for value in (10.0, -4.0, 7.0, 1.0):
        module.weight.data.fill_(value)
        average.update()
    with average.applied():
        assert float(module.weight.detach()) == pytest.approx((10 - 4 + 7 + 1) / 4)


@pytest.mark.parametrize("decay", [None, 0.9])
def test_before_anything_is_averaged_the_weights_themselves_predict(decay):
    module = _Scalar(100.0)
    average = Average(module, decay)
    module.weight.data.fill_(3.0)
    with average.applied():
        assert float(module.weight.detach()) == 3.0
    assert float(module.weight.detach()) == 3.0


class _Normed(Learner):
    """A batch norm and dropout; loss the mean of what comes out."""

    def __init__(self, norms: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3, momentum=0.1) if norms else nn.Identity()
        self.plain = nn.BatchNorm1d(3, track_running_stats=False)
        self.dropout = nn.Dropout(0.5)
        self.calls = 0

    def loss(self, batch: Batch, phase: str) -> Loss:
        self.calls += 1
        return Loss(self.dropout(self.plain(self.norm(batch.inputs[0]))).mean(), {})


BATCHES = [Batch((torch.randn(rows, 3) * scale + scale,)) for rows, scale in ((4, 1.0), (9, 20.0), (5, -3.0))]


def test_the_means_of_batch_norms_become_those_of_the_batches_each_counting_equally():
    learner = _Normed()
    learner(Batch((1e6 * torch.rand(4, 3),)), "train")  # of other weights
    reestimate(learner, iter(BATCHES))
    means, variances = zip(*((b.inputs[0].mean(0), b.inputs[0].var(0)) for b in BATCHES), strict=True)
    torch.testing.assert_close(learner.norm.running_mean, torch.stack(means).mean(0))
    torch.testing.assert_close(learner.norm.running_var, torch.stack(variances).mean(0))


@pytest.mark.parametrize("training", [True, False])
def test_estimating_anew_leaves_the_mode_and_the_momentum_as_they_were(training):
    learner = _Normed().train(training)
    reestimate(learner, BATCHES)
    assert {m.training for m in learner.modules()} == {training}
    assert learner.norm.momentum == 0.1
    assert all(p.grad is None for p in learner.parameters())
    assert learner.calls == 3


def test_a_network_without_batch_norms_is_not_run():
    learner = _Normed(norms=False)
    reestimate(learner, BATCHES)
    assert learner.calls == 0
