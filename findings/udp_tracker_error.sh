#!/bin/sh
# libtorrent 2.1.1 does not tell what a UDP tracker's error says; the same words over HTTP it tells.
#
# Expected: an error response of BEP 15 ("Error": action 3, transaction id, then a human-readable
#   message) reaches the user as a `failure reason` of BEP 3 does: by `tracker_error_alert`, whose
#   `error_message()` and `failure_reason()` are for the tracker's words.
# Seen: over UDP both are empty, whatever the tracker says, and only "tracker sent a failure message"
#   is left. Over HTTP both hold the tracker's words.
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
import http.server
import socket
import struct
import sys
import threading
import time
from importlib.metadata import version

import libtorrent

WORDS = "this torrent is not tracked here"


def answer_udp(bound):
    """Answer connect requests, and every announce with an error (BEP 15)."""
    while True:
        data, sender = bound.recvfrom(2048)
        action, transaction = struct.unpack_from(">II", data, 8)
        if action == 0:
            bound.sendto(struct.pack(">IIQ", 0, transaction, 1), sender)
        else:
            bound.sendto(struct.pack(">II", 3, transaction) + WORDS.encode(), sender)


class AnswerHttp(http.server.BaseHTTPRequestHandler):
    """Answer every announce with a failure reason (BEP 3)."""

    def do_GET(self):
        body = f"d14:failure reason{len(WORDS)}:{WORDS}e".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
web = http.server.HTTPServer(("127.0.0.1", 0), AnswerHttp)
for target, arguments in ((answer_udp, (udp,)), (web.serve_forever, ())):
    threading.Thread(target=target, args=arguments, daemon=True).start()


def told(url):
    """Return what the first tracker error says of an announce to `url`, None if none comes."""
    session = libtorrent.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "alert_mask": libtorrent.alert.category_t.all_categories,
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
        }
    )
    wanted = libtorrent.parse_magnet_uri("magnet:?xt=urn:btih:" + "ab" * 20)
    wanted.save_path = "."
    wanted.trackers = [url]
    session.add_torrent(wanted)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        session.wait_for_alert(500)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.tracker_error_alert):
                return alert.error.message(), alert.error_message(), alert.failure_reason()
    return None


by_udp = told("udp://127.0.0.1:%d/announce" % udp.getsockname()[1])
by_http = told("http://127.0.0.1:%d/announce" % web.server_port)
print(f"libtorrent {version('libtorrent')}: error, error_message(), failure_reason()")
print("    over UDP ", by_udp)
print("    over HTTP", by_http)
as_told = by_udp is not None and WORDS not in by_udp and by_http is not None and WORDS in by_http
sys.exit(0 if as_told else "This has changed.")
PYTHON
