"""What the tests share: random files, and torrents of them as a foreign client makes them."""

import filecmp
import random
from dataclasses import dataclass
from pathlib import Path

KIB = 1024


@dataclass(frozen=True)
class Content:
    """A file or a folder of files to share."""

    path: Path
    files: dict[str, int]
    """Sizes by path below `path`; a single file is the path ""."""

    def assert_equals_copy_in(self, folder: Path, *, empty_files: bool = True) -> None:
        """Compare every byte with the copy below `folder`.

        empty_files: whether the copy must have those too.
        """
        for name, size in self.files.items():
            if not size and not empty_files:
                continue
            copy = folder / self.path.name / name
            assert copy.is_file(), f"{copy} is missing"
            assert filecmp.cmp(self.path / name, copy, shallow=False), f"{copy} differs"


def make_content(folder: Path, name: str, size: int, *, multi_file: bool) -> Content:
    """Write about `size` random bytes, the same for the same name.

    A folder has an empty file, a file of one byte, nested folders, a name that is not ASCII, and no
    file that ends where a piece does.
    """
    rng = random.Random(name)
    if multi_file:
        part = size // 3
        files = {
            "begin.bin": part + 12_345,
            "empty": 0,
            "inner/deeper/one byte.txt": 1,
            "inner/middle größer.bin": part - 777,
            "inner/end.bin": part + 1,
        }
    else:
        files = {"": size + 4_321}
    for below, length in files.items():
        path = folder / name / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(length))
    return Content(folder / name, files)


@dataclass(frozen=True)
class Torrent:
    """A torrent made by libtorrent."""

    path: Path
    info_hash: bytes
    magnet: str


def make_torrent(
    content: Content, path: Path, tracker_url: str, *, hybrid: bool = False
) -> Torrent:
    """Make a version 1 torrent with libtorrent.

    hybrid: it is one of version 2 as well, so a pad file follows every file (BEP 52, BEP 47).
    """
    import libtorrent as lt

    entries = [
        lt.create_file_entry(str(Path(content.path.name, name)), size)
        for name, size in content.files.items()
    ]
    version = 0 if hybrid else lt.create_torrent.v1_only
    making = lt.create_torrent(entries, 64 * KIB, version)
    making.add_tracker(tracker_url)
    lt.set_piece_hashes(making, str(content.path.parent))
    path.write_bytes(lt.bencode(making.generate()))
    return read_torrent(path)


def read_torrent(path: Path) -> Torrent:
    """Read a .torrent file with libtorrent."""
    import libtorrent as lt

    loaded = lt.load_torrent_file(str(path))
    return Torrent(path, loaded.info_hashes.v1.to_bytes(), lt.make_magnet_uri(loaded))
