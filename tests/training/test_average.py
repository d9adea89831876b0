"""The moving average of weights, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decet.training.average import Average


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
