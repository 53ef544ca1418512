"""Standard streams that are closed, full, read by nobody, not blocking, or of another encoding.

What is right is what POSIX tools do: a closed or full stream is at most one line on stderr, a
reader that went is no line at all, and none of them is a traceback.
"""

import fcntl
import json
import os
import re
import subprocess

import pytest

from command_line import PATIENCE, CommandLine


def in_shell(
    line: CommandLine, arguments: str, redirection: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in bash with a redirection, and return how the command itself ended."""
    script = f"{' '.join(line.command())} {arguments} {redirection}; exit ${{PIPESTATUS[0]}}"
    return subprocess.run(
        ["bash", "-c", script],
        env=line.environment | environment,
        cwd=line.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def untimed(text: str) -> str:
    return re.sub(r'"time":[0-9.]+', "", text)


ANSWERS = ["--version", "--help", "get --help", "schedulers", "schedulers --json"]
FAILURES = ["show nope", "show nope --json", "frobnicate", "frobnicate --json"]
NO_ROOM = "trio-swarm: output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["--version", "schedulers", "show nope --json", "seed"])
def test_a_closed_stream_is_as_good_as_one_that_leads_nowhere(
    line: CommandLine, arguments: str, closed: str
) -> None:
    expected = line.run(*arguments.split())
    done = in_shell(line, arguments, closed)
    assert (done.returncode, untimed(done.stdout), done.stderr) == (
        expected.returncode,
        "" if " >&-" in f" {closed}" else untimed(expected.stdout),
        "" if "2>&-" in closed else expected.stderr,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", ANSWERS)
def test_output_to_a_full_disk_is_one_line(line: CommandLine, arguments: str) -> None:
    done = in_shell(line, arguments, ">/dev/full")
    assert (done.returncode, done.stderr) == (1, NO_ROOM)


@pytest.mark.parametrize("arguments", FAILURES)
def test_a_failure_is_told_on_stderr_though_stdout_is_full(
    line: CommandLine, arguments: str
) -> None:
    done = in_shell(line, arguments, ">/dev/full")
    assert done.returncode == (1 if "show" in arguments else 2)
    assert done.stderr.startswith("trio-swarm: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", FAILURES)
def test_the_exit_code_stays_though_stderr_is_full(line: CommandLine, arguments: str) -> None:
    assert in_shell(line, arguments, "2>/dev/full").returncode == (1 if "show" in arguments else 2)


@pytest.mark.parametrize("arguments", [*ANSWERS, "show nope --json"])
def test_a_reader_that_went_is_no_traceback(line: CommandLine, arguments: str) -> None:
    done = in_shell(line, arguments, "| true")
    assert done.returncode in {0, 1}
    assert done.stderr in {"", "trio-swarm: nope: No such file or directory\n"}


def test_a_pipe_that_does_not_block_gets_everything(line: CommandLine) -> None:
    """Whoever shares a terminal or pipe may set O_NONBLOCK on it, which holds for us as well."""
    (line.folder / "many").mkdir()
    for number in range(3_000):
        (line.folder / "many" / f"{number:04}{'x' * 90}").write_bytes(b"x")
    assert line.run("create", "many", "-o", "many.torrent").returncode == 0
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with subprocess.Popen(
        line.command("show", "many.torrent"),
        stdout=writing,
        stderr=subprocess.PIPE,
        env=line.environment,
        cwd=line.folder,
    ) as process:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            lines = pipe.read().splitlines()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 0
    assert sum("many/" in each for each in lines) == 3_000


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_names_are_utf_8_whatever_the_locale(line: CommandLine, locale: dict[str, str]) -> None:
    """BEP 3, "Strings": names in a torrent are UTF-8, as file names on Linux are."""
    folder = line.folder / "ñ"
    folder.mkdir()
    (folder / "日本.txt").write_text("x")
    done = in_shell(line, "create ñ -o ñ.torrent --json", "", **locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["share_name"] == "ñ"
    shown = in_shell(line, "show ñ.torrent --json", "", **locale)
    assert json.loads(shown.stdout)["files"] == [{"path": "ñ/日本.txt", "size": 1}]
    assert in_shell(line, "show ñ.torrent", "", **locale).returncode == 0
