"""One worker of a tracker: a process that the parent starts with its sockets open.

`python -m trio_swarm.tracker.workers.worker DESCRIPTOR`: by that socket the parent says
all else (`messages.Setup`). The worker ends when that socket does: without a parent it would keep
the port.
"""

import gc
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NoReturn

import trio

from trio_swarm.errors import ConfigError
from trio_swarm.events import (
    Event,
    TrackerChange,
    TrackerShared,
    TrackerSharedAlone,
    TrackerSummary,
)
from trio_swarm.logs import logger_of
from trio_swarm.tracker.binding import BoundSockets
from trio_swarm.tracker.collecting import collect_seldom
from trio_swarm.tracker.journal import TrackerJournal
from trio_swarm.tracker.process import OpenedStore, TrackerProcess, open_store
from trio_swarm.tracker.udp.steering import owner_of
from trio_swarm.tracker.workers.links import Link
from trio_swarm.tracker.workers.log_lines import send_lines
from trio_swarm.tracker.workers.messages import (
    Figures,
    Happened,
    Message,
    Ready,
    ReloadLists,
    Setup,
    Word,
)
from trio_swarm.tracker.workers.siblings import SiblingStore, SteeredStore

FIGURES_SECONDS: Final = 1.0
"""How often a worker tells how much it did; not if it did nothing."""

LIST_SECONDS: Final = 1.0
"""Between two tries to read a list file that is wrong."""

SETUP_SECONDS: Final = 10.0
"""For the parent's first words: a process that somebody else started ends."""


_logger = logger_of(__name__)


async def run_worker(to_parent: socket.socket) -> None:
    """Serve as the parent says, until it ends."""
    to_parent.settimeout(0)
    send, receive = trio.open_memory_channel[Setup](1)

    def hear(said: Word) -> None:
        if isinstance(said, Setup):
            send.send_nowait(said)

    link = Link(to_parent, hear=hear)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_parent_ends, link, nursery.cancel_scope)
        with trio.fail_after(SETUP_SECONDS):
            setup = await receive.receive()
        send_lines(link.tell, setup.level)
        await _serve(setup, link)


async def _until_parent_ends(link: Link, scope: trio.CancelScope) -> None:
    await link.run()
    scope.cancel()


async def _serve(setup: Setup, link: Link) -> None:
    links = {number: Link(_opened(end)) for number, end in setup.siblings.items()}
    journal = TrackerJournal(_teller(link.tell) if setup.tells else None)
    # One worker tells of the exchange with other trackers for all.
    tells_of_exchange = setup.tells and setup.number == 0
    in_memory, own, lists, shared = await _store_when_lists_are_right(
        partial(
            open_store,
            setup.settings,
            watch=journal.note,
            on_event=_teller(link.tell) if tells_of_exchange else None,
            owns=lambda info_hash: owner_of(info_hash, setup.settings.workers) == setup.number,
        )
    )
    secret = setup.secret if shared is None else await shared.secret(setup.secret)
    of_all = SiblingStore(own, links, number=setup.number)
    # A sibling may read a changed list a moment later.
    store = of_all if lists is None else lists.checked(of_all)
    process = TrackerProcess(
        setup.settings,
        store,
        own=in_memory,
        secret=secret,
        journal=journal,
        lists=lists,
        shared=shared,
        steered_store=SteeredStore(own, store),
        look=of_all.see_all,
        number=setup.number,
    )
    of_all.see = process.seen

    def hear(said: Word) -> None:
        if isinstance(said, ReloadLists):
            process.reload_lists()

    sockets = BoundSockets(
        [_opened(each) for each in setup.datagram], [_opened(each) for each in setup.listeners]
    )
    # All that is needed is imported: those objects stay, and need not be looked through again.
    gc.freeze()
    async with trio.open_nursery() as nursery:
        link.hear = hear
        for each in (link, *links.values()):
            each.answer = of_all.answer
        for each in links.values():
            nursery.start_soon(each.run)
        await nursery.start(process.serve, sockets)
        link.tell(Ready())
        nursery.start_soon(_tell_figures, process, link)


async def _store_when_lists_are_right(open_it: Callable[[], Awaitable[OpenedStore]]) -> OpenedStore:
    """Open a store; wait while a list file is wrong, which was right when the tracker started.

    Its siblings go on with what they have read before. This worker has nothing to go on with, and
    must not take what the file would deny.
    """
    told = ""
    while True:
        try:
            return await open_it()
        except ConfigError as error:
            if told != (told := str(error)):
                _logger.warning(
                    "%s; its share of the torrents is not tracked until that is right", error
                )
            await trio.sleep(LIST_SECONDS)


async def _tell_figures(process: TrackerProcess, link: Link) -> NoReturn:
    told: Figures | None = None
    try:
        while True:
            await trio.sleep(FIGURES_SECONDS)
            figures = _figures(process)
            if figures != told:
                link.tell(figures)
                told = figures
    finally:
        link.tell(_figures(process))


def _figures(process: TrackerProcess) -> Figures:
    (figures,) = process.figures()
    return Figures(figures)


def _teller(tell: Callable[[Message], bool]) -> Callable[[Event], None]:
    def emit(event: Event) -> None:
        if isinstance(event, TrackerChange):
            tell(Happened(change=event))
        elif isinstance(event, TrackerSummary):
            tell(Happened(summary=event))
        elif isinstance(event, TrackerShared):
            tell(Happened(shared=event))
        elif isinstance(event, TrackerSharedAlone):
            tell(Happened(alone=event))

    return emit


def _opened(number: int) -> socket.socket:
    opened = socket.socket(fileno=number)
    opened.settimeout(0)
    return opened


def _main() -> None:
    collect_seldom()
    trio.run(run_worker, socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    _main()
