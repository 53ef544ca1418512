"""`trio-swarm simulate --record`: what it writes is a recording like any other."""

import json
from pathlib import Path

import pytest

from command_line import run_here
from trio_swarm.cli.lab import simulation_recordings

SWARM = """
size = "2MiB"
piece_length = "64KiB"
[[peers]]
role = "seeder"
up = "20Mbit"
[[peers]]
count = 2
up = "10Mbit"
[[peers]]
role = "free-rider"
up = "10Mbit"
"""


@pytest.fixture
def swarm(tmp_path: Path) -> Path:
    file = tmp_path / "swarm.toml"
    file.write_text(SWARM)
    return file


@pytest.fixture
def recorded(swarm: Path) -> Path:
    file = swarm.with_name("l2.rec")
    assert run_here("simulate", swarm, "--record", file, "--of", "L2")[0] == 0
    return file


def test_each_peer_that_fetches_has_a_file_in_the_folder(swarm: Path) -> None:
    folder = swarm.with_name("all")
    code, out, err = run_here("simulate", swarm, "--record", folder)
    assert (code, err) == (0, "")
    assert f"wrote {folder}: 3 recordings\n" in out
    assert sorted(file.name for file in folder.iterdir()) == ["F1.rec", "L1.rec", "L2.rec"]
    one = swarm.with_name("one")
    _, out, _ = run_here("simulate", swarm, "--record", one, "--json")
    written = [json.loads(text) for text in out.splitlines()][1:]
    assert [each["event"] for each in written] == ["written"] * 3
    for each in written:
        file = Path(each["file"])
        assert file.read_bytes() == (folder / file.name).read_bytes()


def test_the_run_is_the_same_with_and_without(swarm: Path) -> None:
    def digest(*flags: object) -> str:
        _, out, _ = run_here("simulate", swarm, "--json", *flags)
        return str(json.loads(out.splitlines()[0])["digest"])

    assert digest("--record", swarm.with_name("all")) == digest()


def test_it_is_explained(recorded: Path) -> None:
    code, out, err = run_here("explain", recorded)
    assert (code, err) == (0, "")
    assert out.startswith("swarm.toml: 2 MiB in 32 pieces, by rarest-first, complete after ")
    for peer in ("S1", "L1", "F1"):
        assert f"  {peer}  " in out
    assert "µs" not in out  # no time was taken
    for question in (("--piece", 3), ("--peer", "S1"), ("--at", 0.3)):
        code, out, _ = run_here("explain", recorded, *question)
        assert code == 0
        assert any(peer in out for peer in ("S1", "L1", "F1"))
        assert "rarest-first " in out


def test_no_time_of_decisions_is_told_that_was_not_recorded(recorded: Path) -> None:
    code, out, _ = run_here("replay", recorded)
    assert code == 0
    (row,) = [line for line in out.splitlines() if line.startswith("as recorded")]
    assert "µs" not in row


def test_it_is_replayed_and_drawn(recorded: Path) -> None:
    code, out, _ = run_here("replay", recorded, "--scheduler", "round-robin", "--json")
    assert code == 0
    runs = [json.loads(text) for text in out.splitlines()]
    assert [run["scheduler"] for run in runs] == ["as recorded", "rarest-first", "round-robin"]
    assert runs[1]["seconds"] == pytest.approx(runs[0]["seconds"], rel=0.1)
    file = recorded.with_suffix(".svg")
    assert run_here("plot", recorded, "-o", file)[0] == 0
    assert "S1" in file.read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--record", "x.rec", "--of", "L3"), "--of: L3 is none of those that fetch: L1, L2, F1"),
        (("--record", "x.rec", "--of", "S1"), "--of: S1 is none of those that fetch"),
        (("--of", "L1"), "--of: says whose download is recorded; --record FILE says where to"),
        (("--record", "x", "--seeds", 2), "--record: is for one run"),
        (
            ("--record", "x", "--scheduler", "round-robin", "--scheduler", "rarest-first"),
            "--record: is for one run",
        ),
        (("--record", "no/x.rec", "--of", "L1"), "--record: there is no folder no"),
        (("--record", "no/x"), "--record: no/x cannot be a folder (No such file or directory)"),
        (("--record", "swarm.toml"), "--record: swarm.toml cannot be a folder (File exists)"),
        (("--record", "swarm.toml", "--of", "L1"), "--record: swarm.toml is there already"),
    ],
)
def test_what_cannot_be_recorded_is_one_line_before_anything_runs(
    swarm: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(swarm.parent)
    code, out, err = run_here("simulate", swarm, *flags)
    assert (code, out) == (2, "")
    assert err.startswith(f"trio-swarm: {said}")
    assert err.count("\n") == 1


def test_too_many_peers_are_not_recorded_at_once_but_one_of_them_is(
    swarm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation_recordings, "MOST_AT_ONCE", 2)
    code, _, err = run_here("simulate", swarm, "--record", swarm.with_name("all"))
    assert code == 2
    assert "3 peers are too many to record at once (2): choose one by --of (L1, L2, F1)" in err
    file = swarm.with_name("f1.rec")
    assert run_here("simulate", swarm, "--record", file, "--of", "F1")[0] == 0
    assert file.exists()
