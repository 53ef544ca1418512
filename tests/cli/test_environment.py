"""What a process may find around it: no home, odd files and paths, a terminal of no width.

Each is one clear line, or just works; none is a traceback (issue 12, C12).
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command_line import PATIENCE, CommandLine
from trio_swarm.config.reading import find_problems, read_config
from trio_swarm.settings import default_state_folder

NOBODY = 61_234
"""A user id that no entry of the password file has."""


@pytest.fixture(scope="module")
def python_for_nobody() -> str:
    """A Python of this version that another user can run with our packages."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            done = subprocess.run(
                [python, "-c", "import trio_swarm, msgspec, trio"],
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                user=NOBODY,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if done.returncode == 0:
            return python
    pytest.skip("cannot be another user, or that one can run no Python")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may use, with a file in it."""
    folder = Path("/tmp", f"trio-swarm-test-{os.getpid()}")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    (folder / "film.mkv").write_bytes(b"x" * 50_000)
    yield folder
    shutil.rmtree(folder)


RunAsNobody = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_as_nobody(line: CommandLine, open_folder: Path, python_for_nobody: str) -> RunAsNobody:
    """What runs a command as a user without a home folder and without variables that name one."""
    unset = {"HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in line.environment.items() if name not in unset}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    return lambda *arguments: subprocess.run(
        [python_for_nobody, "-m", "trio_swarm", *map(str, arguments)],
        cwd=open_folder,
        env=environment,
        user=NOBODY,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_user_without_a_home_creates_a_torrent_that_nothing_is_remembered_of(
    open_folder: Path, run_as_nobody: RunAsNobody
) -> None:
    done = run_as_nobody("create", "film.mkv")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "no home folder: what was verified is not remembered" in done.stderr
    assert "--state-dir" in done.stderr
    assert {each.name for each in open_folder.iterdir()} == {"film.mkv", "film.mkv.torrent"}


def test_a_user_without_a_home_fetches_what_is_there_and_is_told_once(
    open_folder: Path, run_as_nobody: RunAsNobody
) -> None:
    run_as_nobody("create", "film.mkv")
    done = run_as_nobody("get", "film.mkv.torrent", "--no-seed", "--timeout", "60")
    assert done.returncode == 0
    assert done.stderr.count("no home folder") == 1
    assert not (open_folder / "~").exists()


def test_a_user_without_a_home_can_name_a_state_folder(
    open_folder: Path, run_as_nobody: RunAsNobody
) -> None:
    done = run_as_nobody("create", "film.mkv", "--state-dir", "state")
    assert (done.returncode, done.stderr) == (0, "")
    assert (open_folder / "state" / "hashes").is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--install-completion", "--shell", "bash"),
        ("create", "~/film.mkv", "--state-dir", "~/state"),
        ("get", "film.mkv", "--dir", "~/films"),
        ("schedulers", "--plugin", "~/mine.py"),
        ("check", "peer.toml"),
    ],
)
def test_a_path_in_a_home_that_is_not_there_is_one_line(
    open_folder: Path, run_as_nobody: RunAsNobody, arguments: tuple[str, ...]
) -> None:
    (open_folder / "peer.toml").write_text('[[share]]\npath = "~/film.mkv"\n')
    done = run_as_nobody(*arguments)
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("trio-swarm: ")


def test_files_in_folders_closed_to_this_user_are_one_line_each(
    open_folder: Path, run_as_nobody: RunAsNobody
) -> None:
    (open_folder / "closed").mkdir(mode=0o700)
    commands = [
        ("seed", "closed/film.mkv", "--state-dir", "state"),
        ("create", "closed/film.mkv", "--state-dir", "state"),
        ("get", "closed/film.torrent", "--state-dir", "state"),
        ("get", "film.mkv", "--state-dir", "closed/state"),
        ("get", "film.mkv", "--record", "closed/film.rec", "--state-dir", "state"),
        ("show", "closed/film.torrent"),
        ("check", "closed/peer.toml"),
        ("check", "peer.toml"),
        ("schedulers", "--plugin", "closed/mine.py"),
        ("schedulers", "--plugin", "closed"),
    ]
    (open_folder / "peer.toml").write_text('[[share]]\npath = "closed/film.mkv"\n')
    for command in commands:
        done = run_as_nobody(*command)
        assert done.returncode in {1, 2}, command
        assert done.stderr.count("\n") == 1, (command, done.stderr)
        assert "ermission denied" in done.stderr, command


def test_a_relative_state_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG Base Directory Specification, "Basics": relative paths are invalid and to be ignored."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    assert default_state_folder() == tmp_path / ".local/state/trio-swarm"


TRACKER = "[tracker]\n# ñ\n"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_toml_may_begin_with_the_byte_order_mark_of_utf_8(tmp_path: Path, mark: bytes) -> None:
    """Editors on Windows write one; TOML 1.1 says to ignore it."""
    file = tmp_path / "peer.toml"
    file.write_bytes(mark + TRACKER.encode())
    assert read_config(file).tracker is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRACKER.encode("latin-1"), "line 2 is not UTF-8 text: save it as UTF-8"),
        (TRACKER.encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        (TRACKER.encode("utf-16-be"), "line 2 is not UTF-8 text"),
        (b"\x00", "is not valid TOML"),
    ],
)
def test_toml_in_another_encoding_is_one_problem(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "peer.toml"
    file.write_bytes(content)
    (problem,) = find_problems(file)
    assert message in str(problem)


@pytest.mark.parametrize(
    "command", ["check", "run", "show", "simulate", "explain", "replay", "plot --out p.svg"]
)
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(line: CommandLine, command: str) -> None:
    os.mkfifo(line.folder / "pipe")
    done = line.run(
        *command.split(), "./pipe"
    )  # by its path: `explain` takes names of torrents too
    assert done.returncode in {1, 2}
    assert "pipe without a writer" in done.stderr


def test_a_configuration_may_come_through_a_pipe(line: CommandLine) -> None:
    pipe = line.folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(TRACKER,))
    writer.start()
    script = f"{' '.join(line.command('check'))} <(sleep 0.1; echo '[tracker]')"
    done = subprocess.run(
        ["bash", "-c", script], cwd=line.folder, env=line.environment, check=False
    )
    assert done.returncode == 0
    assert read_config(pipe).tracker is not None
    writer.join()


@pytest.mark.parametrize("columns", ["0", "1", "-5", "many", "99999999"])
def test_help_is_readable_whatever_columns_says(line: CommandLine, columns: str) -> None:
    done = line.run("get", "--help", environment={"COLUMNS": columns})
    assert (done.returncode, done.stderr) == (0, "")
    assert 40 <= max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "film.mkv"),
        ("seed", "film.mkv"),
        ("get", "film.mkv", "--tracker", "udp://127.0.0.1:1"),
        ("init", "seeder"),
        ("check", "peer.toml"),
        ("show", "film.torrent"),
        ("schedulers", "--plugin", "mine.py"),
    ],
)
def test_a_working_folder_that_was_removed_is_one_line(
    line: CommandLine, arguments: tuple[str, ...]
) -> None:
    gone = line.folder / "gone"
    gone.mkdir()
    opened = os.open(gone, os.O_PATH)
    gone.rmdir()
    line.folder = Path(f"/proc/{os.getpid()}/fd/{opened}")
    done = line.run(*arguments)
    os.close(opened)
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_program_starts_where_the_working_folder_was_removed(line: CommandLine) -> None:
    gone = line.folder / "gone"
    gone.mkdir()
    main = "import sys; from trio_swarm.cli import main; sys.exit(main())"
    script = 'cd "$0" && rmdir "$0" && exec "$@"'
    command = ["bash", "-c", script, gone, sys.executable, "-c", main, "show", "film.torrent"]
    done = subprocess.run(
        command, env=line.environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("seed", "film.mkv"), ("create", "film.mkv"), ("get", "ab" * 20)]
)
def test_a_state_folder_that_is_a_file_is_wrong_usage(
    line: CommandLine, arguments: tuple[str, ...]
) -> None:
    (line.folder / "film.mkv").write_text("x")
    done = line.run(*arguments, "--state-dir", "film.mkv")
    assert (done.returncode, done.stderr) == (
        2,
        "trio-swarm: --state-dir: film.mkv is not a folder\n",
    )


def test_a_name_too_long_for_any_file_is_one_line(line: CommandLine) -> None:
    name = "x" * 5_000
    for command in (
        ("get", f"{name}.torrent", "--tracker", "udp://127.0.0.1:1"),
        ("show", f"{name}.torrent"),
        ("seed", name),
        ("check", name),
        ("schedulers", "--plugin", name),
        ("get", "a", "--state-dir", name, "--tracker", "udp://127.0.0.1:1"),
    ):
        done = line.run(*command)
        assert done.returncode in {1, 2}, command
        assert done.stderr.count("\n") == 1, command
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["", " ", ",", " , ,", "\t\n"])
def test_a_blank_list_of_trackers_is_none_at_all(line: CommandLine, value: str) -> None:
    done = line.run("ls", environment={"TRIO_SWARM_TRACKER": value})
    assert done.returncode == 1
    assert "udp://127.0.0.1:6969" in done.stderr


def test_a_name_that_is_no_utf_8_is_one_line(line: CommandLine) -> None:
    """Arguments are bytes; Python passes those that are no UTF-8 as lone surrogates (PEP 383)."""
    hash_link = b"magnet:?xt=urn:btih:" + b"ab" * 20
    (line.folder / "film.mkv").write_text("x")
    for command, code in (
        (("show", hash_link + b"&dn=\xff\xfe&tr=udp://h\xff:1&x.pe=\xff:1"), 0),
        (("show", b"\xff.torrent"), 1),
        (("create", "film.mkv", "-n", b"\xff"), 1),
        (("create", "film.mkv", "-o", b"\xff.torrent"), 0),
        (("create", "film.mkv", "-o", "b", "--comment", b"\xff"), 2),
        (("ls", b"\xff", "--tracker", "udp://127.0.0.1:1"), 1),
        (("ls", "--tracker", b"udp://127.0.0.1\xff:1"), 2),
        (("get", b"\xff", "--tracker", "udp://127.0.0.1:1"), 1),
        (("get", "a", "--option", b"\xff=3"), 2),
        (("tracker", "--listen", b"\xff:1"), 2),
        (("schedulers", "--plugin", b"\xff"), 2),
        (("init", b"\xff"), 2),
        ((b"\xff",), 2),
    ):
        done = line.run(*command)
        assert done.returncode == code, (command, done.stderr)
        assert done.stderr.count("\n") == bool(code), (command, done.stderr)
    shown = subprocess.run(
        [*line.command("show"), hash_link + b"&dn=\xff\xfe"], env=line.environment, check=False
    )
    assert shown.returncode == 0
