"""The recording of one torrent, on its way to its file: one task, and threads only to write."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

import trio

from trio_swarm import events
from trio_swarm._version import __version__
from trio_swarm.errors import StorageError
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.recording.format import Header, encode_header, seal
from trio_swarm.recording.recorder import RecordedLedger, RecordedScheduler, Recorder
from trio_swarm.schedulers.api import UploadRequest

WRITE_INTERVAL = 0.25
"""Seconds until what happened is written: what is lost if the program is killed."""


class TorrentRecording:
    """Owns the recorder and its file; `run` is the task that writes.

    A file that cannot be written any more ends the recording, with one warning, and nothing else.
    """

    def __init__(
        self, path: Path, context: NodeContext, scheduler: tuple[str, Mapping[str, object]]
    ) -> None:
        self._path = path
        self._context = context
        self._scheduler = scheduler
        self._wakeup = Wakeup()
        recorder = Recorder(trio.current_time, self._wakeup.set, wall_clock=time.time)
        self.make_scheduler = partial(RecordedScheduler, recorder=recorder)
        self.make_ledger = partial(RecordedLedger, recorder=recorder)
        self._recorder = recorder
        self._file: BinaryIO | None = None
        self._info_hash = ""
        self._name = ""

    async def open(self, info: Info, name: str) -> None:
        """Make the file; raises StorageError if it is there already, or cannot be."""
        settings = self._context.settings
        self._info_hash = info.info_hash.hex()
        self._name = name
        header = Header(
            program=f"trio-swarm {__version__}",
            name=info.name,
            info_hash=self._info_hash,
            size=info.length,
            piece_length=info.piece_length,
            short_pieces=dict(info.short_pieces),
            scheduler=self._scheduler[0],
            scheduler_options=dict(self._scheduler[1]),
            uploader=settings.uploader,
            uploader_options=dict(settings.uploader_options),
            choker=settings.choker,
            choker_options=dict(settings.choker_options),
            started=time.time(),
            peer_id=self._context.peer_id.hex(),
        )
        self._file = await trio.to_thread.run_sync(_begin_file, self._path, encode_header(header))

    async def run(self, connections: Mapping[int, PeerConnection]) -> None:
        """Write what happened, soon after it did, until cancelled."""
        while True:
            with trio.move_on_after(WRITE_INTERVAL):
                await self._wakeup.wait()
            for connection in connections.values():
                self.name(connection)
            await self._write()

    def name(self, connection: PeerConnection) -> None:
        """Note which program a peer is, and which peer, if that is news."""
        if connection.conversation is not None:
            peer_id = connection.wire.peer_id or b""
            # Before its extension handshake, if there is to be one, it has not said so either way.
            is_known = connection.is_seeder or connection.extensions is not None
            self._recorder.name(
                connection.key,
                connection.client,
                peer_id.hex(),
                uploads_only=connection.wants_nothing if is_known else None,
            )

    def sent(self, key: int, request: UploadRequest) -> None:
        """Note that a block was put out for a peer."""
        self._recorder.sent(key, request.piece, request.begin, request.length)

    async def close(self) -> None:
        """Write what is left, and that this is the end."""
        self._recorder.end("stopped")
        await self._write()
        if self._file is not None:
            file, self._file = self._file, None
            await _close(file)

    async def _write(self) -> None:
        file = self._file
        bodies = self._recorder.take()
        if file is None or not bodies:
            return
        try:
            # Not to be given up half-way: a frame would be torn in the middle of the file.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_append, file, bodies)
        except OSError as error:
            self._file = None
            self._recorder.end("it could not be written")
            self._context.emit(
                events.RecordingStopped(
                    info_hash=self._info_hash,
                    share_name=self._name,
                    path=str(self._path),
                    reason=error.strerror or str(error),
                )
            )
            await _close(file)


async def _close(file: BinaryIO) -> None:
    with trio.CancelScope(shield=True):  # who is cancelled here would leave it open
        await trio.to_thread.run_sync(file.close)


def _begin_file(path: Path, start: bytes) -> BinaryIO:
    try:
        # Without a buffer: what was written survives if the program is killed.
        file = path.open("xb", buffering=0)
        try:
            file.write(start)
        except OSError:
            file.close()
            raise
    except FileExistsError:
        raise StorageError(
            "is there already: record to another file, or remove it", path=path
        ) from None
    except OSError as error:
        raise StorageError(
            f"cannot be recorded to: {error.strerror or error}", path=path
        ) from error
    return file


def _append(file: BinaryIO, bodies: list[bytes]) -> None:
    for body in bodies:
        rest = memoryview(seal(body))
        while rest:
            rest = rest[file.write(rest) :]
