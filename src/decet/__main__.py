"""`python -m decet` is the command `decet`."""

from __future__ import annotations

import sys

from decet.cli import main

if __name__ == "__main__":
    sys.exit(main())
