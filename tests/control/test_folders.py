"""Paths that clients name, and what is reached by them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.control.folders import FolderRefusedError, allowed_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "way-out").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "way-in").symlink_to("deep")
    (tmp_path / "link").symlink_to("in")
    return tmp_path


@pytest.mark.parametrize(
    ("named", "reached"),
    [
        ("in", "in"),
        ("in/", "in"),
        ("in/new/folder", "in/new/folder"),
        ("in/deep/../x", "in/x"),
        ("out/../in/x", "in/x"),
        ("link/x", "in/x"),
        ("in/way-in/x", "in/deep/x"),
    ],
)
def test_what_lies_inside_is_allowed(folder: Path, named: str, reached: str) -> None:
    assert allowed_path(f"{folder}/{named}", [folder / "in"]) == folder / reached


@pytest.mark.parametrize(
    "named",
    ["", "out", "in/../out", "in/way-out", "in/way-out/x", "inside", "in/deep/../../out", "in\0"],
)
def test_what_lies_outside_is_refused_in_one_line(folder: Path, named: str) -> None:
    with pytest.raises(FolderRefusedError) as raised:
        allowed_path(f"{folder}/{named}", [folder / "in"])
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("named", ["", "in", "./in", "~/in", "\0"])
def test_a_path_that_is_not_absolute_is_refused(folder: Path, named: str) -> None:
    with pytest.raises(FolderRefusedError, match="absolute"):
        allowed_path(named, [folder / "in"])


def test_an_allowed_folder_that_is_a_link_keeps_its_name(folder: Path) -> None:
    assert allowed_path(f"{folder}/in/x", [folder / "link"]) == folder / "link" / "x"
    assert allowed_path(f"{folder}/link/x", [folder / "link"]) == folder / "link" / "x"


@given(st.lists(st.sampled_from(["..", ".", "in", "out", "way-out", "way-in", "deep", "é", ""])))
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    root = tmp_path_factory.getbasetemp() / "drawn"
    if not root.exists():
        (root / "in" / "deep").mkdir(parents=True)
        (root / "out").mkdir()
        (root / "in" / "way-out").symlink_to(root / "out")
        (root / "in" / "way-in").symlink_to("deep")
    try:
        allowed = allowed_path("/".join([str(root), "in", *parts]), [root / "in"])
    except FolderRefusedError:
        return
    assert os.path.realpath(allowed).startswith(os.path.realpath(root / "in"))
