"""Recordings of simulated downloads: by the very recorder, ledger and guard of a real one's.

A peer's times count from when it joins, by the virtual clock; decisions take no time, so that the
same run gives the same bytes.
"""

from collections.abc import Callable, Collection
from functools import partial

from trio_swarm.lab.simulator.scenario import Scenario, address_of
from trio_swarm.recording.format import Header, encode_header, seal
from trio_swarm.recording.recorder import RecordedLedger, RecordedScheduler, Recorder
from trio_swarm.schedulers.api import UploadRequest


class PeerRecording:
    """What one peer records; nothing is told of it twice or after `end`."""

    def __init__(
        self, clock: Callable[[], float], called: Callable[[str], str], *, joins_at: float
    ) -> None:
        recorder = Recorder(
            # A peer is made before it joins, and does nothing until then.
            lambda: max(joins_at, clock()),
            self._seal,
            wall_clock=lambda: joins_at,
            called=called,
        )
        self.make_scheduler = partial(RecordedScheduler, recorder=recorder)
        self.make_ledger = partial(RecordedLedger, recorder=recorder)
        self.end = recorder.end
        self._recorder = recorder
        self._frames: list[bytes] = []

    def sent(self, key: int, request: UploadRequest) -> None:
        """Note that a block was put out for a peer."""
        self._recorder.sent(key, request.piece, request.begin, request.length)

    def _seal(self) -> None:
        self._frames += map(seal, self._recorder.take())

    def content(self, header: Header) -> bytes:
        """Return the file, which ends with the run if it has not ended before."""
        self.end("the simulation ended")
        self._seal()
        return encode_header(header) + b"".join(self._frames)


class Recordings:
    """Records some peers, by their indices, of one run; another run needs another."""

    def __init__(self, scenario: Scenario, who: Collection[int]) -> None:
        self._joins_at = {index: scenario.peers[index].joins_at for index in who}
        self._names = {address_of(index): name for index, name in enumerate(scenario.names)}
        self._made: dict[int, PeerRecording] = {}

    def of(self, index: int, clock: Callable[[], float]) -> PeerRecording | None:
        """Return what a peer records with, or None if it is not recorded."""
        joins_at = self._joins_at.get(index)
        if joins_at is None:
            return None
        made = PeerRecording(clock, self._names.__getitem__, joins_at=joins_at)
        self._made[index] = made
        return made

    def content(self, index: int, header: Header) -> bytes:
        """Return the file of one of them, after the run."""
        return self._made[index].content(header)
