"""How a command talks: JSON lines for programs, plain lines for logs, a live display for people.

`make_reporter` chooses. A reporter never raises into the node that calls it: when its output can no
longer be written it says so through `stop`, and `failure` holds why.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, Protocol, TextIO

from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output import json_lines
from trio_swarm.cli.output.event_lines import EventLines
from trio_swarm.cli.output.journal import DEBUG, INFO, WARNING, marked
from trio_swarm.cli.output.json_lines import Hashing, Logged, json_line
from trio_swarm.cli.output.progress_lines import aligned, progress_event, progress_line, shares_line
from trio_swarm.cli.output.streams import OutputError
from trio_swarm.cli.output.text import MESSAGE_LENGTH, percent_text, safe_text, size_text
from trio_swarm.events import Event
from trio_swarm.foreign_text import shown
from trio_swarm.progress import PeerProgress, Progress
from trio_swarm.protocol.trackers.url_secrets import without_tokens

UNIMPORTANT = {"debug": DEBUG, "info": INFO}
"""Levels of events and log lines that --quiet leaves out, and their priorities in the journal."""
JSON_SECONDS = 1.0
LINE_SECONDS = 10.0
MOST_SHARE_LINES = 5
"""Shares that get a line each; more of them get one together."""


class Followed(Protocol):
    """The part of a torrent that a reporter reads; `trio_swarm.Torrent` has it."""

    @property
    def info_hash(self) -> bytes:
        """The torrent's info-hash, 20 bytes."""
        ...

    @property
    def name(self) -> str:
        """The torrent's name; empty while it is unknown."""
        ...

    def progress(self) -> Progress:
        """Return the torrent's progress now."""
        ...

    def peers(self) -> Sequence[PeerProgress]:
        """Return the progress of each connected peer."""
        ...


class HashingProgress:
    """How far the hashing of one path is; called from the thread that hashes.

    `on_begin` is called with it at the first call.
    """

    __slots__ = ("_on_begin", "done", "path", "shown", "total")

    def __init__(
        self, path: Path, on_begin: Callable[["HashingProgress"], None] = lambda _hashing: None
    ) -> None:
        self.path = path
        self._on_begin = on_begin
        self.done = 0
        self.total = 0
        self.shown = -1

    def __call__(self, done: int, total: int) -> None:
        """Take note of `done` of `total` bytes."""
        is_new = not self.total
        self.done, self.total = done, total
        if is_new and total:
            self._on_begin(self)

    @property
    def is_running(self) -> bool:
        """Whether there is something left to hash."""
        return self.done < self.total


class Reporter:
    """Prints plain lines now and then; the base of the two others.

    Trio is imported only where something waits: `simulate` and others do not, and it takes a tenth
    of a second and six MiB.
    """

    is_live = False
    """Whether it redraws in place, as `LiveReporter` does."""

    def __init__(self, output: OutputOptions) -> None:
        self.quiet = output.quiet
        self.verbose = output.verbose
        self.failure: OutputError | None = None
        """Why output can no longer be written."""
        self.stop: Callable[[], None] | None = None
        """Called once when output can no longer be written; None: the error is raised instead."""
        self._hashing: list[HashingProgress] = []
        """What is hashed now: of thousands of shares that are known from earlier, none."""
        self._begin_hashing = self._hashing.append
        self._event_lines = EventLines(is_verbose=output.verbose)
        self._said: dict[bytes, str] = {}
        """The last line of each torrent's progress, by its info-hash."""

    def event(self, event: Event) -> None:
        """Tell of something that happened in the node."""
        for level, text in self._event_lines.of(event):
            if level == "warning":
                self.warn(text)
            elif not self.quiet:
                self._write(text, priority=UNIMPORTANT[level])

    def flush(self) -> None:
        """Write the lines that were put off, if there are any."""

    def say(self, text: str) -> None:
        """Tell a person something that only helps; programs and --quiet do not get it."""
        if not self.quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Tell a person something on stderr, even with --quiet."""
        self._write(f"trio-swarm: {text}", sys.stderr, priority=WARNING)

    def logged(self, severity: str, logger: str, text: str) -> None:
        """Tell a log line; `severity` is one of `logging`'s in lower case."""
        text = shown(text, MESSAGE_LENGTH)
        if logger.partition(".")[0] != "trio_swarm":
            text = f"{logger}: {text}"
        if severity not in UNIMPORTANT:
            self.warn(text)
        elif not self.quiet:
            self._write(text, priority=UNIMPORTANT[severity])

    def answer(self, event: Event, text: str) -> None:
        """Print an answer: `event` in JSON, or `text` (lines) for people."""
        del event
        self._write_lines(text.splitlines())

    def heading(self, text: str) -> None:
        """Print a line above answers, for people only."""
        self._write(text)

    def hashing(self, path: Path) -> HashingProgress:
        """Return a callable for (done, total) while `path` is hashed; `follow` shows it."""
        return HashingProgress(path, self._begin_hashing)

    async def follow(self, torrents: Callable[[], Sequence[Followed]]) -> NoReturn:
        """Show the progress of all torrents until cancelled."""
        import trio  # noqa: PLC0415 - see `Reporter`

        while True:
            await trio.sleep(LINE_SECONDS)
            self._show_progress(torrents())

    def _show_progress(self, torrents: Sequence[Followed]) -> None:
        for hashing in filter(lambda each: each.is_running, self._hashing_changed()):
            done = percent_text(hashing.done, hashing.total)
            self.say(f"{hashing.path}: hashed {done} of {size_text(hashing.total)}")
        every = [(torrent, torrent.progress()) for torrent in torrents]
        shares = [progress for _, progress in every if progress.state == "seeding"]
        if len(shares) > MOST_SHARE_LINES:
            every = [pair for pair in every if pair[1].state != "seeding"]
            line = shares_line(shares)
            if line and self._said.get(b"") != line:
                self.say(line)
            self._said[b""] = line
        names = aligned([torrent.name or torrent.info_hash.hex() for torrent, _ in every])
        for name, (torrent, progress) in zip(names, every, strict=True):
            line = progress_line(name, progress)
            if line and self._said.get(torrent.info_hash) != line:
                self.say(line)
            self._said[torrent.info_hash] = line

    def _hashing_changed(self) -> list[HashingProgress]:
        changed = [each for each in self._hashing if each.done != each.shown]
        for each in changed:
            each.shown = each.done
        # In place: a thread may begin another meanwhile.
        for each in changed:
            if not each.is_running:
                self._hashing.remove(each)
        return changed

    def _write(self, text: str, stream: TextIO | None = None, *, priority: int = INFO) -> None:
        stream = stream or sys.stdout
        self._write_raw(marked(safe_text(text), priority, stream), stream)

    def _write_lines(self, lines: Sequence[str]) -> None:
        """Write lines of INFO by one call: a torrent may have 100,000 files."""
        if lines:
            mark = marked("", INFO, sys.stdout)
            texts = [without_tokens(f"{mark}{safe_text(line)}") for line in lines]
            self._print("\n".join(texts), sys.stdout)

    def _write_raw(self, line: str, stream: TextIO) -> None:
        self._print(without_tokens(line), stream)

    def _print(self, text: str, stream: TextIO) -> None:
        if self.failure is not None:
            return
        try:
            print(text, file=stream, flush=True)
        except OutputError as error:
            self._fail(error)

    def _fail(self, error: OutputError) -> None:
        """Note that output is over; stop the command, or raise `error`."""
        self.failure = error
        if self.stop is None:
            raise error
        self.stop()


class JsonReporter(Reporter):
    """One JSON object a line on stdout, see `json_events`; warnings are events, too."""

    def __init__(self, output: OutputOptions) -> None:
        super().__init__(output)
        self._put_off: list[str] = []
        self._told: dict[str, json_lines.Progress] = {}
        """The last progress of each torrent, by its info-hash."""
        self._seen: dict[bytes, Progress] = {}
        """What each torrent said last itself."""

    def event(self, event: Event) -> None:
        """Print the event; with --quiet only warnings."""
        if not self.quiet or event.level == "warning":
            self._put_off.append(json_line(event))
            if event.level != "debug" or not _is_in_trio():
                self.flush()
            elif len(self._put_off) == 1:
                # Many come at once, of pieces above all: a write each took a fifth of the time of
                # the event loop.
                import trio  # noqa: PLC0415 - see `Reporter`

                trio.lowlevel.current_trio_token().run_sync_soon(self.flush)

    def flush(self) -> None:
        """Write the lines that were put off to the next turn of the event loop."""
        if self._put_off:
            lines = "\n".join(self._put_off)
            self._put_off.clear()
            self._write_raw(lines, sys.stdout)

    def say(self, text: str) -> None:
        """Say nothing: this is for people."""

    def warn(self, text: str) -> None:
        """Print the warning on stderr, where it is out of the way."""
        self._write(f"trio-swarm: {text}", sys.stderr, priority=WARNING)

    def logged(self, severity: str, logger: str, text: str) -> None:
        """Print a `logged` event; with --quiet only warnings."""
        if not self.quiet or severity not in UNIMPORTANT:
            text = shown(text, MESSAGE_LENGTH)
            self._put_off.append(json_line(Logged(severity=severity, logger=logger, message=text)))
            self.flush()

    def heading(self, text: str) -> None:
        """Print nothing: this is for people."""

    def answer(self, event: Event, text: str) -> None:
        """Print the event, which is the command's answer."""
        del text
        self._put_off.append(json_line(event))
        self.flush()

    async def follow(self, torrents: Callable[[], Sequence[Followed]]) -> NoReturn:
        """Print a `progress` event a second and torrent that changed; a last one when cancelled."""
        import trio  # noqa: PLC0415 - see `Reporter`

        try:
            while True:
                await trio.sleep(JSON_SECONDS)
                self._show_progress(torrents())
        finally:
            self._told.clear()
            self._seen.clear()
            self._show_progress(torrents())

    def _show_progress(self, torrents: Sequence[Followed]) -> None:
        if self.quiet:
            return
        for hashing in self._hashing_changed():
            self.event(Hashing(path=str(hashing.path), done=hashing.done, total=hashing.total))
        for torrent in torrents:
            progress, peers = torrent.progress(), torrent.peers()
            # Of thousands that rest, each has the same object as before.
            if self._seen.get(torrent.info_hash) is progress and not peers:
                continue
            self._seen[torrent.info_hash] = progress
            event = progress_event(torrent.info_hash, torrent.name, progress, peers)
            if self._told.get(event.info_hash) != event:
                self._told[event.info_hash] = event
                self.event(event)


def _is_in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def make_reporter(output: OutputOptions) -> Reporter:
    """Return the reporter that suits the flags and where stdout goes."""
    if output.json:
        return JsonReporter(output)
    if sys.stdout.isatty() and not output.quiet and os.environ.get("TERM") != "dumb":
        from trio_swarm.cli.output.live import LiveReporter  # noqa: PLC0415 - rich only where it is seen

        return LiveReporter(output)
    return Reporter(output)
