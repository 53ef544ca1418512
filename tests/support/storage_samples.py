"""Small torrents for the storage tests: their bytes, and their Info."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from trio_swarm.protocol.metainfo.torrent import FileEntry, Info, build_info
from trio_swarm.storage.content import TorrentFiles

PIECE = 16384


def make_info(
    lengths: Sequence[int],
    *,
    piece_length: int = PIECE,
    padding: Sequence[int] = (),
    data: bytes | None = None,
    paths: Sequence[tuple[str, ...]] | None = None,
) -> Info:
    """Return a folder torrent of files f0, f1 …, some of them pad files."""
    files = []
    offset = 0
    for number, length in enumerate(lengths):
        path = paths[number] if paths else (f"f{number}",)
        files.append(FileEntry(path, length, offset, padding=number in padding))
        offset += length
    if data is None:
        hashes = bytes(20 * -(-offset // piece_length))
    else:
        hashes = hash_all(data, piece_length)
    return Info(
        info_hash=hashlib.sha1(hashes).digest() if data else bytes(20),
        name="torrent",
        piece_length=piece_length,
        piece_hashes=hashes,
        files=tuple(files),
        is_single_file=False,
        private=False,
        length=offset,
        raw=b"",
    )


def hash_all(data: bytes, piece_length: int = PIECE) -> bytes:
    return b"".join(
        hashlib.sha1(data[start : start + piece_length]).digest()
        for start in range(0, len(data), piece_length)
    )


@dataclass(frozen=True)
class Sample:
    """A torrent and the bytes it is of."""

    info: Info
    data: bytes

    @property
    def every(self) -> int:
        return (1 << self.info.piece_count) - 1

    def piece(self, piece: int) -> bytes:
        start = piece * self.info.piece_length
        return self.data[start : start + self.info.piece_size(piece)]

    def file(self, number: int) -> bytes:
        entry = self.info.files[number]
        return self.data[entry.offset : entry.offset + entry.length]

    def write(self, files: TorrentFiles, *pieces: int) -> None:
        """Write pieces, some of them together."""
        for first in range(0, len(pieces), 3):
            some = pieces[first : first + 3]
            written, error = files.write_pieces([(piece, self.piece(piece)) for piece in some])
            if error is not None:
                raise error
            assert written == len(some)

    def put(self, root: Path) -> None:
        """Put the finished data at `root`."""
        for number, entry in enumerate(self.info.files):
            if not entry.padding:
                path = root.joinpath(*entry.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.file(number))

    def assert_at(self, root: Path) -> None:
        for number, entry in enumerate(self.info.files):
            if not entry.padding:
                assert root.joinpath(*entry.path).read_bytes() == self.file(number)


def one_file(pieces: int = 10, *, cut: int = 100, name: str = "movie.bin", seed: int = 1) -> Sample:
    """A single-file torrent whose last piece lacks `cut` bytes."""
    data = random.Random(seed).randbytes(pieces * PIECE - cut)
    info = build_info(
        name=name, piece_length=PIECE, piece_hashes=hash_all(data), files=None, length=len(data)
    )
    return Sample(info, data)


def folder(lengths: Sequence[int] = (40_000, 0, 5, 70_000, 16384), *, seed: int = 2) -> Sample:
    """A folder torrent: nested paths, an empty file, pieces that span files."""
    data = random.Random(seed).randbytes(sum(lengths))
    paths = [("deep",) * (number % 3) + (f"f{number}",) for number in range(len(lengths))]
    info = build_info(
        name="album",
        piece_length=PIECE,
        piece_hashes=hash_all(data),
        files=list(zip(paths, lengths, strict=True)),
        length=None,
    )
    return Sample(info, data)


def padded() -> Sample:
    """A folder torrent with a pad file (BEP 47) between two files."""
    data = random.Random(3).randbytes(20_000) + bytes(2 * PIECE - 20_000)
    data += random.Random(4).randbytes(10_000)
    info = make_info([20_000, 2 * PIECE - 20_000, 10_000], padding=[1], data=data)
    return Sample(replace(info, name="padded"), data)


@pytest.fixture(autouse=True)
def close_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every TorrentFiles of a test, so that descriptors do not pile up over the suite.

    A test file has it by importing it.
    """
    opened: list[TorrentFiles] = []
    real = TorrentFiles.__init__

    def init(self: TorrentFiles, *args: Any) -> None:
        opened.append(self)
        real(self, *args)

    monkeypatch.setattr(TorrentFiles, "__init__", init)
    yield
    for files in opened:
        if hasattr(files, "_log"):
            files.close()


def begin(sample: Sample, tmp_path: Path, *pieces: int) -> TorrentFiles:
    """Start (or go on with) a download under tmp_path, check it and write `pieces`."""
    files = TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")
    files.check()
    sample.write(files, *pieces)
    return files
