#!/bin/sh
# torrentool 1.2.0 gives a hybrid torrent (v1 and v2) an info-hash that no other program knows.
#
# Expected: by BEP 3, "info_hash", it is the SHA-1 of the info dictionary as it stands in the file.
#   A hybrid holds what both formats need (BEP 52, "Upgrade Path"), with a `pieces root` of 32 bytes
#   for each file. So a reader of v1 gives the v1 info-hash, or raises an error if it cannot read
#   the new keys. Saving the torrent changes no info-hash.
# Seen: torf and libtorrent agree. torrentool raises nothing and gives another hash: it reads every
#   string but `pieces` as UTF-8, puts U+FFFD where a `pieces root` is none, and hashes the result.
#   What it saves has longer roots, so libtorrent does not read the file. (Given a torrent of v2
#   alone, torrentool does raise an error: it is the hybrid that passes unnoticed.)
# Exit code: 0 if this is still so, 1 if it has changed, 2 if the packages cannot be installed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
cd "$work"
python3 -m venv venv || exit 2
venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check \
    torrentool==1.2.0 torf==4.3.1 libtorrent==2.1.1 || exit 2

mkdir files
head -c 20000 /dev/zero | tr '\0' a >files/a.bin
head -c 30000 /dev/zero | tr '\0' b >files/b.bin

venv/bin/python -I - <<'PYTHON'
import sys
from importlib.metadata import version

import libtorrent
import torf
from torrentool.api import Torrent

creator = libtorrent.create_torrent(libtorrent.list_files("files"), 16384)
libtorrent.set_piece_hashes(creator, ".")
with open("hybrid.torrent", "wb") as file:
    file.write(libtorrent.bencode(creator.generate()))


def hashes(path):
    """Return the v1 and v2 info-hash as libtorrent reads them, or its error."""
    try:
        both = libtorrent.torrent_info(path).info_hashes()
    except RuntimeError as error:
        return (f"error: {error}",) * 2
    return str(both.v1), str(both.v2)


def show(label, *values):
    print(f"{label:42}", *values, sep="\n    ")


right = hashes("hybrid.torrent")
by_torf = torf.Torrent.read("hybrid.torrent").infohash
read = Torrent.from_file("hybrid.torrent")
by_torrentool = read.info_hash
read.comment = "only a comment"
read.to_file("saved.torrent")
after = hashes("saved.torrent")

show(f"libtorrent {version('libtorrent')}, v1 and v2", *right)
show(f"torf {version('torf')}", by_torf)
show(f"torrentool {version('torrentool')}", by_torrentool)
show("libtorrent, of the file torrentool saved", *after)
as_told = by_torf == right[0] != by_torrentool and after[0].startswith("error: ")
sys.exit(0 if as_told else "This has changed.")
PYTHON
