"""Energy from counters that run over, or that nobody may read."""

from __future__ import annotations

from pathlib import Path

from decet.training.energy import Energy


def counter(folder: Path, name: str, used: int, most: int = 1_000_000_000) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{used}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_joules_of_all_processors_are_added(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 5_000_000)
    counter(tmp_path, "intel-rapl:1", 0)
    counter(tmp_path, "intel-rapl:0:0", 0)  # a part of the first, which is counted already
    energy = Energy(tmp_path)
    counter(tmp_path, "intel-rapl:0", 7_500_000)
    counter(tmp_path, "intel-rapl:1", 1_000_000)
    counter(tmp_path, "intel-rapl:0:0", 9_000_000)
    assert energy.spent() == 3.5


def test_a_counter_that_ran_over_goes_on_from_its_end(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 999_000_000, 999_999_999)
    energy = Energy(tmp_path)
    counter(tmp_path, "intel-rapl:0", 2_000_000, 999_999_999)
    assert energy.spent() == 3.0


def test_a_machine_that_does_not_tell_is_no_error(tmp_path: Path) -> None:
    assert Energy(tmp_path).spent() is None
    counter(tmp_path, "intel-rapl:0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("?")
    assert Energy(tmp_path).spent() is None


def test_looks_in_between_see_a_counter_that_ran_over_twice(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 0, 9_999_999)
    energy = Energy(tmp_path)
    for used in (6_000_000, 2_000_000, 8_000_000, 4_000_000):  # 6 J each time
        counter(tmp_path, "intel-rapl:0", used, 9_999_999)
        energy.look()
    assert energy.spent() == 24.0
