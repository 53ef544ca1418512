#!/bin/sh
# npm's piece-length 2.0.1 advises 1 GiB pieces for 1.5 TB and 16 KiB pieces for 1.6 TB.
#
# Expected: the piece length grows with the size up to a bound near 16 MiB, as in torf and in
#   libtorrent, and never falls again. (The documents set no bound: BEP 3 calls 256 KiB the most
#   common length, BEP 52 wants a power of two of at least 16 KiB; but the hashes of a large torrent
#   must stay few, and a piece must be small enough to be checked soon.)
# Seen: there is no bound: 100 GB get 128 MiB, 1.5 TB get 1 GiB, of which libtorrent says that it is
#   no valid piece length. From 2^40.5 bytes (1.56 TB) on the shift is beyond 31 bits and the answer
#   is the smallest there is, 16 KiB. create-torrent 6.1.3, which asks this package, takes 4 MiB
#   at most by default. That hides the first and not the second: 2 TB would be 122 million pieces
#   with 2.4 GB of hashes.
# Needs Node.js. No large file is made: only sizes are asked about.
# Exit code: 0 if this is still so, 1 if it has changed, 2 if the packages cannot be installed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
cd "$work"
python3 -m venv venv || exit 2
venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check \
    torf==4.3.1 libtorrent==2.1.1 || exit 2
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional --cache "$work/cache" \
    piece-length@2.0.1 || exit 2

cat >run.mjs <<'JAVASCRIPT'
import pieceLength from 'piece-length'

for (const size of [1e9, 1e11, 1.5e12, 1.6e12, 2e12]) console.log(size, pieceLength(size))
JAVASCRIPT
node run.mjs >by_npm.txt

venv/bin/python -I -W ignore - <<'PYTHON'
import sys

import libtorrent
import torf

KIB = 1024


def by_libtorrent(size):
    files = libtorrent.file_storage()
    files.add_file("file.bin", size)
    return libtorrent.create_torrent(files, 0, libtorrent.create_torrent.v1_only).piece_length()


def reads(piece_length):
    """Return whether libtorrent reads a v1 torrent of ten pieces of this length."""
    info = {b"name": b"x", b"length": 10 * piece_length, b"piece length": piece_length}
    try:
        libtorrent.torrent_info({b"info": info | {b"pieces": b"x" * 200}})
    except RuntimeError as error:
        print(f"libtorrent, pieces of {piece_length // KIB} KiB: {error}")
        return False
    return True


with open("by_npm.txt", encoding="ascii") as file:
    by_npm = dict(map(int, line.split()) for line in file)
print(f"{'bytes':>16} {'piece-length':>16} {'torf':>12} {'libtorrent':>12}   (KiB)")
others = []
for size, length in by_npm.items():
    pair = torf.Torrent.calculate_piece_size(size), by_libtorrent(size)
    others.extend(pair)
    print(f"{size:16,} {length // KIB:16,} {pair[0] // KIB:12,} {pair[1] // KIB:12,}")
as_told = (
    list(by_npm.values()) == [2**20, 2**27, 2**30, 2**14, 2**14]
    and max(others) <= 2**24
    and reads(2**24)
    and not reads(2**30)
)
sys.exit(0 if as_told else "This has changed.")
PYTHON
