"""Templates: what data hold is escaped, numbers are short, a name that is not there is a mistake of ours."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import UndefinedError

from decet import __version__
from decet.pages.rendering import TINTS, environment, short


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "undefined"), (True, "True"), (12345, "12,345"), (0.123456, "0.1235"), (1e-9, "1e-09"), ("gelu", "gelu")],
)
def test_numbers_are_short(value: Any, shown: str) -> None:
    assert short(value) == shown


def test_what_data_hold_is_escaped() -> None:
    made = environment().from_string("{{ word }} {{ 90 | duration }} {{ names | listed }} {{ version }}")
    assert made.render(word="<b>", names=["<i>"]) == f"&lt;b&gt; 1 min 30 s &lt;i&gt; {__version__}"


def test_control_characters_are_shown_as_pictures() -> None:
    made = environment().from_string("{{ text }}{{ text | e }}")
    assert made.render(text="a\0b\x1b\n\x7f\x85<") == 2 * "a\u2400b\u241b\n\u2421\ufffd&lt;"


def test_a_name_that_is_not_there_is_no_empty_text() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


def test_each_tint_has_a_light_and_a_dark_form() -> None:
    page = environment().get_template("tints.css").render()
    light, dark = page.split("prefers-color-scheme: dark")
    assert all(own in light and other in dark for own, other in TINTS)
