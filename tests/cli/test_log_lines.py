"""Log lines: words of the program and its libraries, for people, programs and systemd."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings

import pytest

from command_line import CommandLine
from commands_at_work import LOCAL, url_of
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.journal import is_journal, marked
from trio_swarm.cli.output.log_lines import logging_to
from trio_swarm.cli.output.reporting import JsonReporter, Reporter
from trio_swarm.errors import StorageError
from trio_swarm.logs import ROOT, logger_of

OURS = logger_of("trio_swarm.service.waiting")
LIBRARY = logging.getLogger("httpx")


def say_everything() -> None:
    OURS.debug("asking again in %g s", 2)
    OURS.info("seeding ends")
    OURS.warning("cannot be looked at\nfor room\x1b[31m")
    LIBRARY.debug("a detail")
    LIBRARY.info("GET http://tracker/announce?passkey=secret")
    LIBRARY.warning("odd")


@pytest.mark.parametrize(
    ("options", "out"),
    [
        (OutputOptions(), ["seeding ends"]),
        (OutputOptions(verbose=True), ["asking again in 2 s", "seeding ends"]),
        (OutputOptions(quiet=True), []),
    ],
    ids=["", "verbose", "quiet"],
)
def test_people_get_one_line_each_from_the_level_they_chose(
    options: OutputOptions, out: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to(Reporter(options)):
        say_everything()
    said = capsys.readouterr()
    assert said.out.splitlines() == out
    assert said.err.splitlines() == [
        "trio-swarm: cannot be looked at\\nfor room\\x1b[31m",
        "trio-swarm: httpx: odd",
    ]


def test_programs_get_events(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(JsonReporter(OutputOptions(json=True))):
        say_everything()
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert {line["event"] for line in lines} == {"logged"}
    assert [(line["severity"], line["logger"]) for line in lines] == [
        ("info", OURS.name),
        ("warning", OURS.name),
        ("warning", "httpx"),
    ]
    assert said.err == ""


def test_a_message_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(Reporter(OutputOptions())):
        OURS.warning("x" * 1_000_000)
    assert len(capsys.readouterr().err) < 5_000


def test_only_a_bug_has_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def log(error: Exception) -> str:
        try:
            raise error
        except type(error):
            OURS.exception("did not work")
        return capsys.readouterr().err

    with logging_to(Reporter(OutputOptions())):
        explained = log(StorageError("no room", path="/a"))  # type: ignore[arg-type]
        bug = log(RuntimeError("a bug"))
    assert explained == "trio-swarm: did not work: /a: no room\n"
    assert "trio-swarm: did not work: a bug" in bug
    assert "Traceback" in bug


def test_warnings_of_python_are_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(action="always"), logging_to(Reporter(OutputOptions())):
        warnings.warn("a library is old", UserWarning, stacklevel=1)
    assert "trio-swarm: py.warnings: " in capsys.readouterr().err


def test_afterwards_logging_is_as_it_was() -> None:
    ours, every = logging.getLogger(ROOT), logging.getLogger()
    before = (ours.level, every.handlers[:], warnings.showwarning)
    with logging_to(Reporter(OutputOptions())):
        pass
    assert (ours.level, every.handlers, warnings.showwarning) == before


def test_an_embedding_program_hears_nothing_unless_it_wants_to() -> None:
    """Python's "Configuring Logging for a Library": a NullHandler, and nothing else."""
    code = (
        "import logging, sys\n"
        "from trio_swarm.logs import logger_of\n"
        "log = logger_of('trio_swarm.service.waiting')\n"
        "log.warning('not heard')\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        "log.warning('heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stderr, done.stdout.count("heard")) == ("", 1)


def test_what_the_journal_reads_has_priorities(line: CommandLine) -> None:
    """sd-daemon(3): `<4>` before a line; systemd.exec(5): `$JOURNAL_STREAM` names the stream."""
    with (line.folder / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        environment = line.environment | {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        for command in (("init", "tracker"), ("check", "no.toml")):
            subprocess.run(
                line.command(*command),
                cwd=line.folder,
                env=environment,
                stdout=journal,
                stderr=journal,
                check=False,
            )
        journal.seek(0)
        lines = journal.read().splitlines()
    assert [text[:21] for text in lines] == [
        "<6>wrote tracker.toml",
        "<3>trio-swarm: no.tom",
        "<6>no.toml: 1 problem",
    ]


def test_a_stream_that_the_journal_does_not_read_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert marked("a line", 4, sys.__stdout__ or sys.stdout) == "a line"
    assert not is_journal(io.StringIO())


def test_a_daemon_tells_which_signal_ends_it(line: CommandLine) -> None:
    with line.start("tracker", *LOCAL) as program:
        url_of(program)
        assert program.end(signal.SIGTERM) == (0, "")
    (logged,) = program.events("logged")
    assert logged["severity"] == "info"
    assert logged["message"].startswith("stopping on SIGTERM")
