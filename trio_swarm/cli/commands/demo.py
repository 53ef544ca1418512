"""`trio-swarm demo`: the main job in one go, in a scratch folder and over real loopback sockets."""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

import trio_swarm
from trio_swarm import events
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import Flag, OutputOptions, expanded, flagged
from trio_swarm.cli.output.json_events import DemoResult
from trio_swarm.cli.output.reporting import JsonReporter, Reporter, make_reporter
from trio_swarm.cli.output.text import columns, duration_text, rate_text, size_text
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.values import parse_size
from trio_swarm.engine.token_bucket import BURST_SECONDS
from trio_swarm.errors import ConfigError, StorageError, TrioSwarmError
from trio_swarm.peer.saying import OWN_MAX_BLOCK
from trio_swarm.tracker.server import TrackerHandle

MIB = 1024 * 1024
SEEDER_RATES = (60 * MIB, 20 * MIB, 10 * MIB, 5 * MIB)
"""Bytes/s each seeder may send: unequal, and in sum well within the power of two cores."""
SCHEDULERS = ("round-robin", "rarest-first", "bandwidth-weighted")
HEARTBEAT = 60.0
"""Seconds: longer than a fetch, so that seeders are found and do not come by themselves; then every
source has the address it listens at, by which the table knows it."""
REGISTRATION = 10.0
"""Seconds a seeder may take to be known to the tracker."""
_CHUNK = 4 * MIB


async def demo(
    file: Path | None = None,
    /,
    *,
    size: str = "256MiB",
    keep: Flag = False,
    output: OutputOptions | None = None,
) -> int:
    """Show everything at work on this machine, and compare the schedulers.

    Starts a tracker and four seeders of unequal speed, fetches a file from them by name once with
    each scheduler, compares the bytes, and prints how they differ. All of it happens in a scratch
    folder that is removed at the end.

    Parameters
    ----------
    file
        A file of yours to use instead of a made one; it is only read.
    size
        How large a file to make.
    keep
        Leave the scratch folder with the last fetched file for a look.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    length = flagged("--size", parse_size, size)
    if length < 1:
        raise ConfigError("--size: must be more than 0")
    source = expanded(file)
    return await run_until_interrupted(
        lambda: _in_scratch_folder(source, length, reporter, keep=keep),
        reporter,
        interrupted=lambda: FAILED,
    )


async def _in_scratch_folder(
    source: Path | None, length: int, reporter: Reporter, *, keep: bool
) -> int:
    scratch = Path(tempfile.mkdtemp(prefix="trio-swarm-demo-"))
    try:
        if source is None:
            source = scratch / f"demo-{size_text(length).replace(' ', '')}.bin"
            reporter.say(f"making {size_text(length)} of random bytes in {scratch}")
            await trio.to_thread.run_sync(make_file, source, length)
        return await _Demo(source, scratch, reporter).run()
    finally:
        if keep:
            reporter.say(f"kept {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def make_file(file: Path, length: int) -> None:
    """Write `length` random bytes, which nothing can compress or guess. Blocking."""
    try:
        with file.open("wb") as stream:
            for start in range(0, length, _CHUNK):
                stream.write(os.urandom(min(_CHUNK, length - start)))
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", path=file) from error


@dataclass(frozen=True)
class Fetched:
    """The result of one fetch; `given` is bytes by seeder, in their order."""

    scheduler: str
    seconds: float
    given: tuple[int, ...]
    duplicate: int
    is_identical: bool


@dataclass
class _Demo:
    source: Path
    scratch: Path
    reporter: Reporter

    async def run(self) -> int:
        size = await trio.to_thread.run_sync(_size_of, self.source)
        results = []
        async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
            tracker = await self._start_tracker(nursery)
            ports = await self._start_seeders(stack, tracker)
            for scheduler in SCHEDULERS:
                result = await self._fetch(scheduler, tracker, ports)
                self._tell(result, size)
                results.append(result)
            nursery.cancel_scope.cancel()
        if not isinstance(self.reporter, JsonReporter):
            self.reporter.heading("")
            for line in table(results, size):
                self.reporter.heading(line)
        return 0 if all(result.is_identical for result in results) else FAILED

    async def _start_tracker(self, nursery: trio.Nursery) -> str:
        settings = trio_swarm.TrackerSettings(
            host="127.0.0.1", port=0, interval=HEARTBEAT, lease=3 * HEARTBEAT
        )

        async def serve(*, task_status: trio.TaskStatus[TrackerHandle]) -> None:
            await trio_swarm.serve_tracker(settings, task_status=task_status)

        handle = await nursery.start(serve)
        return f"udp://127.0.0.1:{handle.port}"

    async def _start_seeders(self, stack: AsyncExitStack, tracker: str) -> list[int]:
        """Open the seeders' nodes, share the file from each, and return their ports."""
        speeds = ", ".join(rate_text(rate) for rate in SEEDER_RATES)
        self.reporter.say(f"tracker at {tracker}; seeders of {self.source.name} at {speeds}")
        ports = []
        for number, rate in enumerate(SEEDER_RATES):
            registered = trio.Event()

            def on_event(event: events.Event, registered: trio.Event = registered) -> None:
                self._on_event(event)
                if isinstance(event, events.Announced):
                    registered.set()

            node = await stack.enter_async_context(
                trio_swarm.open_node(
                    trio_swarm.NodeSettings(
                        listen_host="127.0.0.1",
                        trackers=(tracker,),
                        state_folder=self.scratch / f"seeder-{number}",
                        upload_rate=rate,
                        on_event=on_event,
                    )
                )
            )
            await node.share(self.source)
            ports.append(node.port)
            # The comparison is one of schedulers, not of who was found first.
            with trio.move_on_after(REGISTRATION):
                await registered.wait()
            if not registered.is_set():
                raise TrioSwarmError("a seeder could not register with the demo's tracker")
        return ports

    async def _fetch(self, scheduler: str, tracker: str, ports: Sequence[int]) -> Fetched:
        """Fetch by name with a node of its own that knows the tracker and nothing else."""
        folder = self.scratch / "fetched"
        await trio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))
        await trio.to_thread.run_sync(folder.mkdir)
        completed: list[events.Completed] = []

        def on_event(event: events.Event) -> None:
            if isinstance(event, events.Completed):
                completed.append(event)
            else:
                self._on_event(event)

        settings = trio_swarm.NodeSettings(
            listen_host="127.0.0.1",
            trackers=(tracker,),
            state_folder=self.scratch / f"leecher-{scheduler}",
            scheduler=scheduler,
            on_event=on_event,
        )
        self.reporter.say(f"fetching {self.source.name} with {scheduler}")
        async with trio_swarm.open_node(settings) as node, trio.open_nursery() as nursery:
            nursery.start_soon(self.reporter.follow, lambda: node.torrents)
            started = trio.current_time()
            torrent = await node.fetch(self.source.name, folder=folder)
            path = await torrent.wait_complete()
            seconds = trio.current_time() - started
            nursery.cancel_scope.cancel()
        (event,) = completed
        same = await trio.to_thread.run_sync(_is_same, self.source, path)
        return Fetched(
            scheduler=scheduler,
            seconds=seconds,
            given=tuple(event.sources.get(f"127.0.0.1:{port}", 0) for port in ports),
            duplicate=event.duplicate,
            is_identical=same,
        )

    def _on_event(self, event: events.Event) -> None:
        # Six nodes would talk at once; what goes wrong is of interest all the same.
        if event.level == "warning":
            self.reporter.event(event)

    def _tell(self, result: Fetched, size: int) -> None:
        total = sum(result.given) or 1
        names = [f"seeder at {rate_text(rate)}" for rate in SEEDER_RATES]
        event = DemoResult(
            scheduler=result.scheduler,
            seconds=result.seconds,
            ideal_seconds=ideal_seconds(size),
            rate=size / result.seconds,
            shares={name: part / total for name, part in zip(names, result.given, strict=True)},
            duplicate=result.duplicate,
            identical=result.is_identical,
        )
        verdict = "the bytes are identical" if result.is_identical else "THE BYTES DIFFER"
        self.reporter.answer(
            event,
            f"{result.scheduler}: {duration_text(result.seconds)} "
            f"({rate_text(size / result.seconds)}), {verdict}",
        )


def ideal_seconds(size: int) -> float:
    """Return the least time in which the seeders can send so many bytes: none can be faster.

    After a pause a limit lets through `BURST_SECONDS` of its rate at once, and a block is paid for
    after it was sent: so much comes besides what the rates alone would bring.
    """
    return max(0.0, (size - sum(_given_at(0.0))) / sum(SEEDER_RATES))


def _given_at(seconds: float) -> list[float]:
    """Return the most bytes that each seeder can have sent by then."""
    return [rate * (seconds + BURST_SECONDS) + OWN_MAX_BLOCK for rate in SEEDER_RATES]


def table(results: Sequence[Fetched], size: int) -> list[str]:
    """Return the comparison as lines: one per scheduler, and the ideal."""
    names = [f"{rate / MIB:g} MiB/s" for rate in SEEDER_RATES]
    rows = [("SCHEDULER", "TIME", "MiB/s", *names, "DUPLICATE")]
    for result in results:
        total = sum(result.given) or 1
        rows.append(
            (
                result.scheduler,
                f"{result.seconds:.2f} s",
                f"{size / MIB / result.seconds:.1f}",
                *(f"{100 * part / total:.1f} %" for part in result.given),
                size_text(result.duplicate),
            )
        )
    seconds = ideal_seconds(size)
    given = _given_at(seconds)
    shares = (f"{100 * part / sum(given):.1f} %" for part in given)
    rate = f"{size / MIB / seconds:.1f}" if seconds else ""
    rows.append(("ideal", f"{seconds:.2f} s", rate, *shares, size_text(0)))
    return [
        *columns(rows, left=frozenset({0})),
        "",
        "The columns in MiB/s are the seeders by their speed, and what part of the file each gave.",
        "Ideal: every seeder sends at full speed until the last byte, and at once what its limit",
        "lets through after a pause: it cannot be beaten.",
        *(
            []
            if seconds
            else [f"{size_text(size)} may all come at once: too little to compare by."]
        ),
    ]


def _size_of(file: Path) -> int:
    try:
        with file.open("rb") as stream:
            return os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror}", path=file) from error


def _is_same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)
