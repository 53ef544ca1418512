"""Data of a download that is moved or renamed, perhaps by a process that is killed meanwhile."""

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

from local_swarm import make_file
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.shares import create_metainfo

PIECE = 16384

CALLS = ["link", "sendfile", "unlink", "rename", "fsync", "rmdir", "mkdir"]
"""Calls of `os` that change something on the disk, or see to it that it stays."""


def sample(tmp_path: Path, *, single: bool = False) -> tuple[Info, Path]:
    original = tmp_path / "original" / "data"
    if single:
        make_file(original, 1_000_000)
    else:
        make_file(original / "a", 500_000, 1)
        make_file(original / "deep" / "b", 300_000, 2)
        make_file(original / "deep" / "empty", 0)
    info = create_metainfo(original, piece_length=PIECE, state_folder=tmp_path / "s0").info
    return info, original


def downloaded(
    info: Info, original: Path, tmp_path: Path, pieces: int | None = None
) -> tuple[Path, int]:
    """Download all or the last pieces into `old`; return where it is and what of it is there."""
    files = TorrentFiles.for_download(info, tmp_path / "old", tmp_path / "state")
    files.check()
    everything = TorrentFiles.for_share(info, original, tmp_path / "s1")
    everything.check()
    end = info.piece_count
    first = 0 if pieces is None else end - pieces
    files.write_pieces(
        [(piece, everything.read(piece, 0, info.piece_size(piece))) for piece in range(first, end)]  # type: ignore[arg-type]
    )
    if pieces is None:
        files.finish()
    root, have = files.root, files.have
    files.close()
    everything.close()
    return root, have


def killed_at(call: str, number: int, work: Callable[[], object]) -> bool:
    """Do `work` in a process that is killed when it makes this call for the n-th time."""
    child = os.fork()
    if not child:
        real = getattr(os, call)
        left = number

        def counted(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        try:
            setattr(os, call, counted)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def refusal_without_override(work: Callable[[], object]) -> str:
    """Do `work` as somebody whom permissions hold, root or not; return what it raised."""
    sender, receiver = os.pipe()
    child = os.fork()
    if not child:
        try:
            _give_up_override()
            work()
        except Exception as error:  # noqa: BLE001 - told to the parent, whatever it is
            os.write(receiver, str(error).encode())
        finally:
            os._exit(0)
    os.close(receiver)
    os.waitpid(child, 0)
    with open(sender, "rb") as told:  # noqa: PTH123 - a descriptor
        return told.read().decode()


def _give_up_override() -> None:
    """Take from this process what lets root pass over permissions: see capabilities(7)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, sets) or not sets[0]:
        return
    sets[0] &= ~0b110  # effective: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
