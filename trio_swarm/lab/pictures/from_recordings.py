"""The course of one swarm, from the recordings of several of its peers.

Peers are identified by their peer ids (simulated peers by their names); a peer without a known id
by its address. A peer's own recording is believed before the recordings of others; of a peer
without a recording, only what the others saw is known. All times are on one clock: see
`trio_swarm.recording.format`.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from trio_swarm.errors import RecordingError
from trio_swarm.lab.pictures.course import Course, CoursePeer
from trio_swarm.lab.pictures.from_recording import MOST_CELLS, Seeders
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.recording import Recording, records, unpack


class SeenPeer(Struct):
    """One peer, with the keys that the recordings give it."""

    addresses: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)

    @property
    def address(self) -> str:
        """The address at which most recordings met it; empty if none did."""
        return _first(self.addresses)

    @property
    def client(self) -> str:
        """The name of its program; empty if no recording tells it."""
        return _first(self.clients)


class SeenSwarm(Struct):
    """A swarm as its recordings show it: `seen[n]` identifies peer `n` of the course."""

    course: Course
    seen: list[SeenPeer]
    strangers: list[str]
    """Names of recordings without a peer id: their makers also count as unknown peers that others
    met."""


def swarm_of(recordings: Sequence[tuple[str, Recording]], title: str) -> SeenSwarm:
    """Return the swarm that the recordings show together; each recording has a name.

    The recording peers come first, in the given order, under the names of their recordings. Raises
    RecordingError, in one line, if the recordings are not by several peers of one swarm, if they
    have no clock in common, or if there is too much for a picture.
    """
    _check_swarm(recordings)
    starts = _starts(recordings)
    seen, numbers = _meet(recordings)
    pieces = recordings[0][1].header.piece_count
    if len(seen) * pieces > MOST_CELLS:
        raise RecordingError(
            f"{len(seen):,} peers and {pieces:,} pieces are too many for a picture"
        )
    telling = _Telling(recordings, title, starts, seen, numbers)
    for at, number, place, event in heapq.merge(
        *(_shifted(number, each, starts[number]) for number, (_, each) in enumerate(recordings))
    ):
        telling.apply(at, number, place, event)
    telling.finish()
    strangers = [name for name, each in recordings if not each.header.peer_id]
    return SeenSwarm(telling.course, seen, strangers)


def _first(counter: Counter[str]) -> str:
    return next((text for text, _ in counter.most_common(1)), "")


# Whether the recordings belong together


def _check_swarm(recordings: Sequence[tuple[str, Recording]]) -> None:
    first_name, first = recordings[0]
    makers: dict[str, str] = {}
    for name, recording in recordings:
        one, other = first.header, recording.header
        if one.info_hash != other.info_hash:
            raise RecordingError(
                f"{first_name} and {name} are of different torrents: {one.name} "
                f"({one.info_hash[:8]}) and {other.name} ({other.info_hash[:8]})"
            )
        if (one.size, one.piece_length) != (other.size, other.piece_length):
            raise RecordingError(f"{first_name} and {name} tell of different sizes of one torrent")
        if one.seed != other.seed:
            raise RecordingError(f"{first_name} and {name} are of different simulations")
        maker = other.peer_id
        if maker and maker in makers:
            raise RecordingError(f"{makers[maker]} and {name} were made by the same peer")
        makers[maker] = name


def _starts(recordings: Sequence[tuple[str, Recording]]) -> list[int]:
    """Return when each recording began, microseconds after the first one or the simulation."""
    is_simulated = recordings[0][1].header.seed is not None
    clocks = [0] if is_simulated else []
    for name, recording in recordings:
        began, started = recording.events[0], recording.header.started
        if isinstance(began, records.Began) and (began.clock or is_simulated):
            clocks.append(began.clock)
        elif 0 < started < _LATEST:  # recordings of older programs have only this
            clocks.append(int(started * 1e6))
        else:
            raise RecordingError(f"{name} does not tell what time it was when it began")
    return [clock - min(clocks) for clock in clocks][-len(recordings) :]


_LATEST = 1e11
"""Seconds since 1970: a later time is not the time of a recording."""


# Which connections are one peer


def _meet(
    recordings: Sequence[tuple[str, Recording]],
) -> tuple[list[SeenPeer], list[dict[int, int]]]:
    """Return all peers, and for each recording: key → number of the peer."""
    seen = [SeenPeer() for _ in recordings]
    known = {each.header.peer_id: n for n, (_, each) in enumerate(recordings)}
    known.pop("", None)
    numbers: list[dict[int, int]] = []
    for _, recording in recordings:
        addresses: dict[int, str] = {}
        clients: dict[int, str] = {}
        identities: dict[int, str] = {}
        for event in recording.events:
            if isinstance(event, records.Joined):
                addresses[event.peer] = identities[event.peer] = event.address
            elif isinstance(event, records.Named):
                clients[event.peer] = event.client or clients.get(event.peer, "")
                identities[event.peer] = event.peer_id or identities[event.peer]
        numbers.append({})
        for key, identity in identities.items():
            number = known.setdefault(identity, len(seen))
            if number == len(seen):
                seen.append(SeenPeer())
            numbers[-1][key] = number
            seen[number].addresses[addresses[key]] += 1
            if clients.get(key):
                seen[number].clients[clients[key]] += 1
    return seen, numbers


# The events


def _shifted(
    number: int, recording: Recording, start: int
) -> Iterator[tuple[int, int, int, records.Record]]:
    """Yield (time on the common clock, number of the recording, place in it, event)."""
    for place, event in enumerate(recording.events):
        yield start + event.at, number, place, event


class _Telling:
    """Builds the course from all events, in the order of their times."""

    def __init__(
        self,
        recordings: Sequence[tuple[str, Recording]],
        title: str,
        starts: Sequence[int],
        seen: Sequence[SeenPeer],
        numbers: Sequence[dict[int, int]],
    ) -> None:
        header = recordings[0][1].header
        ends = [
            start + recording.events[-1].at
            for start, (_, recording) in zip(starts, recordings, strict=True)
        ]
        last = max(ends)
        own = [
            CoursePeer(
                name=name,
                role="leecher",
                joined=start / 1e6,
                left=end / 1e6 if end < last else None,
            )
            for (name, _), start, end in zip(recordings, starts, ends, strict=True)
        ]
        others = [CoursePeer(name=each.address, role="leecher") for each in seen[len(own) :]]
        self.course = Course(
            title=title,
            size=header.size,
            pieces=header.piece_count,
            seconds=last / 1e6,
            peers=own + others,
            follows=list(range(len(own))),
        )
        self._own = len(own)
        self._numbers = numbers
        self._held: list[PieceSet] = [0] * len(seen)
        self._met: list[set[tuple[int, int]]] = [set() for _ in seen]
        """For each peer its open connections, by recording and key."""
        self._is_known = [False] * len(seen)
        self._seeders = Seeders(is_simulated=header.seed is not None)
        self._lasts = [len(recording.events) - 1 for _, recording in recordings]

    def finish(self) -> None:
        """Mark the seeders, after the last event."""
        self._seeders.mark(self.course, self._held)

    def apply(self, microseconds: int, number: int, place: int, event: records.Record) -> None:
        at = microseconds / 1e6
        key: int | None = getattr(event, "peer", None)
        if key is not None:
            self._of_peer(at, number, self._numbers[number][key], event)
        elif isinstance(event, records.Began):
            had = unpack(event.have, self.course.pieces)
            self.course.peers[number].had = self._held[number] = had
            if had == full_set(self.course.pieces):
                self.course.peers[number].role = "seeder"
        elif isinstance(event, records.Verified):
            self._gained(at, number, 1 << event.piece)
        if place == self._lasts[number]:
            self._lost_sight(at, number)

    def _of_peer(self, at: float, by: int, number: int, event: records.Record) -> None:
        blocks = self.course.blocks
        match event:
            case records.Arrived():
                blocks.add(at, number, by, event.piece, event.length)
            case records.Sent() if number >= self._own:  # a recording peer records arrivals itself
                blocks.add(at, by, number, event.piece, event.length)
            case _ if number < self._own:
                pass  # its own recording has it
            case records.Joined():
                self._came(at, number, (by, event.peer))
                self._seeders.joined(number, event.address)
            case records.Named():
                if self._seeders.named(number, event):
                    self._gained(at, number, full_set(self.course.pieces))
            case records.Left():
                self._went(at, number, (by, event.peer))
            case records.Held():
                pieces = unpack(event.pieces, self.course.pieces)
                if not self._held[number] and pieces == full_set(self.course.pieces):
                    peer = self.course.peers[number]
                    peer.role = "seeder"
                    peer.had = self._held[number] = pieces
                else:
                    self._gained(at, number, pieces)
            case records.Gained():
                self._gained(at, number, 1 << event.piece)
            case _:
                pass

    def _came(self, at: float, number: int, connection: tuple[int, int]) -> None:
        peer = self.course.peers[number]
        if not self._is_known[number]:
            self._is_known[number] = True
            peer.joined = at
        peer.left = None
        self._met[number].add(connection)

    def _went(self, at: float, number: int, connection: tuple[int, int]) -> None:
        met = self._met[number]
        met.discard(connection)
        if not met:
            self.course.peers[number].left = at

    def _lost_sight(self, at: float, by: int) -> None:
        """Note the end of a recording: a peer that no other recording sees has left."""
        if at >= self.course.seconds:
            return
        for number, met in enumerate(self._met):
            for connection in [each for each in met if each[0] == by]:
                self._went(at, number, connection)

    def _gained(self, at: float, number: int, pieces: PieceSet) -> None:
        new = pieces & ~self._held[number]
        self._held[number] |= new
        for piece in iterate(new):
            self.course.gains.add(at, number, piece)
