"""The help pages of `decet fit`: a text beside every field, the bodies of a method, lines that fit a screen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from decet import DNN, BadInput, Environments, Recipe, Tables
from decet.explaining import columns, estimator_page, texts
from decet.tasks.act import Act
from decet.tasks.classify import Classify


@pytest.mark.parametrize("owner", [DNN, Recipe, Tables, Environments, Classify, Act])
def test_every_field_has_its_text(owner: Any) -> None:
    found = texts(owner)
    assert list(found) == [f.name for f in fields(owner)]
    assert all(found.values())


@dataclass
class Settings:
    """One.

    name: a text
        that goes on.
    one, other: two at once.

    note: prose about no field
        that goes on too.
    """

    name: int = 0
    one: int = 0
    other: int = 0


def test_a_text_may_go_on_and_serve_several_fields() -> None:
    assert texts(Settings) == {"name": "a text that goes on.", "one": "two at once.", "other": "two at once."}


@dataclass
class Crowded:
    """Two a line.

    one: first. other: second; note: is no field.
        goes on.
    """

    one: int = 0
    other: int = 0


def test_several_fields_may_stand_on_a_line() -> None:
    assert texts(Crowded) == {"one": "first.", "other": "second; note: is no field. goes on."}


def page(line: str) -> str:
    return " ".join(estimator_page(line.split()).split())


def test_a_method_tells_which_bodies_it_takes_and_how_to_see_their_fields() -> None:
    assert "--family.network NAME the body's settings" in page("agent --help")
    assert "One of DNN, CNN, ResNet, LSTM. --family.network NAME --family.network.help tells its" in page("agent")
    assert page("agent --family.network.help").startswith("--family.network NAME the body's settings")
    fields_of_dnn = page("agent --family.network DNN --family.network.help")
    assert "--family.network.width units of a hidden layer." in fields_of_dnn
    assert "--family.network.FIELD (--family.network.help explains): layers" in page("agent --family.network CNN")
    with pytest.raises(BadInput, match="--family.network cannot be 'CNNN'"):
        page("agent --family.network CNNN --family.network.help")


def test_an_agent_is_told_what_its_data_are_and_has_no_target() -> None:
    assert "DATA is the id of an environment of Gymnasium, as CartPole-v1." in page("agent")
    assert "--target" not in page("agent")
    assert "DATA is a path, - for standard input, or a public set." in page("table-classifier")
    assert "--target" in page("table-classifier")


def test_a_long_flag_has_a_line_of_its_own() -> None:
    long = "--family.discriminator.embedding_width"
    assert columns([("--a", "one"), (long, "two")]).split("\n")[1:] == [f"  {long}", f"{'':36}two"]
