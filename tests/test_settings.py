"""Settings joined field by field."""

from __future__ import annotations

from dataclasses import dataclass

from decet.settings import joined
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
