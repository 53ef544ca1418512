#!/bin/sh
# aria2 1.36.0, the version of Debian 12, gives every hybrid torrent another info-hash; 1.37.0 does not.
#
# Expected: a hybrid (BEP 52, "Upgrade Path") is a version 1 torrent for a client that knows nothing of
#   version 2. Its info-hash is the SHA-1 of the info dictionary as it is in the file (BEP 3), whatever
#   else is in there, and `aria2c --show-files` tells it.
# Seen: 1.36.0 tells another info-hash, that of an info dictionary whose file tree has lost its entries
#   with empty keys. With it aria2 asks trackers and peers for a swarm in which it is alone. Without a
#   file tree its info-hash is right, and so is that of 1.37.0 for both.
# Exit code: 0 if this is still so, 1 if it has changed, 2 if the packages cannot be installed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
cd "$work"
command -v npm >/dev/null && command -v apt-get >/dev/null || exit 2
# The package and those that it needs, unpacked here; the system's own stay as they are.
mkdir debian
(
    cd debian
    apt-get download -q aria2=1.36.0-1 libaria2-0=1.36.0-1 libc-ares2 libssh2-1 libxml2 libicu72 \
        libsqlite3-0 >/dev/null
    for package in *.deb; do dpkg-deb -x "$package" .; done
) || exit 2
echo '{}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @naria2/linux-x64@1.37.0-beta.0 || exit 2
chmod +x node_modules/@naria2/linux-x64/aria2c
python3 -m venv venv || exit 2
venv/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check \
    libtorrent==2.1.1 || exit 2

venv/bin/python -I - <<'PYTHON'
import hashlib
import os
import pathlib
import re
import subprocess
import sys

import libtorrent

root = pathlib.Path.cwd()
(root / "data").mkdir()
(root / "data" / "a").write_bytes(bytes(range(256)) * 100)
(root / "data" / "b").write_bytes(b"b" * 5)
libraries = next((root / "debian/usr/lib").glob("*-linux-gnu"))
programs = {
    "1.36.0": root / "debian/usr/bin/aria2c",
    "1.37.0": root / "node_modules/@naria2/linux-x64/aria2c",
}


def make(flags):
    """Return the info dictionary of a torrent of the data, and its file."""
    maker = libtorrent.create_torrent(libtorrent.list_files(str(root / "data")), 16384, flags)
    libtorrent.set_piece_hashes(maker, str(root))
    made = maker.generate()
    path = root / f"{flags!s}.torrent"
    path.write_bytes(libtorrent.bencode(made))
    return made[b"info"], path


def told(program, path):
    """Return the version that aria2 says it is, and the info-hash that it tells."""
    run = {
        "env": os.environ | {"LD_LIBRARY_PATH": str(libraries)},
        "capture_output": True,
        "text": True,
    }
    version = subprocess.run([program, "--version"], **run).stdout.split()[2]
    shown = subprocess.run([program, "--no-conf", "--show-files", path], **run).stdout
    found = re.search(r"Info Hash: ([0-9a-f]{40})", shown)
    return version, found and found[1]


def without_empty_keys(value):
    if not isinstance(value, dict):
        return value
    return {key: without_empty_keys(each) for key, each in value.items() if key}


def sha1(info):
    return hashlib.sha1(libtorrent.bencode(info)).hexdigest()


as_told = True
for name, flags in (("version 1", libtorrent.create_torrent.v1_only), ("hybrid", 0)):
    info, path = make(flags)
    print(f"{name}: the SHA-1 is {sha1(info)}")
    for expected, program in programs.items():
        version, info_hash = told(program, path)
        print(f"    aria2 {version} tells {info_hash}")
        is_wrong = expected == "1.36.0" and name == "hybrid"
        wanted = sha1(without_empty_keys(info) if is_wrong else info)
        as_told &= version == expected and info_hash == wanted
sys.exit(0 if as_told else "This has changed.")
PYTHON
