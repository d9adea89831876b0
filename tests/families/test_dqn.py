"""DQN: targets are the papers' formulas, values are learned that are known, settings are refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from decet import CNN, DNN, DQN, LSTM
from decet.contracts import Batch, Clock, ImageSpec, LabelSpec, SeriesSpec, TableSpec
from decet.errors import BadInput
from decet.families.dqn import CLIPPED, TEMPERATURE, QLearner, QNetwork, of_choices, quantile_huber

F = 5
BODY = DNN(width=16, depth=1, dropout=0.0, embedding="none")


def learner(choices: tuple[int, ...] = (3,), **said) -> QLearner:
    torch.manual_seed(0)
    return DQN(network=BODY, **said).learner(TableSpec(numbers=F), LabelSpec(choices))


def rows(count: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(count, F), torch.empty(count, 0, dtype=torch.int64)


def batch(choices: tuple[int, ...] = (3,)) -> Batch:
    torch.manual_seed(3)
    chosen = torch.stack([torch.randint(0, count, (7,)) for count in choices], 1)
    return Batch(rows(), (chosen, torch.randn(7), torch.tensor([0.9] * 6 + [0.0]), rows(seed=1)))


def moved(model: QLearner) -> QLearner:
    """The network, away from its slow copy."""
    model.slow  # noqa: B018  made now
    with torch.no_grad():
        for tensor in model.network.parameters():
            tensor.add_(0.3 * torch.randn_like(tensor))
    return model


def wanted(model: QLearner, given: Batch) -> Tensor:
    with torch.no_grad():
        return model._wanted(given.inputs, *given.target)


def test_targets_are_those_of_2015_and_of_double_q_learning() -> None:
    given = batch()
    _, reward, discount, then = given.target
    plain, double = moved(learner(double=False)), moved(learner(double=True))
    with torch.no_grad():
        most = plain.slow(then).mean(-1)[:, 0].amax(-1)
        torch.testing.assert_close(wanted(plain, given)[:, 0], reward + discount * most)
        best = double.network(then).mean(-1)[:, 0].argmax(-1, keepdim=True)
        worth = double.slow(then).mean(-1)[:, 0].gather(1, best)[:, 0]
        torch.testing.assert_close(wanted(double, given)[:, 0], reward + discount * worth)
        assert not torch.equal(best[:, 0], double.slow(then).mean(-1)[:, 0].argmax(-1))


def test_the_target_of_munchausen_is_its_papers() -> None:
    given = batch()
    chosen, reward, discount, then = given.target
    model = moved(learner(munchausen=0.9))
    with torch.no_grad():
        now, later = (model.slow(inputs).mean(-1)[:, 0] for inputs in (given.inputs, then))
        log = (now / TEMPERATURE).log_softmax(-1).gather(1, chosen)[:, 0] * TEMPERATURE
        policy, doubt = (later / TEMPERATURE).softmax(-1), TEMPERATURE * (later / TEMPERATURE).log_softmax(-1)
        expected = reward + 0.9 * log.clamp(CLIPPED, 0) + discount * (policy * (later - doubt)).sum(-1)
    torch.testing.assert_close(wanted(model, given)[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_several_columns_are_worth_their_mean() -> None:
    given = batch((3, 3))
    chosen, reward, discount, then = given.target
    model = moved(learner((3, 3), double=False))
    with torch.no_grad():
        values = model.slow(then).mean(-1)
        torch.testing.assert_close(wanted(model, given)[:, 0], reward + discount * values.amax(-1).mean(-1))
        said = of_choices(model.network(given.inputs), chosen)[:, 0]
        by_hand = [model.values(given.inputs)[i, [0, 1], chosen[i]].mean() for i in range(7)]
    torch.testing.assert_close(said, torch.stack(by_hand))


def test_dueling_values_are_a_worth_and_advantages_whose_mean_is_none() -> None:
    for choices in ((4,), (2, 4)):
        model = learner(choices, dueling=True)
        network: QNetwork = model.network
        with torch.no_grad():
            network.worth.weight.zero_()
            network.worth.bias.fill_(2.0)
            values = model.values(rows())
        for column, count in enumerate(choices):
            torch.testing.assert_close(values[:, column, :count].mean(-1), torch.full((7,), 2.0))


def test_choices_that_are_none_are_never_taken() -> None:
    values = learner((2, 5)).values(rows(50))
    assert torch.isinf(values[:, 0, 2:]).all()
    assert int(values[:, 0].argmax(-1).max()) <= 1


def test_the_loss_of_quantiles_is_least_where_they_are_the_quantiles() -> None:
    """Of numbers 0 to 99 four quantiles lie at 12.5, 37.5, ...; huber's rounding moves them by less than one."""
    said = torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.Adam([said], lr=0.5)
    for _ in range(1_500):
        optimizer.zero_grad()
        quantile_huber(said, torch.arange(100.0).unsqueeze(0)).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(said.detach()[0].sort().values, [12, 37, 62, 87], atol=1.5)


@pytest.mark.parametrize("said", [{}, {"dueling": True}, {"quantiles": 11}, {"munchausen": 0.9, "double": False}])
def test_values_that_are_known_are_learned(said: dict) -> None:
    """Rewards of a choice by the first feature's sign, and nothing after: values are these rewards."""
    model = learner((2,), follow=10, **said)
    torch.manual_seed(1)
    x, none = torch.randn(256, F), torch.empty(256, 0, dtype=torch.int64)
    chosen = torch.randint(0, 2, (256, 1))
    reward = (chosen[:, 0] * 2.0 - 1) * x[:, 0].sign()
    given = Batch((x, none), (chosen, reward, torch.zeros(256), (x, none)))
    optimizer = torch.optim.Adam(model.network.parameters(), lr=0.01)
    for step in range(400):
        optimizer.zero_grad()
        model.loss(given, "train").total.backward()
        optimizer.step()
        model.after_step(Clock(step=step, plan=[(0, 0.0, 400)]))
    best = model.predict((x, none)).argmax(-1)[:, 0]
    assert float((best == (x[:, 0] > 0)).float().mean()) > 0.95


def test_the_copy_follows_as_asked_and_is_carried() -> None:
    for follow, steps in ((3, 3), (0.5, 1)):
        model = moved(learner(follow=follow))
        first = model.slow.head.weight.clone()
        for step in range(steps - 1):
            model.after_step(Clock(step=step))
            assert torch.equal(model.slow.head.weight, first)
        model.after_step(Clock(step=steps - 1))
        share = 1.0 if follow > 1 else follow
        torch.testing.assert_close(model.slow.head.weight, first.lerp(model.network.head.weight.detach(), share))
        again = learner(follow=follow)
        again.restore(model.state())
        assert torch.equal(again.slow.head.weight, model.slow.head.weight)
    assert not any("slow" in name or "copies" in name for name in model.state_dict())


def test_pictures_are_seen_by_convolutions() -> None:
    model = DQN(network=CNN(channels=(8,), depth=1, norm="none")).learner(ImageSpec(4, 10, 10), LabelSpec((3,)))
    pixels = torch.randint(0, 256, (2, 4, 10, 10), dtype=torch.uint8)
    assert model.values((pixels,)).shape == (2, 1, 3)


def test_named_switches_say_what_their_papers_do() -> None:
    plain, rainbow = DQN.plain(), DQN.rainbow()
    assert (plain.double, plain.dueling, plain.lookahead, plain.quantiles) == (False, False, 1, 0)
    assert (rainbow.double, rainbow.dueling, rainbow.lookahead) == (True, True, 3)
    assert rainbow.quantiles > 1
    assert (rainbow.priority, rainbow.noisy, rainbow.explore) == (0.5, 0.5, 0.0)
    assert DQN.parallel().memory == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"network": DNN}, "network must be settings of a body"),
        ({"network": 3}, "network must be settings of a body"),
        ({"lookahead": 0}, "lookahead"),
        ({"ratio": 0}, "ratio"),
        ({"explore": 1.5}, "explore"),
        ({"persist": 0.5}, "persist"),
        ({"memory": -1}, "memory"),
        ({"priority": 2}, "priority"),
        ({"noisy": -1}, "noisy"),
        ({"trace": 1.5}, "trace"),
        ({"cautious": -1}, "cautious"),
        ({"munchausen": 2}, "munchausen"),
        ({"follow": 0}, "follow"),
        ({"double": "yes"}, "double"),
    ],
)
def test_settings_that_cannot_be_are_refused(said: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        DQN(**said)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(BadInput, match="a DQN needs a network"):
        DQN().learner(TableSpec(numbers=F), LabelSpec((2,)))
    with pytest.raises(BadInput, match="batch norm follows what is played"):
        DQN(network=CNN(channels=(8,), norm="batch")).learner(ImageSpec(4, 10, 10), LabelSpec((3,)))
    with pytest.raises(BadInput, match="munchausen is of one choice"):
        DQN(network=BODY, munchausen=0.9).learner(TableSpec(numbers=F), LabelSpec((2, 2)))


def test_errors_of_a_weighed_batch_are_told_once_with_their_places() -> None:
    model, given = moved(learner(double=False)), batch()
    given.weight, given.rows = torch.arange(7.0), torch.arange(7) + 50
    with torch.no_grad():
        found = model.loss(given, "train").total
        apart = of_choices(model.network(given.inputs), given.target[0])[:, 0] - wanted(model, given)[:, 0]
    each = torch.where(apart.abs() < 1, apart**2 / 2, apart.abs() - 0.5)
    torch.testing.assert_close(found, (each * given.weight).mean())
    rows, errors = model.errors()
    assert rows.tolist() == list(range(50, 57))
    np.testing.assert_allclose(errors, apart.abs(), rtol=1e-5)
    assert model.errors() is None


def test_targets_of_rollouts_are_taken_as_they_are() -> None:
    model, given = learner(memory=0, lookahead=8), batch()
    given.target = (*given.target[:2], torch.zeros(7), None)
    with torch.no_grad():
        said = of_choices(model.network(given.inputs), given.target[0])[:, 0]
        expected = torch.nn.functional.smooth_l1_loss(said, given.target[1])
        torch.testing.assert_close(model.loss(given, "train").total, expected)
    model.after_step(Clock(plan=[(0, 0.0, 1)]))
    assert not model.copies  # there is no slow copy
    assert model.state() == {}


def test_what_others_played_is_learned_from_with_caution() -> None:
    """Of two choices only the first was ever taken, and it gives 1: the other must not be thought better."""
    torch.manual_seed(0)
    x, none = torch.randn(256, F), torch.empty(256, 0, dtype=torch.int64)
    given = Batch((x, none), (torch.zeros(256, 1, dtype=torch.int64), torch.ones(256), torch.zeros(256), (x, none)))
    apart = {}
    for cautious in (0.0, 1.0):
        model = learner((2,), cautious=cautious).cautious()
        with torch.no_grad():
            model.network.head.bias.copy_(torch.tensor([0.0, 3.0]))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            optimizer.zero_grad()
            model.loss(given, "train").total.backward()
            optimizer.step()
        values = model.values((x, none)).detach()[:, 0]
        apart[cautious] = float((values[:, 1] - values[:, 0]).mean())
    assert apart[0.0] > 1
    assert apart[1.0] < 0


def test_noise_is_in_training_and_in_the_slow_copy_only() -> None:
    model, given = learner(noisy=0.5), batch()
    one, other = model.loss(given, "train").total, model.loss(given, "train").total
    assert one.item() != other.item()
    assert not torch.equal(model.slow(given.inputs), model.slow(given.inputs))
    model.eval()
    assert torch.equal(model.values(given.inputs), model.values(given.inputs))


def test_numbers_beside_a_picture_join_what_the_body_says() -> None:
    network = CNN(layers=(4, "flat", "dense8"), norm="none", dropout=0.0)
    model = DQN(network=network).learner(ImageSpec(1, 10, 10), LabelSpec((3,)), beside=2)
    pixels = torch.zeros(2, 1, 10, 10, dtype=torch.uint8)
    values = model.values((pixels, torch.tensor([[0.0, 0.0], [1.0, -1.0]])))
    assert values.shape == (2, 1, 3)
    assert not torch.equal(values[0], values[1])


def test_series_are_read_by_a_recurrent_network() -> None:
    model = DQN(network=LSTM(width=8, depth=1)).learner(SeriesSpec(3, 5), LabelSpec((2,)))
    assert model.values((torch.randn(4, 5, 3), None)).shape == (4, 1, 2)
