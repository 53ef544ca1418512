"""The course of a real download, as the peer that recorded it saw it."""

from trio_swarm.errors import RecordingError
from trio_swarm.pictures.course import Course, CoursePeer
from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.recording import Recording, unpack
from trio_swarm.recording import events as ev

OWN_NAME = "this peer"

MOST_CELLS = 20_000_000
"""Connections times pieces: a thousand peers of a torrent of 20,000 pieces. A file that claims more
would take the memory of the machine."""


def course_of(recording: Recording, title: str) -> Course:
    """Return what was seen: the peer itself is the first, each connection is one more.

    What it sent is left out. RecordingError if it is too much for a picture.
    """
    connections = sum(isinstance(event, ev.Joined) for event in recording.events)
    pieces = recording.header.piece_count
    if (connections + 1) * pieces > MOST_CELLS:
        raise RecordingError(
            f"{connections:,} connections and {pieces:,} pieces are too many for a picture"
        )
    seen = _Seen(recording, title)
    for event in recording.events:
        seen.apply(event)
    return seen.course


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

    def apply(self, event: ev.Event) -> None:
        course = self.course
        at = event.at / 1e6
        match event:
            case ev.Began():
                course.peers[0].had = self._held[0] = unpack(event.have, course.pieces)
            case ev.Joined():
                self._numbers[event.peer] = len(course.peers)
                course.peers.append(CoursePeer(name=event.address, role="leecher", joined=at))
                self._held.append(0)
            case ev.Left():
                course.peers[self._numbers[event.peer]].left = at
            case ev.Held():
                self._gained(at, self._numbers[event.peer], unpack(event.pieces, course.pieces))
            case ev.Gained():
                self._gained(at, self._numbers[event.peer], 1 << event.piece)
            case ev.Verified():
                self._gained(at, 0, 1 << event.piece)
            case ev.Arrived():
                number = self._numbers[event.peer]
                course.blocks.add(at, number, 0, event.piece, event.length)
            case _:
                pass

    def _gained(self, at: float, number: int, pieces: PieceSet) -> None:
        held = self._held[number]
        new = pieces & ~held
        self._held[number] = held | new
        peer = self.course.peers[number]
        if number and not held:  # it says first of all what it has
            peer.had = new
            peer.joined = at
            if new.bit_count() == self.course.pieces:
                peer.role = "seeder"
            return
        for piece in iterate(new):
            self.course.gains.add(at, number, piece)
