"""What a download waits for while nothing comes, in words that change with what it tries."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import trio
from msgspec import Struct

from trio_swarm.amounts import count_text
from trio_swarm.engine.known_peers.candidates import Candidates
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.download import Download
from trio_swarm.progress import State
from trio_swarm.protocol.addresses import Address, format_address

MAX_NAMED = 3
"""Peers, and trackers, that one line names: a swarm's list may hold hundreds."""

MAX_OUTCOMES = 256
"""Addresses of which it is remembered how dialling them went."""

SAY_FIRST = 3.0
SAY_AGAIN = 5.0
SAY_AT_MOST = 300.0
"""Seconds until it is said what a download waits for: 3, 5 more, 10 … 300; some wait for days."""

QUIET_PEERS = 10.0
"""Seconds without a byte from connected peers that are no news: slots go round in ten seconds."""


LEAST_RATE = 128
"""Bytes/s at which a block that is not whole yet counts as coming: one of 16 KiB takes 128 s then,
about as long as a `get` waits for one. Who sends less holds nobody up by it."""


class Standstill(Struct, frozen=True, kw_only=True):
    """For how long nothing of use came, and what is known of why."""

    seconds: float
    """Since the latest block or piece of metadata, or since it was asked for."""
    alone: float | None
    """Seconds without a connected peer; None: some are connected."""
    untried: int
    """Addresses that were not dialled yet."""
    reason: str
    """One line for a person."""

    @property
    def is_news(self) -> bool:
        """Whether it has lasted so long that somebody wants to know why."""
        return self.seconds >= (QUIET_PEERS if self.alone is None else SAY_FIRST)


class Outcomes:
    """How dialling peers went, the latest of each address, bounded."""

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        self._failures: dict[Address, str] = {}

    def failed(self, address: Address, reason: str) -> None:
        """Note why the peer at an address is not connected."""
        self._failures.pop(address, None)
        if len(self._failures) >= MAX_OUTCOMES:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = reason

    def connected(self, address: Address) -> None:
        """Forget what was wrong with a peer."""
        self._failures.pop(address, None)

    def latest(self) -> list[tuple[Address, str]]:
        """Return addresses and what was wrong, the latest first."""
        return list(self._failures.items())[::-1]


class KnownPeers(Protocol):
    """The peers of a torrent, connected and not."""

    @property
    def connections(self) -> Mapping[int, PeerConnection]:
        """Connected peers, by their numbers."""

    @property
    def candidates(self) -> Candidates:
        """Known addresses, and when to dial each."""

    @property
    def outcomes(self) -> Outcomes:
        """How the latest dials went, failures by their kind."""

    @property
    def alone_since(self) -> float:
        """When the latest peer left."""

    @property
    def had_any(self) -> bool:
        """Some peer was connected before."""


class WaitingTorrent(Protocol):
    """A torrent that may stand still."""

    @property
    def state(self) -> State:
        """The torrent's state, for people and programs."""

    @property
    def download(self) -> Download | None:
        """What is here and what comes, once the files are open."""

    @property
    def moved_at(self) -> float:
        """When something of use came last, or when it was first asked for."""

    @property
    def peer_set(self) -> KnownPeers:
        """The torrent's peers: connected, dialled and known."""

    def tracker_news(self) -> list[str]:
        """Return what trackers said last."""


def standstill_of(torrent: WaitingTorrent, now: float) -> Standstill:
    """Look at a torrent that downloads, or fetches its metadata; others stand still for 0 s."""
    if torrent.state not in ("metadata", "downloading"):
        return Standstill(seconds=0.0, alone=None, untried=0, reason="")
    peer_set = torrent.peer_set
    seconds = max(0.0, now - torrent.moved_at)
    if peer_set.connections:
        reason = f"nothing came for {seconds:.0f} s from {_peers_text(torrent)}"
        return Standstill(seconds=seconds, alone=None, untried=0, reason=reason)
    alone = max(0.0, now - peer_set.alone_since)
    when = "left" if peer_set.had_any else "yet"
    known = [*torrent.tracker_news(), *_dialled(torrent, now)]
    reason = f"no peer {when}, for {alone:.0f} s: {'; '.join(known) or 'none is known'}"
    return Standstill(
        seconds=seconds, alone=alone, untried=peer_set.candidates.untried(), reason=reason
    )


def latest_move(whole: float, connections: Collection[PeerConnection]) -> float:
    """Return when something of use came last; `whole`: the last block or piece of metadata."""
    # On a slow link a long block takes minutes, and every byte of it is one that came.
    coming = [each for each in connections if each.wire.bytes_within_block]
    latest = max((each.last_received for each in coming), default=whole)
    nbytes = sum(each.wire.bytes_within_block for each in coming)
    return max(whole, min(latest, whole + nbytes / LEAST_RATE))


async def tell_of_standstills(
    torrent: WaitingTorrent, tell: Callable[[str], None], *, is_done: Callable[[], bool]
) -> None:
    """Tell of a standstill, ever more seldom, and of each new one soon; until done."""
    pause, told = SAY_FIRST, -math.inf
    while not is_done():
        await trio.sleep(pause)
        standstill = standstill_of(torrent, trio.current_time())
        if not standstill.is_news:
            pause = SAY_FIRST
            continue
        pause = SAY_AGAIN if torrent.moved_at > told else min(SAY_AT_MOST, 2 * pause)
        told = trio.current_time()
        tell(standstill.reason)


def _dialled(torrent: WaitingTorrent, now: float) -> list[str]:
    """Return what became of the peers that were dialled."""
    candidates = torrent.peer_set.candidates
    failures = torrent.peer_set.outcomes.latest()
    told = []
    for address, reason in failures[:MAX_NAMED]:
        due = candidates.due(address)
        again = "" if due is None else f", again in {max(0.0, due - now):.0f} s"
        told.append(f"{format_address(address)}: {reason}{again}")
    if len(failures) > MAX_NAMED:
        told.append(f"so {len(failures) - MAX_NAMED} others")
    if dialling := candidates.busy():
        shown = ", ".join(map(format_address, dialling[:MAX_NAMED]))
        more = f" and {len(dialling) - MAX_NAMED} more" if len(dialling) > MAX_NAMED else ""
        told.append(f"dialling {shown}{more}")
    return told


def _peers_text(torrent: WaitingTorrent) -> str:
    """Return what the connected peers do instead of giving something."""
    connections = list(torrent.peer_set.connections.values())
    download = torrent.download
    told = []
    for connection in connections[:MAX_NAMED]:
        if download is None:
            has = connection.extensions is not None and connection.extensions.metadata_size
            doing = "does not send the metadata" if has else "does not have the metadata"
        elif connection.conversation is None:
            doing = "has not said what it has"
        elif not download.ledger.is_interesting(connection.key):
            doing = "has nothing that is missing here"
        elif connection.wire.peer_choking:
            doing = "chokes us"
        else:
            doing = "does not send what it was asked for"
        told.append(f"{connection.address} {doing}")
    more = len(connections) - MAX_NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return f"{count_text(len(connections), 'peer')}: {'; '.join(told)}{rest}"
