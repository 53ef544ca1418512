"""`simulate --plot`, `plot`, and curves in the terminal."""

import io
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from command_line import read_event, run_here
from course_samples import STORY
from recording_samples import file_of as recording_file
from recording_samples import header
from small_scenario import SMALL
from swarm_recordings import alice, bob, replace_id
from trio_swarm.lab.pictures.spark import BARS
from trio_swarm.recording import records

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
    code, out, err = run_here("simulate", small, "--plot", file, "--seeds", 2, "--workers", 1)
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
    lines = [read_event(line) for line in out.splitlines()]
    assert lines[-1] == {"event": "written", "file": str(file)}
    page = file.read_text()
    for label in ("rarest-first", "bandwidth-weighted:pieces=rarest"):
        assert f"<h3>{label}</h3>" in page
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
    flags = ("--scheduler", "rarest-first", "--scheduler", "round-robin", "--workers", 1)
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
    assert (code, read_event(out)) == (0, {"event": "written", "file": "film.html"})


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
    story = [STORY[0], records.Joined(1_000_000, 7, "<script>", {}), *STORY[2:]]
    recorded.write_bytes(recording_file(header(), [story]))
    out = recorded.with_name("out.html")
    assert run_here("plot", recorded, "-o", out)[0] == 0
    assert out.read_text().count("<script") == 1  # ours


@pytest.fixture
def swarm(tmp_path: Path) -> list[Path]:
    """Recordings of two leechers that met a seeder and each other."""
    files = []
    for name, made in (("alice", alice()), ("bob", bob())):
        files.append(tmp_path / f"{name}.rec")
        files[-1].write_bytes(recording_file(made.header, [made.events]))
    return files


def test_a_swarm_that_several_recorded_is_drawn(swarm: list[Path]) -> None:
    file = swarm[0].with_name("out.html")
    code, out, err = run_here("plot", *swarm, "-o", file)
    assert (code, err) == (0, "")
    first, *curves = out.splitlines()
    assert first.endswith(
        " in 2 pieces over 1.0 s, with rarest-first, seen by the 2 peers that recorded it"
    )
    for line, name in zip(curves, ("what alice has", "what bob has", "copies of"), strict=False):
        assert line.startswith(name)
    page = file.read_text()
    for panel in ("all-completion", "all-shares", "own0-availability", "own0-matrix"):
        assert f'<figure id="{panel}" ' in page
    # Who recorded is named by the file, in the table with the address that others know.
    assert "<td>alice</td><td>10.0.0.2:6881</td><td>trio-swarm</td>" in page
    assert "<td>bob</td><td>10.0.0.9:50000</td>" in page
    assert "<td>10.0.0.1:6881</td><td>10.0.0.1:6881</td><td>a client</td>" in page
    completion = page[page.index("all-completion") : page.index("all-shares")]
    assert "alice" in completion
    assert "10.0.0.1" not in completion  # it recorded nothing


def test_several_are_drawn_in_the_folder_where_one_is(
    swarm: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swarm[0].parent)
    _, out, _ = run_here("plot", *swarm, "--json")
    assert read_event(out) == {"event": "written", "file": "swarm.html"}


def test_recordings_of_one_name_are_told_apart_by_their_folders(swarm: list[Path]) -> None:
    other = swarm[1].with_name("there") / swarm[0].name
    other.parent.mkdir()
    swarm[1].rename(other)
    _, out, _ = run_here("plot", swarm[0], other, "-o", other.with_name("out.svg"))
    assert f"what {swarm[0]} has" in out
    assert f"what {other} has" in out


def test_what_belongs_to_no_one_swarm_is_wrong_usage(swarm: list[Path], recorded: Path) -> None:
    out = recorded.with_name("out.html")
    recorded.write_bytes(recording_file(replace(header(), info_hash="cd" * 20), [STORY]))
    for files, said in (
        ((*swarm, recorded), "alice and film are of different torrents: "),
        ((swarm[0], swarm[0]), f"{swarm[0]} is named twice"),
        ((), "say what to draw: trio-swarm plot RECORDING..."),
    ):
        code, said_out, err = run_here("plot", *files, "-o", out)
        assert (code, said_out) == (2, "")
        assert err.startswith(f"trio-swarm: {said}")
        assert err.count("\n") == 1
    assert not out.exists()


def test_together_recordings_may_be_no_longer_than_one(
    swarm: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_swarm.cli.lab.plot.MAX_EVENTS", 20)
    code, _, err = run_here("plot", *swarm, "-o", swarm[0].with_name("out.svg"))
    assert code == 1
    assert "bob.rec: with this there are more than 20 events" in err


def test_a_peer_that_others_cannot_know_is_told(swarm: list[Path]) -> None:
    made = replace_id(bob(), "")
    swarm[1].write_bytes(recording_file(made.header, [made.events]))
    code, out, _ = run_here("plot", *swarm, "-o", swarm[0].with_name("out.svg"))
    assert code == 0
    assert out.splitlines()[0].endswith("by which address others know bob was not recorded")
