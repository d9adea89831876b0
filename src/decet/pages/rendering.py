"""What all templates have in common: escaping, filters, tints. Templates stand in `templates/` and only lay out."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from decet import __version__
from decet.errors import listed
from decet.referee.verdict import duration_of, size_of

if TYPE_CHECKING:
    from jinja2 import Environment

TINTS = (  # of groups, on light and on dark ground
    ("#2c5fd5", "#84a4ff"),
    ("#bf5a12", "#f29b5f"),
    ("#1b7f5c", "#5fcfa0"),
    ("#9b2f8f", "#e08ad6"),
    ("#8a6d00", "#dcc04a"),
    ("#b3263e", "#ff8a94"),
    ("#13788f", "#5cc8de"),
    ("#5b4bb5", "#b3a6ff"),
)

CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"}  # their own pictures in Unicode
CONTROLS |= {127: 0x2421} | dict.fromkeys(range(128, 160), 0xFFFD)


@cache
def environment() -> Environment:
    """Templates by name; everything a user's data may contain is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("decet.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"duration": duration_of, "megabytes": size_of, "short": short, "listed": listed}
    made.globals |= {"version": __version__, "tints": TINTS}
    return made


def _shown(value: Any) -> Any:
    """Texts without control characters, which HTML forbids and a model of bytes may write."""
    return value.translate(CONTROLS) if isinstance(value, str) else value


def short(value: Any) -> str:
    """A number for people: four digits, thousands apart; anything else as it is."""
    if value is None:
        return "undefined"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
