"""The course of a real download, as the recording peer saw it."""

from collections.abc import Sequence

from trio_swarm.errors import RecordingError
from trio_swarm.lab.pictures.course import Course, CoursePeer
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.recording import Recording, records, unpack

OWN_NAME = "this peer"

MOST_CELLS = 20_000_000
"""Most connections times pieces: a thousand peers of a torrent of 20,000 pieces. A file that claims
more would fill the machine's memory."""


def course_of(recording: Recording, title: str) -> Course:
    """Return the course of a recording: the recording peer is first, then each connection.

    Blocks that the recording peer sent are left out. Raises RecordingError if there is too much for
    a picture.
    """
    connections = sum(isinstance(event, records.Joined) for event in recording.events)
    pieces = recording.header.piece_count
    if (connections + 1) * pieces > MOST_CELLS:
        raise RecordingError(
            f"{connections:,} connections and {pieces:,} pieces are too many for a picture"
        )
    seen = _Seen(recording, title)
    for event in recording.events:
        seen.apply(event)
    seen.finish()
    return seen.course


class Seeders:
    """Peers that have every piece from the start, although they may reveal them one by one.

    A peer that only uploads (BEP 21) may instead have a part and want no more: such a peer never
    reveals more pieces than that.
    """

    def __init__(self, *, is_simulated: bool) -> None:
        self._is_simulated = is_simulated
        self._told: set[int] = set()
        self._found: set[int] = set()

    def joined(self, number: int, address: str) -> None:
        """Note a peer that joined; the name of a simulated one tells its role."""
        if self._is_simulated and address.startswith("S") and address[1:].isdigit():
            self._told.add(number)
            self._found.add(number)

    def named(self, number: int, event: records.Named) -> bool:
        """Note what a peer says about itself; return whether it has become complete just now."""
        if event.uploads_only is None or number in self._found:
            return False
        is_first = number not in self._told
        self._told.add(number)
        if event.uploads_only and is_first:
            self._found.add(number)
        return event.uploads_only and not is_first

    def mark(self, course: Course, held: Sequence[PieceSet]) -> None:
        """Give all seeders every piece, from the time they joined."""
        all_pieces = full_set(course.pieces)
        gained = set(course.gains.peer)
        for number in self._found:
            if self._is_simulated or held[number] == all_pieces or number in gained:
                course.peers[number].role = "seeder"
                course.peers[number].had = all_pieces


class _Seen:
    def __init__(self, recording: Recording, title: str) -> None:
        self.course = Course(
            title=title,
            size=recording.header.size,
            pieces=recording.header.piece_count,
            seconds=recording.seconds,
            peers=[CoursePeer(name=OWN_NAME, role="leecher")],
            follows=[0],
        )
        self._held: list[PieceSet] = [0]
        self._numbers: dict[int, int] = {}
        self._seeders = Seeders(is_simulated=recording.header.seed is not None)

    def finish(self) -> None:
        """Mark the seeders, after the last event."""
        self._seeders.mark(self.course, self._held)

    def apply(self, event: records.Record) -> None:
        course = self.course
        at = event.at / 1e6
        match event:
            case records.Began():
                course.peers[0].had = self._held[0] = unpack(event.have, course.pieces)
            case records.Joined():
                self._numbers[event.peer] = len(course.peers)
                course.peers.append(CoursePeer(name=event.address, role="leecher", joined=at))
                self._held.append(0)
                self._seeders.joined(self._numbers[event.peer], event.address)
            case records.Named():
                number = self._numbers[event.peer]
                if self._seeders.named(number, event):
                    self._gained(at, number, full_set(course.pieces))
            case records.Left():
                course.peers[self._numbers[event.peer]].left = at
            case records.Held():
                self._gained(at, self._numbers[event.peer], unpack(event.pieces, course.pieces))
            case records.Gained():
                self._gained(at, self._numbers[event.peer], 1 << event.piece)
            case records.Verified():
                self._gained(at, 0, 1 << event.piece)
            case records.Arrived():
                number = self._numbers[event.peer]
                course.blocks.add(at, number, 0, event.piece, event.length)
            case _:
                pass

    def _gained(self, at: float, number: int, pieces: PieceSet) -> None:
        held = self._held[number]
        new = pieces & ~held
        self._held[number] = held | new
        peer = self.course.peers[number]
        if number and not held:  # its first message is its set of pieces
            peer.had = new
            peer.joined = at
            if new.bit_count() == self.course.pieces:
                peer.role = "seeder"
            return
        for piece in iterate(new):
            self.course.gains.add(at, number, piece)
