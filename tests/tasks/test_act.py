"""Act: figures of episodes, and settings that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from decet.errors import BadInput
from decet.tasks.act import Act


def test_figures_are_of_all_episodes_and_of_their_middle() -> None:
    returns = np.array([0.0, 10, 10, 10, 10, 10, 10, 500])
    found = Act().metrics(returns, np.arange(8.0))
    assert found["return"] == pytest.approx(70.0)
    assert found["middle"] == pytest.approx(10.0)
    assert found["middle_low"] <= found["middle"] <= found["middle_high"]
    assert (found["least"], found["length"]) == (0.0, 3.5)
    assert found["spread"] == pytest.approx(returns.std())
    again = Act().metrics(returns, np.arange(8.0))
    assert again == found


def test_the_interval_of_the_middle_holds_it_as_often_as_said() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        found = Act().metrics(rng.normal(5.0, 2.0, 60), np.ones(60))
        held += found["middle_low"] <= 5.0 <= found["middle_high"]
    assert 0.88 <= held / 200 <= 0.99


@pytest.mark.parametrize("said", [{"steps": -1}, {"discount": 1.5}, {"trials": 0}])
def test_settings_that_cannot_be_are_refused(said: dict) -> None:
    with pytest.raises(BadInput, match=next(iter(said))):
        Act(**said)
