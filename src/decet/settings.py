"""Settings: frozen dataclasses whose fields may be None = not said, joined field by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from decet.errors import check_range

Settings = TypeVar("Settings")


def check_whole(settings: Any, names: Sequence[str], low: int, high: int | None = None, room: str = "") -> None:
    """Check fields of frozen settings that must be whole numbers (or None), and keep them as plain ints."""
    for name in names:
        value = getattr(settings, name)
        check_range(room + name, value, low, high, whole=True)
        if value is not None:
            object.__setattr__(settings, name, int(value))


def joined(first: Settings | None, *others: Settings | None) -> Settings:
    """The first that says something (is not None) wins, field by field: user, then cell, then fallback."""
    said = [layer for layer in (first, *others) if layer is not None]
    names = [f.name for f in fields(said[0])]  # type: ignore[arg-type]
    values = {n: next((v for v in (getattr(s, n) for s in said) if v is not None), None) for n in names}
    return replace(said[0], **values)  # type: ignore[type-var]
