"""What stands in a folder already: free, a run, a model, or files of the user's own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from decet import BadInput, Unsupported, artifact
from decet.estimators.folders import COMPARISON, HELD, check_free, check_free_to_compare, check_held, check_own


def hold(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_that_is_missing_or_holds_other_things_is_free(tmp_path):
    check_free(tmp_path / "new", resume=False, overwrite=False)
    hold(tmp_path, "data.csv", "checkpoint/mine.txt")
    check_free(tmp_path, resume=False, overwrite=False)
    check_own(tmp_path)


@pytest.mark.parametrize("name", HELD)
def test_what_a_run_left_is_kept_unless_it_is_resumed_or_overwritten(name, tmp_path):
    hold(tmp_path, name)
    with pytest.raises(BadInput) as caught:
        check_free(tmp_path, resume=False, overwrite=False)
    assert str(caught.value) == f"{tmp_path} already holds a run ({name}). Say --resume, --overwrite, or another --out."
    check_free(tmp_path, resume=True, overwrite=False)
    check_free(tmp_path, resume=False, overwrite=True)


@pytest.mark.parametrize("name", artifact.FILES[1:])
def test_a_file_of_the_users_own_is_refused_whatever_is_said(name, tmp_path):
    hold(tmp_path, name)
    sentence = f"{tmp_path} holds a {name} of your own, which a model would replace. Choose another folder."
    for check in (check_own, *(lambda out, r=r: check_free(out, resume=r, overwrite=not r) for r in (True, False))):
        with pytest.raises(BadInput) as caught:
            check(tmp_path)
        assert str(caught.value) == sentence


@pytest.mark.parametrize("name", HELD)
def test_files_beside_a_run_or_a_model_are_its_own(name, tmp_path):
    hold(tmp_path, name, "README.md")
    check_own(tmp_path)


def test_a_file_and_a_contradiction_are_refused(tmp_path):
    hold(tmp_path, "out")
    with pytest.raises(BadInput, match=r"out is a file, not a folder\. Choose another --out\.$"):
        check_free(tmp_path / "out", resume=False, overwrite=False)
    with pytest.raises(BadInput, match=r"^resume and overwrite exclude each other"):
        check_free(tmp_path, resume=True, overwrite=True)


def test_a_comparison_has_a_folder_of_its_own(tmp_path):
    out = tmp_path / "c"
    check_free_to_compare(out, resume=False, overwrite=False)
    hold(out, COMPARISON)
    with pytest.raises(BadInput, match=r"c already holds a comparison\. Say --resume, --overwrite, or another --out\."):
        check_free_to_compare(out, resume=False, overwrite=False)
    check_free_to_compare(out, resume=True, overwrite=False)
    check_free_to_compare(out, resume=False, overwrite=True)
    hold(out, "model.json")
    for overwrite in (True, False):
        with pytest.raises(BadInput, match=r"c holds a model, not a comparison\. Choose another --out\."):
            check_free_to_compare(out, resume=False, overwrite=overwrite)


def test_settings_that_are_code_are_refused() -> None:
    @dataclass(frozen=True)
    class Settings:
        conv: object = None

    check_held(Settings("gcn"))
    with pytest.raises(Unsupported, match="conv is a class of your own, which a model folder cannot hold"):
        check_held(Settings(Settings))
