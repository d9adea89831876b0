"""Settings: frozen dataclasses whose fields may be None = not said, joined field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
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


def named(settings: Any) -> dict[str, Any]:
    """Settings as a dict: their class as `name`, then every field, settings within them likewise."""
    said = {f.name: getattr(settings, f.name) for f in fields(settings)}
    inner = {name: named(value) if is_dataclass(value) else value for name, value in said.items()}
    return {"name": type(settings).__name__, **inner}


def in_words(said: Mapping[str, Any]) -> str:
    """What is said, without the name: `network DNN (width 24, depth 2), lookahead 3`."""
    pairs = [(name, value) for name, value in said.items() if name != "name" and value is not None]
    return ", ".join(f"{name} {_one_in_words(value)}" for name, value in pairs) or "as by default"


def _one_in_words(value: Any) -> str:
    inside = isinstance(value, Mapping) and "name" in value
    return f"{value['name']} ({in_words(value)})" if inside else str(value)


def joined(first: Settings | None, *others: Settings | None) -> Settings:
    """The first that says something (is not None) wins, field by field: user, then cell, then fallback.

    Settings within settings, as a method's network, are joined likewise with those of their own class. `supersedes` of
    the class names fields that make others void, as CNN's layers channels: who says one of these hides what comes
    after him of those.
    """
    said = [layer for layer in (first, *others) if layer is not None]
    names = [f.name for f in fields(said[0])]  # type: ignore[arg-type]
    return replace(said[0], **{name: _first_said(said, name) for name in names})  # type: ignore[type-var]


def _first_said(layers: Sequence[Any], name: str) -> Any:
    void = getattr(layers[0], "supersedes", {}).get(name, ())
    values = []
    for layer in layers:
        values.append(getattr(layer, name))
        if any(getattr(layer, other) is not None for other in void):
            break
    first = next((value for value in values if value is not None), None)
    if is_dataclass(first):
        return joined(*(value for value in values if type(value) is type(first)))
    return first
