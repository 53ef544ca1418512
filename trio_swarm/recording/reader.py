"""Reading a recording: its events, checked, and whether the file is complete."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from trio_swarm.engine.lengths import Lengths
from trio_swarm.errors import RecordingError
from trio_swarm.recording.checking import Checker
from trio_swarm.recording.format import (
    FRAME,
    MAGIC,
    MAX_EVENTS,
    MAX_FRAME,
    MAX_HEADER,
    MAX_TOTAL,
    VERSION,
    Header,
)
from trio_swarm.recording.records import Ended, Record

_events_decoder = msgspec.msgpack.Decoder(list[Record])
_header_decoder = msgspec.json.Decoder(Header)

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The exceptions that the decoders raise for damaged data; the last one for deeply nested lists."""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The header and the events of a recording's file."""

    header: Header
    events: list[Record]
    """In the order they happened; each names only pieces of the torrent, and peers that joined."""
    cut_off: str | None
    """Why the file is incomplete, in words for a person; None if it is complete."""

    @property
    def lengths(self) -> Lengths:
        """The sizes of the pieces and blocks of the torrent."""
        return self.header.lengths()

    @property
    def seconds(self) -> float:
        """Seconds from the beginning of the recording to its last event."""
        return self.events[-1].at / 1e6 if self.events else 0.0


def read_recording(file: BinaryIO, name: str) -> Recording:
    """Return the recording in `file`, which errors call `name`.

    The end of the file may be missing. Raises RecordingError, in one line, if the file is not a
    recording, has another version or an impossible event; OSError if it cannot be read.
    """
    header = _read_header(file, name)
    checker = Checker(header.lengths())
    events: list[Record] = []
    cut_off: str | None = None
    total = 0
    try:
        for body in _read_frames(file):
            total += len(body)
            if total > MAX_TOTAL:
                raise RecordingError(f"{name}: more than {MAX_TOTAL >> 20} MiB of events")
            try:
                more = _events_decoder.decode(body)
            except _UNREADABLE as error:
                raise RecordingError(f"{name}: is damaged: {_why(error)}") from error
            if len(events) + len(more) > MAX_EVENTS:
                raise RecordingError(f"{name}: more than {MAX_EVENTS:,} events")
            for event in more:
                fault = checker.fault(event)
                if fault is not None:
                    number = len(events) + 1
                    raise RecordingError(f"{name}: is damaged: event {number} {fault}")
                events.append(event)
    except _TornError as torn:
        cut_off = str(torn)
    if cut_off is None and not (events and isinstance(events[-1], Ended)):
        cut_off = "the program was killed, or is still running"
    return Recording(header=header, events=events, cut_off=cut_off)


def _read_header(file: BinaryIO, name: str) -> Header:
    first = file.readline(len(MAGIC) + 16)
    if not first:
        raise RecordingError(f"{name}: is empty: no recording of trio-swarm")
    if not first.startswith(MAGIC):
        raise RecordingError(f"{name}: is not a recording of trio-swarm")
    number = first[len(MAGIC) :].strip()
    if number != b"%d" % VERSION:
        shown = number.decode("ascii", "backslashreplace")
        raise RecordingError(
            f"{name}: is a recording of format {shown}; this trio-swarm reads format {VERSION}"
        )
    second = file.readline(MAX_HEADER)
    if not second.endswith(b"\n"):
        raise RecordingError(f"{name}: is cut off before anything was recorded")
    try:
        header = _header_decoder.decode(second)
    except _UNREADABLE as error:
        raise RecordingError(f"{name}: is damaged: its header: {_why(error)}") from error
    fault = header.fault()
    if fault is not None:
        raise RecordingError(f"{name}: is damaged: its header tells of {fault}")
    return header


def _why(error: Exception) -> str:
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)


class _TornError(Exception):
    """The rest of the file cannot be read; `str` says why."""


def _read_frames(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bodies of all complete frames; raises _TornError at the first other one."""
    while True:
        start = file.read(FRAME.size)
        if not start:
            return
        if len(start) < FRAME.size:
            raise _TornError("its last frame is cut off")
        length, checksum = FRAME.unpack(start)
        # zlib makes data that it cannot compress only a little larger.
        if length > MAX_FRAME + MAX_FRAME // 64:
            raise _TornError("what follows is damaged")
        packed = file.read(length)
        if len(packed) < length:
            raise _TornError("its last frame is cut off")
        if zlib.crc32(packed) != checksum:
            raise _TornError("what follows is damaged")
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(packed, MAX_FRAME + 1)
        except zlib.error:
            raise _TornError("what follows is damaged") from None
        if len(body) > MAX_FRAME or not inflater.eof:
            raise _TornError("what follows is damaged")
        yield body
