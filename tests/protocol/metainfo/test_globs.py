"""Globs: which paths inside a torrent they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import ConfigError
from trio_swarm.protocol.metainfo.globs import MAX_GLOBS, Globs, check_globs

PATHS = ["README", "a.json", "docs/README", "docs/a.txt", "docs/old/a.txt", "src/docs/b", "[x]/y"]


@pytest.mark.parametrize(
    ("glob", "chosen"),
    [
        ("README", {"README", "docs/README"}),
        ("/README", {"README"}),
        ("*.json", {"a.json"}),
        ("docs", {"docs/README", "docs/a.txt", "docs/old/a.txt", "src/docs/b"}),
        ("/docs", {"docs/README", "docs/a.txt", "docs/old/a.txt"}),
        ("docs/", {"docs/README", "docs/a.txt", "docs/old/a.txt", "src/docs/b"}),
        ("README/", set()),
        ("docs/*", {"docs/README", "docs/a.txt", "docs/old/a.txt"}),
        ("docs/*.txt", {"docs/a.txt"}),
        ("docs/**/*.txt", {"docs/a.txt", "docs/old/a.txt"}),
        ("**/docs/b", {"src/docs/b"}),
        ("?.json", {"a.json"}),
        ("[a-c].json", {"a.json"}),
        ("[!a].json", set()),
        ("[[]x]", {"[x]/y"}),
        ("readme", set()),
    ],
)
def test_a_glob_selects_what_its_rules_say(glob: str, chosen: set[str]) -> None:
    globs = Globs([glob])
    assert {path for path in PATHS if globs.select(tuple(path.split("/")))} == chosen


@pytest.mark.parametrize("glob", ["", "/", "//", "a//b", "../a", "a/.", "x" * 5000])
def test_a_glob_that_is_no_path_is_refused(glob: str) -> None:
    with pytest.raises(ConfigError):
        Globs([glob])


def test_too_many_globs_are_refused() -> None:
    with pytest.raises(ConfigError, match="1001 globs"):
        check_globs(["a"] * (MAX_GLOBS + 1))


NAMES = st.lists(st.sampled_from(["a", "b", "*", "**", "a*b", "?"]), min_size=1, max_size=12)


@given(NAMES, st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=12))
def test_any_folders_before_a_glob_match_at_least_what_it_matches(
    names: list[str], path: list[str]
) -> None:
    anchored = Globs(["/" + "/".join(names)])
    anywhere = Globs(["**/" + "/".join(names)])
    if anchored.select(tuple(path)):
        assert anywhere.select(tuple(path))
        assert anywhere.select(("top", *path))
