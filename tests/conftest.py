"""What every test stands on: threads, the shared data folder, hypothesis' settings."""

from __future__ import annotations

import os
from pathlib import Path

# Before torch loads: waiting OpenMP threads spin, and two test workers would slow each other down 100-fold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import settings

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"  # beside the repository

# DECET_DATA is set for the tests' child processes too. Where the variable or the folder is there, a missing file is
# a failure; only where there is neither do tests that need the data skip.
if not os.environ.get("DECET_DATA") and BESIDE.is_dir():
    os.environ["DECET_DATA"] = str(BESIDE)

# On a shared machine a deadline says nothing; in CI the same examples are drawn each time.
settings.register_profile("decet", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("decet")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the public data sets (its MANIFEST.md lists them)."""
    stated = os.environ.get("DECET_DATA")
    if not stated:
        pytest.skip("DECET_DATA is not set, and there is no ../shared/data beside the repository")
    folder = Path(stated).resolve()
    if not folder.is_dir():
        pytest.fail(f"DECET_DATA names no folder: {stated}")
    return folder
