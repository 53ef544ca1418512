"""`simulate --plot`, `plot`, and curves in the terminal."""

import io
import json
import sys
from pathlib import Path

import pytest

from recording_samples import file_of as recording_file
from recording_samples import header
from test_pictures_course import STORY
from test_simulator_command import SMALL, run_here
from trio_swarm.pictures.spark import BARS
from trio_swarm.recording import events as ev

STARTS = {"html": b"<!DOCTYPE html>", "png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    file = tmp_path / "film.rec"
    file.write_bytes(recording_file(header(), [STORY]))
    return file


@pytest.mark.parametrize("form", STARTS)
def test_a_simulation_is_drawn_in_the_form_its_file_is_called(small: Path, form: str) -> None:
    file = small.with_name(f"out.{form}")
    file.write_text("an older one")
    code, out, err = run_here("simulate", small, "--plot", file, "--seeds", 2)
    assert (code, err) == (0, "")
    assert f"wrote {file}" in out.splitlines()
    assert file.read_bytes().startswith(STARTS[form])


def test_a_page_compares_the_schedulers_and_has_the_table(small: Path) -> None:
    file = small.with_name("out.html")
    code, out, _ = run_here(
        *("simulate", small, "--json", "--plot", file, "--workers", 2),
        *("--scheduler", "rarest-first", "--scheduler", "bandwidth-weighted:pieces=rarest"),
    )
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1] == {"event": "written", "file": str(file)}
    page = file.read_text()
    for label in ("rarest-first", "bandwidth-weighted:pieces=rarest"):
        assert f"<h2>{label}</h2>" in page
        assert f"<td>{label}</td>" in page
    assert lines[0]["digest"][:12] in page


@pytest.mark.parametrize("command", ["simulate", "plot"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.pdf", "expected a name that ends in .html, .png or .svg"),
        ("out", "expected a name that ends in .html, .png or .svg"),
        ("missing/out.png", "there is no folder"),
        ("folder.png", "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_is_told_before_anything_runs(
    small: Path, recorded: Path, command: str, name: str, said: str
) -> None:
    (small.parent / "folder.png").mkdir()
    flags = {"simulate": ("simulate", small, "--plot"), "plot": ("plot", recorded, "-o")}
    code, out, err = run_here(*flags[command], small.parent / name)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["simulate", "plot"])
def test_without_the_extra_one_line_says_what_to_install(
    small: Path, recorded: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    flags = {"simulate": ("simulate", small, "--plot"), "plot": ("plot", recorded, "-o")}
    code, out, err = run_here(*flags[command], small.with_name("out.html"))
    assert (code, out) == (2, "")
    assert "pip install 'trio-swarm[plots]'" in err
    assert len(err.splitlines()) == 1
    assert not small.with_name("out.html").exists()


def test_a_full_disk_is_a_failure_with_one_line(small: Path) -> None:
    file = small.with_name("out.svg")
    file.symlink_to("/dev/full")
    code, _, err = run_here("simulate", small, "--plot", file)
    assert code == 1
    assert "cannot be written: No space left on device" in err


def test_each_scheduler_has_two_curves_of_text(small: Path) -> None:
    flags = ("--scheduler", "rarest-first", "--scheduler", "round-robin")
    _, out, _ = run_here("simulate", small, *flags)
    above, one, other = out.splitlines()[-3:]
    assert "what leechers have" in above
    assert "copies of the rarest piece, up to 4" in above
    for line, name in ((one, "rarest-first"), (other, "round-robin")):
        found, had, rare = line.split()
        assert found == name
        assert len(had) == len(rare) == 36
        assert had[-1] == rare[-1] == BARS[-1]
    assert run_here("simulate", small, "--quiet", *flags)[1].count(BARS[0]) == 0


def test_a_terminal_that_cannot_show_them_has_no_curves(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    monkeypatch.setattr(io, "StringIO", Ascii)
    _, out, _ = run_here("simulate", small)
    assert "what leechers have" not in out
    assert "rarest-first" in out


@pytest.mark.parametrize("form", STARTS)
def test_a_recording_is_drawn(recorded: Path, form: str) -> None:
    file = recorded.with_name(f"out.{form}")
    code, out, err = run_here("plot", recorded, "-o", file)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("film.mkv: 1.25 MiB in 20 pieces over 6.0 s")
    assert file.read_bytes().startswith(STARTS[form])
    if form == "html":
        page = file.read_text()
        assert "<td>10.0.0.1:6881</td>" in page
        assert "own0-availability" in page
        assert "own0-rates" in page
        assert "own0-matrix" not in page  # there is one who receives


def test_a_recording_is_drawn_beside_where_one_is(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recorded.parent)
    code, out, _ = run_here("plot", "film.rec", "--json")
    assert (code, json.loads(out)) == (0, {"event": "written", "file": "film.html"})


def test_what_is_no_recording_or_has_no_end_is_told(recorded: Path, small: Path) -> None:
    out = recorded.with_name("out.svg")
    code, _, err = run_here("plot", small, "-o", out)
    assert code == 1
    assert "small.toml" in err
    assert run_here("plot", recorded.with_name("none.rec"), "-o", out)[0] == 1
    recorded.write_bytes(recording_file(header(), [STORY[:-1]]))
    code, _, err = run_here("plot", recorded, "-o", out)
    assert code == 0
    assert "has no end" in err
    recorded.rename(recorded.with_name("film.html"))
    code, _, err = run_here("plot", recorded.with_name("film.html"), "-o", out.with_suffix(".html"))
    assert code == 0
    code, _, err = run_here("plot", out.with_name("film.html"), "-o", out.with_name("film.html"))
    assert code == 2
    assert "is the recording itself" in err


def test_a_recording_of_strangers_words_is_only_shown(recorded: Path) -> None:
    story = [STORY[0], ev.Joined(1_000_000, 7, "<script>", {}), *STORY[2:]]
    recorded.write_bytes(recording_file(header(), [story]))
    out = recorded.with_name("out.html")
    assert run_here("plot", recorded, "-o", out)[0] == 0
    assert "<script" not in out.read_text()
