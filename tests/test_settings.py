"""Settings joined field by field."""

from __future__ import annotations

from dataclasses import dataclass

from decet.families.cnn import CNN
from decet.families.dnn import DNN
from decet.families.dqn import DQN
from decet.settings import in_words, joined, named
from decet.training.recipe import Recipe


@dataclass(frozen=True)
class _Cake:
    flour: int | None = None
    eggs: int | None = None
    sweet: bool | None = None


def test_joined_takes_the_first_that_says_something_field_by_field():
    cake = joined(_Cake(flour=1), None, _Cake(flour=2, eggs=3, sweet=False), _Cake(sweet=True))
    assert cake == _Cake(flour=1, eggs=3, sweet=False)  # False says something, None does not
    assert joined(None, _Cake(eggs=0), _Cake(eggs=5)).eggs == 0
    assert joined(Recipe(lr=0.5), Recipe(lr=1.0, epochs=60)) == Recipe(lr=0.5, epochs=60)


def test_settings_within_settings_are_joined_where_they_are_of_one_class():
    cell = DQN(network=DNN(width=128, depth=2, dropout=0.0), lookahead=3)
    assert joined(DQN(network=DNN(width=24)), cell).network == DNN(width=24, depth=2, dropout=0.0)
    assert joined(DQN(network=CNN(channels=(8,))), cell) == DQN(network=CNN(channels=(8,)), lookahead=3)
    assert joined(DQN(), cell) == cell


def test_who_says_channels_hides_layers_that_are_said_after_him():
    cell = CNN(layers=(16, "flat"), norm="none")
    assert joined(CNN(channels=(8, 8)), cell) == CNN(channels=(8, 8), norm="none")
    assert joined(CNN(layers=(4,), depth=1), cell) == CNN(layers=(4,), depth=1, norm="none")
    assert joined(CNN(dropout=0.1), cell) == CNN(layers=(16, "flat"), norm="none", dropout=0.1)


def test_settings_are_told_by_name_and_in_words():
    said = named(DQN(network=DNN(hidden=(24, 24)), double=False))
    assert (said["name"], said["network"]["name"], said["lookahead"]) == ("DQN", "DNN", None)
    assert in_words(said) == "network DNN (hidden (24, 24)), double False"
    assert in_words(named(DQN(network=DNN()))) == "network DNN (as by default)"
    assert in_words(named(DQN())) == "as by default"
