"""What training costs in energy, where the machine tells: the processors' own counters (RAPL, Linux).

The counters are of the whole processor, other programs included; memory and accelerators are not in them. They run over
in a few minutes at the least, so they are looked at once an epoch.
"""

from __future__ import annotations

from pathlib import Path

COUNTERS = Path("/sys/class/powercap")


class Energy:
    """Joules from now on."""

    def __init__(self, folder: Path = COUNTERS):
        counters = {path: _read(path) for path in sorted(folder.glob("intel-rapl:[0-9]"))}
        self.last = {path: found for path, found in counters.items() if found is not None}
        self.total = 0  # microjoules

    def look(self) -> None:
        """Add what was spent since the last look."""
        for path, (before, most) in self.last.items():
            now = _read(path)
            if now is not None:
                self.total += (now[0] - before) % (most + 1)  # the counter starts anew at its end
                self.last[path] = now

    def spent(self) -> float | None:
        """Joules since the start; None where the machine does not tell."""
        self.look()
        return round(self.total / 1e6, 1) if self.last else None


def _read(path: Path) -> tuple[int, int] | None:
    """Microjoules, and how many the counter can hold."""
    try:
        return int((path / "energy_uj").read_text()), int((path / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return None
