"""Flags, help, exit codes and messages: what is said before anything runs."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import CommandLine, read_event, run_here
from trio_swarm import __version__
from trio_swarm.cli.command_table import COMMANDS
from trio_swarm.cli.failures import explain_failure
from trio_swarm.cli.options import trackers_given, trackers_or_default
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.errors import ConfigError, LocalProtocolError, TrackerUnreachableError
from trio_swarm.service.trackers import trackers_for
from trio_swarm.settings import DEFAULT_TRACKER


def test_the_version_is_told_without_importing_anything_slow() -> None:
    script = (
        "import sys; sys.argv = ['trio-swarm', 'get', '--version']\n"
        "from trio_swarm.cli import main\n"
        "code = main()\n"
        "slow = {'trio', 'rich', 'httpx', 'cyclopts', 'msgspec', 'pluggy'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"trio-swarm {__version__}\n", "")


def test_version_after_two_dashes_is_a_name(line: CommandLine) -> None:
    done = line.run("ls", "--tracker", "udp://127.0.0.1:1", "--", "--version")
    assert done.returncode == 1
    assert __version__ not in done.stdout


def test_the_help_names_every_command_with_its_summary() -> None:
    code, out, _ = run_here("--help")
    assert code == 0
    text = " ".join(re.sub(r"[│\s]+", " ", out).split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.summary}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_with_examples_and_the_output_flags(name: str) -> None:
    code, out, _ = run_here(name, "--help")
    assert code == 0
    text = " ".join(re.sub(r"[│\s]+", " ", out).split())
    assert f"Usage: trio-swarm {name}" in text
    assert COMMANDS[name].summary in text
    assert "Examples:" in text
    for flag in ("--json", "--quiet", "--verbose"):
        assert flag in text
    assert COMMANDS[name].examples[0] in text


def test_without_a_command_the_help_is_shown() -> None:
    assert run_here() == run_here("--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed_and_knows_the_commands(line: CommandLine, shell: str) -> None:
    done = line.run("--install-completion", "--shell", shell, "--output", line.folder / "script")
    assert done.returncode == 0, done.stderr
    script = (line.folder / "script").read_text()
    assert all(name in script for name in COMMANDS)
    assert "--seed-ratio" in script


def test_completion_for_a_shell_that_nothing_tells_asks_for_its_name(line: CommandLine) -> None:
    for variable in ("SHELL", "BASH_VERSION", "ZSH_VERSION", "FISH_VERSION"):
        line.environment.pop(variable, None)
    done = line.run("--install-completion")  # the parent is Python, which is no shell
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("trio-swarm: --install-completion: ")
    assert done.stderr.count("\n") == 1
    assert "--shell" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "Unknown command"),
        (["gte"], 'Did you mean "get"'),
        (["get"], "WHAT"),
        (["get", "a", "--trackr", "udp://a:1"], "Did you mean --tracker"),
        (["get", "a", "--tracker", "ftp://a"], "--tracker: not a udp://"),
        (["get", "a", "-t", "10.0.0.5:6969"], "did you mean udp://10.0.0.5:6969?"),
        (["get", "a", "--peer", "a"], "--peer: expected HOST:PORT"),
        (["get", "a", "--listen", "a"], "--listen: expected HOST:PORT, :PORT or PORT"),
        (["get", "a", "--info-hash", "a"], "--info-hash: expected an info-hash"),
        (["get", "a", "--upload-limit", "5Q"], "--upload-limit: expected a rate such as 10MiB"),
        (["get", "a", "--download-limit", "-1"], "--download-limit: expected a rate"),
        (["get", "a", "--max-connections", "0"], "--max-connections: must be more than 0"),
        (["get", "a", "--seed-for", "0"], "--seed-for: must be more than 0"),
        (["get", "a", "--seed-ratio", "nan"], "--seed-ratio: must be more than 0"),
        (["get", "a", "--no-seed", "--seed-for", "3"], "--no-seed cannot go with"),
        (["get", "a", "--scheduler", "rarest"], "no scheduler 'rarest'"),
        (["get", "a", "--option", "colour"], "--option: expected KEY=VALUE"),
        (["get", "a", "--option", "colour=red"], "has no option 'colour'"),
        (
            ["get", "a", "-s", "round-robin", "--option", "chunk_kib=many"],
            "'chunk_kib' must be int",
        ),
        (["get", "a", "--uploader", "none"], "no uploader 'none'"),
        (["get", "a", "--choker", "none"], "no choker 'none'"),
        (["get", "a", "--plugin", "no-such.py"], "no-such.py"),
        (["seed", "a", "b", "--name", "c"], "need exactly one PATH"),
        (["seed", "a", "b", "--torrent-out", "c"], "need exactly one PATH"),
        (["tracker", "--interval", "0.1"], "--interval: must be 1 to 3600 seconds"),
        (["tracker", "--interval", "30", "--lease", "20"], "--lease: must be at least"),
        (["tracker", "--interval", "100", "--lease", "100"], "more than --interval (100 s)"),
        (["tracker", "--interval", "often"], "--interval"),
        (["tracker", "--deny", "no-such.txt"], "--deny: no-such.txt cannot be read: No such file"),
        (["tracker", "--register", "10.0.0.1/8"], "--register: expected an IP address or network"),
        (["tracker", "--listen", ":70000"], "--listen: expected"),
        (["create", ".", "--web-seed", "gopher://x"], "--web-seed: expected the http, https or"),
        (["create", "a", "--piece-length", "17"], "--piece-length: expected a power of two"),
        (["init", "boss"], "boss"),
        (["init"], "trio-swarm init tracker, seeder or leecher"),
        (["run", "no-such.toml"], "no-such.toml: cannot be read: No such file"),
        (["demo", "--size", "0"], "--size: must be more than 0"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    code, out, err = run_here(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("trio-swarm: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "no-such.torrent"], "no-such.torrent: No such file or directory"),
        (["show", "magnet:?xt=urn:btih:zz"], "not an info-hash"),
        (["ls", "--tracker", "udp://127.0.0.1:1"], "udp://127.0.0.1:1: Connection refused"),
        (["seed", "no-such-file"], "no-such-file: does not exist"),
        (["create", "no-such-file"], "no-such-file"),
        (["demo", "no-such-file"], "no-such-file: cannot be read"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code, _out, err = run_here(*arguments, "--quiet")
    assert code == 1
    assert err.startswith("trio-swarm: ")
    assert err.count("\n") == 1
    assert message in err


def test_with_json_a_failure_is_also_an_event() -> None:
    code, out, err = run_here("show", "no-such.torrent", "--json")
    assert read_event(out) == {
        "event": "error",
        "message": "no-such.torrent: No such file or directory",
        "exit_code": 1,
    }
    assert err == "trio-swarm: no-such.torrent: No such file or directory\n"
    assert code == 1
    code, out, _ = run_here("--json", "get", "a", "--listen", "b")
    assert code == 2
    assert json.loads(out)["event"] == "error"


def test_output_flags_may_come_before_the_command() -> None:
    before, after = run_here("--json", "schedulers")[1], run_here("schedulers", "--json")[1]
    assert list(map(read_event, before.splitlines())) == list(map(read_event, after.splitlines()))
    assert run_here("-q", "--json") == run_here()


def failure(error: BaseException) -> tuple[int | None, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        return explain_failure(error, as_json=False), err.getvalue()


def test_groups_of_known_errors_are_explained_once_each() -> None:
    one = TrackerUnreachableError("silent", tracker="udp://a:1")
    group = ExceptionGroup("", [one, ExceptionGroup("", [one, ConfigError("wrong")])])
    assert failure(group) == (1, "trio-swarm: udp://a:1: silent\ntrio-swarm: wrong\n")
    one.add_note("look there")
    assert failure(one) == (1, "trio-swarm: udp://a:1: silent\ntrio-swarm: look there\n")
    problems = ConfigProblems([ConfigError("one"), ConfigError("two")])
    assert failure(problems) == (2, "trio-swarm: one\ntrio-swarm: two\n")


def test_a_bug_is_not_explained_even_among_known_errors() -> None:
    known = ConfigError("wrong")
    assert failure(ValueError("bug"))[0] is None
    assert failure(ExceptionGroup("", [known, ValueError("bug")]))[0] is None
    assert failure(LocalProtocolError("bug"))[0] is None


def test_a_bug_shows_its_traceback_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "show", COMMANDS["show"]._replace(place="no_such_module:show"))
    code, _out, err = run_here("show", "x")
    assert code == 1
    assert "Traceback" in err
    assert "no_such_module" in err


def test_messages_cannot_steer_the_terminal(tmp_path: Path) -> None:
    code, _out, err = run_here("show", f"{tmp_path}/\x1b[2J.torrent")
    assert code == 1
    assert "\x1b" not in err
    assert "\\x1b[2J" in err


def test_output_that_nobody_reads_ends_the_command_quietly(line: CommandLine) -> None:
    done = subprocess.run(
        f"{' '.join(line.command('schedulers'))} | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env=line.environment,
        cwd=line.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "1"}


def test_a_full_disk_under_the_output_is_one_line(line: CommandLine) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            line.command("schedulers"),
            stdout=full,
            stderr=subprocess.PIPE,
            env=line.environment,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "trio-swarm: output cannot be written: No space left on device\n"


def test_the_tracker_comes_from_flags_then_the_environment_then_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIO_SWARM_TRACKER", "udp://a:1, http://b/announce")
    assert trackers_given(["udp://c:3"]) == ("udp://c:3",)
    assert trackers_given([]) == ("udp://a:1", "http://b/announce")
    monkeypatch.setenv("TRIO_SWARM_TRACKER", "nonsense")
    with pytest.raises(ConfigError, match="TRIO_SWARM_TRACKER: not a udp://"):
        trackers_given([])
    monkeypatch.delenv("TRIO_SWARM_TRACKER")
    assert trackers_given([]) == ()
    assert trackers_or_default([]) == (DEFAULT_TRACKER,)


def test_the_tracker_of_this_machine_is_asked_only_when_nothing_else_is_known(
    tmp_path: Path,
) -> None:
    a_hash = "ab" * 20
    assert trackers_for("name", (), has_peers=False) == (DEFAULT_TRACKER,)
    assert trackers_for("name", (), has_peers=True) == (DEFAULT_TRACKER,)
    assert trackers_for(a_hash, (), has_peers=False) == (DEFAULT_TRACKER,)
    assert trackers_for(a_hash, (), has_peers=True) == ()
    magnet = f"magnet:?xt=urn:btih:{a_hash}"
    assert trackers_for(magnet, (), has_peers=False) == (DEFAULT_TRACKER,)
    assert trackers_for(f"{magnet}&tr=udp://a:1", (), has_peers=False) == ()
    assert trackers_for(f"{magnet}&x.pe=1.2.3.4:5", (), has_peers=False) == ()
    assert trackers_for(f"{magnet}&tr=udp://a:1", ("udp://b:2",), has_peers=False) == ("udp://b:2",)
    data = tmp_path / "data"
    data.write_bytes(b"x")
    for url, expected in (([], (DEFAULT_TRACKER,)), (["--tracker", "udp://a:1"], ())):
        file = tmp_path / f"{len(url)}.torrent"
        state = ["--state-dir", tmp_path / "state"]
        assert run_here("create", data, "-o", file, *url, *state)[0] == 0
        assert trackers_for(str(file), (), has_peers=False) == expected


def test_names_that_this_terminal_cannot_show_are_escaped(line: CommandLine) -> None:
    folder = line.folder / "ñ"
    folder.mkdir()
    (folder / "日本.txt").write_text("x")
    assert line.run("create", "ñ", "-o", "n.torrent").returncode == 0
    done = line.run_fresh("show", "n.torrent", environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\\u65e5\\u672c.txt" in done.stdout


def test_no_test_uses_the_tracker_of_the_person_who_runs_it(line: CommandLine) -> None:
    assert "TRIO_SWARM_TRACKER" not in line.environment
    assert os.environ.get("HOME") != line.environment["HOME"]


@pytest.mark.parametrize("role", ["tracker", "seeder", "leecher"])
def test_init_writes_a_file_without_problems_and_never_overwrites_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_here("init", role)[0] == 0
    file = tmp_path / f"{role}.toml"
    if role != "tracker":
        for command in ("check", "run"):
            code, _, err = run_here(command, file.name)
            assert (code, err.count("\n")) == (2, 1)
            assert "is as `trio-swarm init` wrote it: put your own here" in err
        text = file.read_text().replace('"PATH"', f'"{file.name}"')
        file.write_text(text.replace('"NAME"', '"film.mkv"'))
    assert run_here("check", f"{role}.toml") == (0, f"{role}.toml: good\n", "")
    file.write_text("mine")
    message = f"trio-swarm: {role}.toml: exists already and is not overwritten\n"
    assert run_here("init", role, "--quiet") == (1, "", message)
    assert file.read_text() == "mine"
    _, out, _ = run_here("init", role, "-o", "other.toml", "--json")
    assert read_event(out) == {"event": "written", "file": "other.toml"}


@pytest.mark.parametrize("name", COMMANDS)
def test_o_is_where_to_write_on_every_command_that_has_it(name: str) -> None:
    """As in cc, sort and curl."""
    _, page, _ = run_here(name, "--help")
    flags = re.findall(r"│ \*? *((?:--?[a-z-]+ )+)", page)
    with_o = [each.split()[0] for each in flags if "-o" in each.split()]
    assert set(with_o) <= {"--out", "--dir", "--torrent-out"}, with_o
    assert with_o or name not in {"create", "init", "plot", "seed", "get"}
