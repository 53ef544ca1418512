#!/bin/sh
# "Not private" is another torrent: `private` = 0 is written where the key could be left out.
#
# Expected: BEP 27 knows one pair, private=1, in the info dictionary. A torrent that is not
#   private has no such key, so the same file, name and piece length give the same info-hash (BEP 3)
#   whichever program made the torrent, and saying "private: false" changes nothing.
# Seen: dottorrent 1.10.1 writes private=0 into every torrent that is not private; torf 4.3.1 and
#   npm's create-torrent 6.1.3 do so if told `false` (what a form or a configuration hands on), and
#   not if told nothing. torrentool 1.2.0 leaves the key out in both cases. So one public file has
#   two info-hashes, and with them two swarms.
# Needs Node.js.
# Exit code: 0 if this is still so, 1 if it has changed, 2 if the packages cannot be installed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
cd "$work"
python3 -m venv venv || exit 2
venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check \
    dottorrent==1.10.1 bencoder.pyx==3.0.3 torf==4.3.1 torrentool==1.2.0 || exit 2
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional --cache "$work/cache" \
    create-torrent@6.1.3 parse-torrent@11.0.24 || exit 2

# 262,144 is the one piece length torrentool uses for a file as small as this.
head -c 500000 /dev/zero | tr '\0' x >file.bin

venv/bin/python -I - <<'PYTHON' >seen.txt
import dottorrent
import torf
from torrentool.api import Torrent

PIECE = 262144


def by_torf(**told):
    torrent = torf.Torrent("file.bin", piece_size=PIECE, **told)
    torrent.generate()
    return torrent.infohash


def by_dottorrent(**told):
    torrent = dottorrent.Torrent("file.bin", piece_size=PIECE, **told)
    torrent.generate()
    return torrent.info_hash


def by_torrentool(*told):
    torrent = Torrent.create_from("file.bin")
    for value in told:
        torrent.private = value
    return torrent.info_hash


print("torrentool told nothing |", by_torrentool())
print("torrentool told False |", by_torrentool(False))
print("torf told nothing |", by_torf())
print("torf told False |", by_torf(private=False))
print("dottorrent told nothing |", by_dottorrent())
print("dottorrent told False |", by_dottorrent(private=False))
PYTHON

cat >run.mjs <<'JAVASCRIPT'
import { promisify } from 'node:util'
import createTorrent from 'create-torrent'
import parseTorrent from 'parse-torrent'

const create = promisify(createTorrent)
for (const [told, options] of [['nothing', {}], ['false', { private: false }]]) {
  const torrent = await create('file.bin', { pieceLength: 262144, announceList: [], ...options })
  console.log(`create-torrent told ${told} |`, (await parseTorrent(torrent)).infoHash)
}
JAVASCRIPT
node run.mjs >>seen.txt

cat seen.txt
venv/bin/python -I - <<'PYTHON'
import sys

with open("seen.txt", encoding="utf-8") as file:
    seen = dict(line.strip().split(" | ") for line in file)
plain, zero = seen["torf told nothing"], seen["torf told False"]
expected = {
    "torrentool told nothing": plain,
    "torrentool told False": plain,
    "torf told nothing": plain,
    "torf told False": zero,
    "dottorrent told nothing": zero,
    "dottorrent told False": zero,
    "create-torrent told nothing": plain,
    "create-torrent told false": zero,
}
sys.exit(0 if plain != zero and seen == expected else "This has changed.")
PYTHON
