"""Files as users name them: what is near where there is none, what a suffix says, and bytes unpacked while read."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from decet.errors import BadInput, suggest

FAULTS = (OSError, EOFError, zlib.error)  # of reading bytes that may be packed; gzip.BadGzipFile is an OSError


def near(path: Path) -> str:
    """`" Did you mean 'a.txt'?"` where a file beside the missing one has nearly its name, else nothing."""
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return suggest(path.name, names).split(" Choose")[0]


def suffix_of(name: str) -> str:
    """What a file holds by its name: ".csv" of a.csv and of a.CSV.gz; "" where the name does not say."""
    return Path(name.lower().removesuffix(".gz")).suffix


def unpacked(path: Path) -> BinaryIO:
    """The file's bytes, unpacked (.gz) while they are read; reading may raise `FAULTS`. Raises BadInput."""
    try:
        return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(source: Any, error: Exception) -> BadInput:
    """The sentence for one of `FAULTS`."""
    if isinstance(error, OSError):
        return BadInput(f"{str(source)!r} cannot be read: {error}.")
    return BadInput(f"{str(source)!r} is cut short or damaged: {error}.")
