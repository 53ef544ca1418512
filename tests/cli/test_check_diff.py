"""`check --diff`: what would change in a peer that runs by an older copy of its file."""

import json
from pathlib import Path

import pytest

from command_line import run_here

OLD = '[[share]]\npath = "."\n[node]\nlisten = ":1"\n'
NEW = '[tracker]\n[node]\nlisten = ":2"\n[limits]\nupload = "1MiB"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "old.toml").write_text(OLD, encoding="utf-8")
    (tmp_path / "peer.toml").write_text(NEW, encoding="utf-8")
    return tmp_path / "peer.toml"


def test_each_difference_is_a_line_that_says_how_it_comes_about(file: Path) -> None:
    code, out, err = run_here("check", file, "--diff", file.with_name("old.toml"))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "tracker: nothing → as by default (needs a restart)",
        "node.listen: :1 → :2 (needs a restart)",
        "limits.upload: unlimited → 1MiB (at once)",
        f"share {file.parent}: removed",
        f"{file}: good",
    ]
    code, out, _ = run_here("check", file, "--diff", file)
    assert out.splitlines() == [f"{file}: nothing would change", f"{file}: good"]


def test_programs_get_the_differences_as_events(file: Path) -> None:
    code, out, _ = run_here("check", file, "--diff", file.with_name("old.toml"), "--json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [each["event"] for each in lines] == ["config_change"] * 4 + ["config_checked"]
    assert {key: lines[1][key] for key in ("key", "was", "will_be", "how")} == {
        "key": "node.listen",
        "was": ":1",
        "will_be": ":2",
        "how": "restart",
    }


def test_a_wrong_file_is_told_instead_of_differences(file: Path) -> None:
    old = file.with_name("old.toml")
    file.write_text("[nod]", encoding="utf-8")
    code, out, err = run_here("check", file, "--diff", old)
    assert code == 2
    assert "nod: unknown key" in err
    assert "→" not in out
    code, _, err = run_here("check", old, "--diff", file)
    assert code == 2
    assert f"{file}: nod: unknown key" in err
