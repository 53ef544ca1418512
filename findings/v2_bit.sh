#!/bin/sh
# libtorrent 2.1.1 hangs up on a peer that offers version 2 for a torrent that has only version 1.
#
# Expected: a peer that opens a connection by a version 1 info-hash may set a reserved bit "to indicate
#   that it also supports the new format", and the other end "may then respond with the new infohash"
#   (BEP 52, "Upgrade Path"). One whose torrent has no version 2 answers as ever, for reserved bits that
#   mean nothing to it are ignored (BEP 3, "peer protocol"). A peer that has only a magnet link does not
#   know yet whether the torrent is a hybrid, so it would set the bit.
# Seen: with the bit libtorrent closes the connection without an answer, and its alert says "invalid
#   info-hash". Without the bit it answers. For a hybrid it answers with the version 2 info-hash.
# Exit code: 0 if this is still so, 1 if it has changed, 2 if the package cannot be installed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
cd "$work"
python3 -m venv venv || exit 2
venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check \
    libtorrent==2.1.1 || exit 2

venv/bin/python -I - <<'PYTHON'
import pathlib
import socket
import sys
import time
from importlib.metadata import version

import libtorrent

root = pathlib.Path.cwd()
(root / "data").write_bytes(bytes(100_000))
session = libtorrent.session(
    {
        "listen_interfaces": "127.0.0.1:0",
        "alert_mask": libtorrent.alert.category_t.all_categories,
        "allow_multiple_connections_per_ip": True,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
    }
)


def seed(flags):
    """Seed a torrent of the data; return its info-hashes of 20 bytes, by version."""
    maker = libtorrent.create_torrent(libtorrent.list_files(str(root / "data")), 16384, flags)
    libtorrent.set_piece_hashes(maker, str(root))
    wanted = libtorrent.load_torrent_buffer(libtorrent.bencode(maker.generate()))
    wanted.save_path = str(root)
    wanted.flags |= libtorrent.torrent_flags.seed_mode
    wanted.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    session.add_torrent(wanted)
    hashes = wanted.ti.info_hashes()
    return {1: hashes.v1.to_bytes(), 2: hashes.v2.to_bytes()[:20] if hashes.has_v2() else None}


def answer(info_hash, offers_v2):
    """Return the info-hash that a handshake is answered with; None if there is no answer."""
    reserved = bytes((0, 0, 0, 0, 0, 0x10, 0, 0x14 if offers_v2 else 0x04))
    with socket.create_connection(("127.0.0.1", session.listen_port()), 30) as peer:
        peer.sendall(b"\x13BitTorrent protocol" + reserved + info_hash + b"-XX0000-" + b"f" * 12)
        told = b""
        while len(told) < 48:
            try:
                part = peer.recv(68 - len(told))
            except ConnectionResetError:
                return None
            if not part:
                return None
            told += part
    return told[28:48]


def reasons():
    return [str(alert.error.message()) for alert in session.pop_alerts()
            if isinstance(alert, libtorrent.peer_disconnected_alert)]


old, hybrid = seed(libtorrent.create_torrent.v1_only), seed(0)
end = time.monotonic() + 30
while not session.listen_port() and time.monotonic() < end:
    time.sleep(0.05)
session.pop_alerts()
seen = {}
for name, hashes in (("version 1 only", old), ("hybrid", hybrid)):
    for offers_v2 in (False, True):
        found = answer(hashes[1], offers_v2)
        word = {hashes[1]: "the same info-hash", None: "no answer"}.get(found)
        if found is not None and found == hashes[2]:
            word = "the version 2 info-hash"
        seen[name, offers_v2] = word
        print(f"libtorrent {version('libtorrent')}, {name}, bit {int(offers_v2)}: {word}")
time.sleep(0.5)
why = reasons()
print("why:", sorted(set(why)))
as_told = seen == {
    ("version 1 only", False): "the same info-hash",
    ("version 1 only", True): "no answer",
    ("hybrid", False): "the same info-hash",
    ("hybrid", True): "the version 2 info-hash",
} and "invalid info-hash" in why
sys.exit(0 if as_told else "This has changed.")
PYTHON
