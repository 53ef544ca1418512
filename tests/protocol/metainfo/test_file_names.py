"""File names: what is refused, what is repaired, and that no two files get one path."""

import unicodedata
from itertools import combinations
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol.metainfo.file_names import (
    MAX_COMPONENT_BYTES,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    MAX_PATH_DEPTH,
    safe_component,
    safe_paths,
)

# Few and nasty characters, so that clashes and odd names are likely.
NASTY = st.text(
    st.sampled_from("aAbß.. /\\:\0\n~é\u0301\u017fK\u212a\u202e\ud800\U0001f600"), max_size=6
)
RESERVED = st.sampled_from(["con", "NUL.txt", "Com1", "aux .c", "lpt9.", "COM¹", "conin$"])
COMPONENTS = NASTY | RESERVED | st.text(max_size=300)
TREES = st.lists(st.lists(NASTY | RESERVED | st.sampled_from("abAB"), min_size=1, max_size=3))


def fold(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFD", part).casefold() for part in path)


def assert_safe(component: str) -> None:
    assert component not in ("", ".", "..")
    assert not set(component) & set("/\\\0\n\r\x1b\x7f\u202e")
    assert component == component.rstrip(". ")
    assert len(component.encode()) <= MAX_COMPONENT_BYTES
    assert not PureWindowsPath(component).drive
    assert not PureWindowsPath(component).is_absolute()
    assert not PurePosixPath(component).is_absolute()
    assert component.partition(".")[0].rstrip().lower() not in {"con", "nul", "aux", "com1", "lpt9"}


@given(COMPONENTS)
def test_a_component_is_refused_or_made_safe_once_and_for_all(component: str) -> None:
    try:
        safe = safe_component(component)
    except MetainfoError:
        return
    assert_safe(safe)
    assert safe_component(safe) == safe


@given(TREES)
def test_no_two_files_share_a_path_and_none_is_another_ones_folder(paths: list[list[str]]) -> None:
    try:
        safe = safe_paths(paths)
    except MetainfoError:
        return
    assert [len(path) for path in safe] == [len(path) for path in paths]
    for path in safe:
        for component in path:
            assert_safe(component)
    for one, other in combinations(map(fold, safe), 2):
        assert one[: len(other)] != other
        assert other[: len(one)] != one
    assert safe_paths(paths) == safe


@given(TREES)
def test_safe_paths_are_left_alone(paths: list[list[str]]) -> None:
    try:
        safe = safe_paths(paths)
    except MetainfoError:
        return
    assert safe_paths(safe) == safe


@pytest.mark.parametrize(
    "component",
    [
        "..",
        "../x",
        "a/..",
        "a/../b",
        "..\\x",
        "a\\..\\..\\b",
        "/..",
        ".. ",
        " ../x",
        "/",
        "/etc/passwd",
        "\\",
        "\\\\server\\share",
        "C:",
        "c:\\",
        "C:/x",
        "C:\\Windows\\x",
    ],
)
def test_a_component_that_leaves_the_folder_is_refused(component: str) -> None:
    with pytest.raises(MetainfoError, match="unsafe"):
        safe_component(component)
    with pytest.raises(MetainfoError, match="unsafe"):
        safe_paths([["good", component, "file"]])


@pytest.mark.parametrize(
    ("component", "repaired"),
    [
        ("", "_"),
        (".", "_"),
        ("...", "_"),
        ("   ", "_"),
        ("a/b", "a_b"),
        ("a\\b", "a_b"),
        ("a\0b\x1b[2Jc", "a_b_[2Jc"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("C:x", "C_x"),
        ("Mr. ", "Mr"),
        ("con", "_con"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("Com1 .x", "_Com1 .x"),
        ("LPT³", "_LPT³"),
    ],
)
def test_an_odd_component_is_repaired(component: str, repaired: str) -> None:
    assert safe_component(component) == repaired


@pytest.mark.parametrize(
    "component",
    [
        "a",
        ".hidden",
        "..a",
        "a..b",
        "What?.mkv",
        "12:30.txt",
        "a b (1).tar.gz",
        "Öl",
        "日本語.txt",
        "console",
        "com10",
        "nul0",
        "x" * 255,
    ],
)
def test_a_harmless_component_is_kept(component: str) -> None:
    assert safe_component(component) == component


def test_an_over_long_component_is_cut_between_characters_and_keeps_its_extension() -> None:
    assert safe_component("é" * 200 + ".mkv") == "é" * 125 + ".mkv"
    assert safe_component("x" * 300) == "x" * 255
    assert safe_component("x" * 300 + ".iso", max_bytes=MAX_NAME_BYTES) == "x" * 236 + ".iso"
    assert safe_component("a." + "b" * 300) == "a." + "b" * 253
    assert safe_component("con" + " " * 300 + "x") == "_con"


@pytest.mark.parametrize(
    ("paths", "repaired"),
    [
        (["a.txt", "a.txt", "a.txt"], ["a.txt", "a (2).txt", "a (3).txt"]),
        (["README", "readme", "ReadMe"], ["README", "readme (2)", "ReadMe (3)"]),
        (["é", "e\u0301"], ["é", "e\u0301 (2)"]),
        (["straße", "STRASSE"], ["straße", "STRASSE (2)"]),
        (["a", "a (2)", "a"], ["a", "a (2)", "a (3)"]),
        (["a", "a", "a (2)"], ["a", "a (3)", "a (2)"]),
        ([".x", ".x"], [".x", ".x (2)"]),
        (["a", "a/b"], ["a (2)", "a/b"]),
        (["A/b", "a"], ["A/b", "a (2)"]),
        (["a/b", "a/b/c", "a/b/c/d"], ["a/b (2)", "a/b/c (2)", "a/b/c/d"]),
        (["a", "a/b", "a (2)/c"], ["a (3)", "a/b", "a (2)/c"]),
        (["D/x", "d/X", "d/y"], ["D/x", "d/X (2)", "d/y"]),
    ],
)
def test_clashing_files_are_numbered(paths: list[str], repaired: list[str]) -> None:
    assert ["/".join(path) for path in safe_paths([path.split("/") for path in paths])] == repaired


def test_numbers_fit_into_long_names() -> None:
    long = "x" * 251 + ".iso"
    first, second = (path[0] for path in safe_paths([[long], [long]]))
    assert first == long
    assert second.endswith("x (2).iso")
    assert len(second) <= MAX_COMPONENT_BYTES


def test_long_names_that_differ_in_what_is_cut_off_are_numbered_in_linear_time() -> None:
    # Quadratic work would take minutes here.
    names = [f"{'x' * 245}{number:010}" for number in range(10_000)]
    paths = safe_paths([[name] for name in names for _ in range(2)])
    assert len(set(paths)) == 20_000


def test_empty_deep_and_long_paths_are_refused() -> None:
    for path in ([], ["a"] * (MAX_PATH_DEPTH + 1), ["x" * 250] * 17):
        with pytest.raises(MetainfoError):
            safe_paths([path])
    assert safe_paths([["a"] * MAX_PATH_DEPTH])
    assert safe_paths([["x" * (MAX_PATH_BYTES // 10 - 1)] * 10])
