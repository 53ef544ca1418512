"""The parent of a tracker's workers: it opens and keeps all sockets, and replaces who dies.

A socket of a dead worker stays open here, and keeps its number: its datagrams wait for the
successor. Were it closed, the system would give its number to another one's, and half of the swarms
would move. The pairs between the workers stay as well, so siblings notice nothing.
"""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import combinations
from typing import Final, NoReturn

import trio

from trio_swarm.errors import TrioSwarmError
from trio_swarm.events import Event, TrackerSummary
from trio_swarm.logs import logger_of
from trio_swarm.tracker.binding import BoundSockets, bind_sockets
from trio_swarm.tracker.handle import TrackerHandle
from trio_swarm.tracker.journal import SUMMARY_SECONDS
from trio_swarm.tracker.process import read_lists
from trio_swarm.tracker.secret import kept_secret
from trio_swarm.tracker.seen.figures import TrackerFigures, summed, without_gauges
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.interface import MatchPage, NameQuestion, StoreCounts
from trio_swarm.tracker.workers.deaths import MOST_QUICK_DEATHS, QuickDeaths
from trio_swarm.tracker.workers.division import settings_of_worker
from trio_swarm.tracker.workers.links import Link, open_pair
from trio_swarm.tracker.workers.log_lines import repeat, wanted_level
from trio_swarm.tracker.workers.messages import (
    AskSearch,
    Figures,
    Happened,
    Logged,
    Ready,
    ReloadLists,
    Setup,
    ToldSearch,
    Word,
)
from trio_swarm.tracker.workers.siblings import SEARCH_SECONDS, home_of

STOP_SECONDS: Final = 3.0
"""For a worker to end after it was told to; then it is killed."""

LAST_WORDS_SECONDS: Final = 1.0
"""For reading what a worker said before it ended."""

_ADDED: Final = tuple(
    name for name in TrackerSummary.__struct_fields__ if name not in StoreCounts._fields
)
"""What is told in a summary of one worker and added up; what is held now is known already."""

_logger = logger_of(__name__)


class WorkersDieError(TrioSwarmError):
    """A worker of the tracker died again and again, each time soon after its start."""


class _Worker:
    """What the parent has of one worker and its successors."""

    def __init__(self, number: int, tell: Callable[[Event], None] | None) -> None:
        self.number = number
        self._tell = tell
        self.ready = trio.Event()
        """Whether one has ever served."""
        self.began = 0.0
        """When the present one began to serve, or to start."""
        self.figures = self.before = TrackerFigures(worker=number)
        """Of the present one, and the sums of those before it."""
        self.link: Link | None = None

    def hear(self, said: Word) -> None:
        """Take in what a worker says of itself."""
        match said:
            case Ready():
                self.began = trio.current_time()
                self.ready.set()
            case Figures():
                self.figures = said.figures
            case Logged():
                repeat(said, self.number)
            case Happened(change, summary, shared, alone) if self._tell is not None:
                for event in (change, summary, shared, alone):
                    if event is not None:
                        self._tell(event)

    @property
    def total(self) -> TrackerFigures:
        """Of all of them."""
        return summed((self.figures, self.before))

    def bury(self) -> None:
        """Keep what the present one did, and forget what it held."""
        self.before = without_gauges(self.total)
        self.figures = TrackerFigures(worker=self.number)
        self.link = None


class WorkerGroup:
    """All workers of one tracker, as `handle.Answering` has them."""

    def __init__(
        self,
        settings: TrackerSettings,
        sockets: BoundSockets,
        *,
        secret: bytes,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self._settings = settings_of_worker(settings)
        self._sockets = sockets
        self._secret = secret
        self._on_event = on_event
        self._sums: Counter[str] = Counter()
        """Of the summaries that workers told since the latest of all."""
        tell = None if on_event is None else self._take_event
        self._workers = [_Worker(number, tell) for number in range(settings.workers)]
        self._ends: list[dict[int, socket.socket]] = [{} for _ in self._workers]
        """By worker: its end of the pair with each other one."""

    @property
    def announces(self) -> int:
        """As Answering; known a second late."""
        return sum(each.total.announces for each in self._workers)

    @property
    def http_announces(self) -> int:
        """As Answering; known a second late."""
        return sum(each.total.announces_http for each in self._workers)

    def counts(self) -> StoreCounts:
        """As Answering; known a second late."""
        held = [each.figures for each in self._workers]
        return StoreCounts(
            swarms=sum(each.swarms for each in held),
            peers=sum(each.peers for each in held),
            names=sum(each.names for each in held),
        )

    def figures(self) -> list[TrackerFigures]:
        """As Answering; known a second late."""
        return [each.total for each in self._workers]

    def reload_lists(self) -> None:
        """As Answering: each worker has lists of its own."""
        for each in self._workers:
            if each.link is not None:
                each.link.tell(ReloadLists())

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """As Answering; nothing is found while the worker that searches is replaced."""
        del now  # each worker has its own
        link = self._workers[home_of(question.name, len(self._workers))].link
        told = None
        if link is not None:
            told = await link.ask(
                lambda number: AskSearch(number, question, everywhere=True), SEARCH_SECONDS
            )
        return told.page if isinstance(told, ToldSearch) else MatchPage(0, ())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the workers, and keep them running until cancelled.

        Raises WorkersDieError, and OSError where no process or socket can be had.
        """
        with ExitStack() as stack:
            for one, other in combinations(range(len(self._workers)), 2):
                ends = open_pair()
                self._ends[one][other], self._ends[other][one] = map(stack.enter_context, ends)
            try:
                async with trio.open_nursery() as nursery:
                    for worker in self._workers:
                        nursery.start_soon(self._keep, worker)
                    for worker in self._workers:
                        await worker.ready.wait()
                    task_status.started()
                    if self._on_event is not None:
                        nursery.start_soon(self._sum_up_often)
            finally:
                self._sum_up()

    async def _keep(self, worker: _Worker) -> NoReturn:
        """Run a worker and, each time it dies, another one in its place."""
        deaths = QuickDeaths()
        while True:
            worker.began = trio.current_time()
            code = await self._run_one(worker)
            pause = deaths.pause_after(trio.current_time() - worker.began)
            how = _ending(code)
            if pause is None:
                raise WorkersDieError(
                    f"worker {worker.number} of the tracker {how}, and so did {MOST_QUICK_DEATHS} "
                    "before it, each soon after its start"
                )
            _logger.warning(
                "worker %d of the tracker %s: another takes its place", worker.number, how
            )
            await trio.sleep(pause)

    async def _run_one(self, worker: _Worker) -> int:
        """Run a worker until it ends; return its exit code."""
        own, its = open_pair()
        with own:
            with its:
                setup = self._setup(worker.number)
                process = await _started(its, setup)
            link = worker.link = Link(own, hear=worker.hear)
            link.tell(setup)
            reading = trio.CancelScope(shield=True)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_read_within, reading, link)
                    try:
                        await process.wait()
                    finally:
                        await _stop(process, own)
                        reading.deadline = trio.current_time() + LAST_WORDS_SECONDS
            finally:
                worker.bury()
        return await process.wait()

    def _setup(self, number: int) -> Setup:
        datagram, workers = self._sockets.datagram, len(self._workers)
        return Setup(
            self._settings,
            self._secret,
            number,
            [each.fileno() for each in datagram[number::workers]],
            [each.fileno() for each in self._sockets.listeners],
            {other: end.fileno() for other, end in self._ends[number].items()},
            self._on_event is not None,
            wanted_level(),
        )

    def _take_event(self, event: Event) -> None:
        """Pass a change on; sums are told of all workers together."""
        if isinstance(event, TrackerSummary):
            for name in _ADDED:
                self._sums[name] += getattr(event, name)
        elif self._on_event is not None:
            self._on_event(event)

    async def _sum_up_often(self) -> NoReturn:
        while True:
            await trio.sleep(SUMMARY_SECONDS)
            self._sum_up()

    def _sum_up(self) -> None:
        """Tell the sum of all workers, if anything happened."""
        if self._on_event is not None and self._sums.total():
            held = self.counts()
            self._on_event(
                TrackerSummary(
                    **{name: self._sums[name] for name in _ADDED},
                    swarms=held.swarms,
                    peers=held.peers,
                    names=held.names,
                )
            )
        self._sums.clear()


async def serve_workers(
    settings: TrackerSettings,
    *,
    on_event: Callable[[Event], None] | None,
    task_status: trio.TaskStatus[TrackerHandle],
) -> NoReturn:
    """Serve by `settings.workers` processes until cancelled, as `server.serve_tracker` says."""
    sockets = await bind_sockets(
        settings.host, settings.port, http=settings.http, workers=settings.workers
    )
    with ExitStack() as stack:
        for bound in (*sockets.datagram, *sockets.listeners):
            stack.enter_context(bound)
        secret = kept_secret(settings.state_folder)
        # A list that is wrong is told here: workers could only end.
        await read_lists(settings)
        group = WorkerGroup(settings, sockets, secret=secret, on_event=on_event)
        handle = TrackerHandle(sockets, group)
        async with trio.open_nursery() as nursery:
            await nursery.start(group.run)
            if on_event is not None:
                for event in handle.listening(settings):
                    on_event(event)
            task_status.started(handle)
    raise AssertionError("workers are replaced for ever")


async def _started(its: socket.socket, setup: Setup) -> trio.Process:
    """Start a worker's process with the sockets that it is to have; raises OSError."""
    inherited = (its.fileno(), *setup.datagram, *setup.listeners, *setup.siblings.values())
    return await trio.lowlevel.open_process(
        # -P: the folder in which somebody starts a tracker is no place for modules.
        [sys.executable, "-P", "-m", "trio_swarm.tracker.workers.worker", str(its.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=inherited,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        # Ctrl-C in a terminal is for the parent.
        process_group=0,
    )


async def _read_within(scope: trio.CancelScope, link: Link) -> None:
    with scope:
        await link.run()


async def _stop(process: trio.Process, own: socket.socket) -> None:
    """End a worker that runs: by the end of what it is told, or else by a signal."""
    if process.returncode is not None:
        return
    with trio.CancelScope(shield=True):
        with suppress(OSError):
            own.shutdown(socket.SHUT_WR)
        with trio.move_on_after(STOP_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


def _ending(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
