#!/bin/sh
# The peer address (x.pe) of a magnet link is lost if it is percent-encoded, as libraries write it.
#
# Expected: BEP 9, "magnet URI format": x.pe=HOST:PORT is a parameter beside `dn` and `tr`, so a
#   reader decodes percent escapes in it as it does in those, and 10.0.0.1%3A6881 is 10.0.0.1:6881.
#   A library reads the links it writes.
# Seen: torf 4.3.1, Python's urlencode and JavaScript's URLSearchParams write %3A. libtorrent 2.1.1
#   decodes `dn` and `tr` and not x.pe: it takes the link and drops the peer without a word. npm's
#   magnet-uri 7.0.10 hands out the undecoded text as a peer address. torf cannot read x.pe at all:
#   its own link is an error.
# Needs Node.js.
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
    magnet-uri@7.0.10 || exit 2

cat >run.mjs <<'JAVASCRIPT'
import magnet from 'magnet-uri'

console.log(new URLSearchParams({ 'x.pe': '10.0.0.1:6881' }).toString())
for (const link of process.argv.slice(2)) {
  const { announce, peerAddresses } = magnet(link)
  console.log(announce.join(), peerAddresses.join())
}
JAVASCRIPT

venv/bin/python -I - <<'PYTHON'
import subprocess
import sys
from urllib.parse import urlencode

import libtorrent
import torf

TRACKER = "http://t.example/announce"
written = str(torf.Magnet("ab" * 20, dn="a b", tr=[TRACKER], x_pe="10.0.0.1:6881"))
plain = written.replace("10.0.0.1%3A6881", "10.0.0.1:6881")
encoded = urlencode({"x.pe": "10.0.0.1:6881"})
print("torf writes", written)
print("urlencode writes", encoded)


def by_libtorrent(link):
    read = libtorrent.parse_magnet_uri(link)
    print("libtorrent reads", read.name, read.trackers, read.peers)
    return read.name, read.trackers, read.peers


def by_torf(link):
    try:
        torf.Magnet.from_string(link)
    except torf.MagnetError as error:
        print("torf reads", error)
        return False
    return True


def by_magnet_uri(*links):
    command = ["node", "run.mjs", *links]
    read = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    print("URLSearchParams and magnet-uri:", *read, sep="\n    ")
    return read


as_told = (
    encoded in written != plain
    and by_libtorrent(plain) == ("a b", [TRACKER], [("10.0.0.1", 6881)])
    and by_libtorrent(written) == ("a b", [TRACKER], [])
    and by_magnet_uri(plain, written)
    == [encoded, f"{TRACKER} 10.0.0.1:6881", f"{TRACKER} 10.0.0.1%3A6881"]
    and not by_torf(plain)
    and not by_torf(written)
)
sys.exit(0 if as_told else "This has changed.")
PYTHON
