"""Many announces a second to an HTTP tracker (BEP 3), each over a connection of its own.

    bench_announcing_http.py ADDRESS SWARMS PEERS_PER_SWARM SECONDS PEERS_WANTED

The peers are those that `bench_announcing.py fill` announced. Prints the same JSON object.

An announce takes the sender about as long as the tracker: a connection is opened, asked and closed
at both ends. So what is compared is the tracker's processor time. WINDOW connections are under way;
the tracker closes them, and the end of one is the start of the next.
"""

import itertools
import json
import random
import re
import select
import socket
import sys
import time
from urllib.parse import quote

from bench_announcing import POOL, PORT, SOCKETS, info_hash, peer

WINDOW = 64
"""Connections under way."""
PATIENCE = 5.0
"""Seconds for the last answers, after which they are lost."""
IP_BIND_ADDRESS_NO_PORT = 24
_PEERS = re.compile(rb"5:peers(\d+):")


def make_requests(tracker: str, which: int, swarms: int, peers: int, wanted: int) -> list[bytes]:
    """Return announces of random leechers of one source address, as libtorrent writes them."""
    rng = random.Random(which)
    hashes = [quote(info_hash(swarm), safe="") for swarm in range(swarms)]
    ports = [port for at, port in map(peer, range(peers)) if at == which]
    return [
        (
            f"GET /announce?info_hash={rng.choice(hashes)}&peer_id=-LT2110-{index:012d}"
            f"&port={rng.choice(ports)}&uploaded=0&downloaded=0&left=1048576&corrupt=0&key=ABCD1234"
            f"&numwant={wanted}&compact=1&no_peer_id=1&supportcrypto=1&redundant=0 HTTP/1.1\r\n"
            f"Host: {tracker}:{PORT}\r\nUser-Agent: libtorrent/2.1.1\r\nAccept-Encoding: gzip\r\n"
            "Connection: close\r\n\r\n"
        ).encode()
        for index in range(POOL)
    ]


class Load:
    """Connections from several addresses, WINDOW at a time."""

    def __init__(self, tracker: str, pools: list[list[bytes]]) -> None:
        self._tracker = tracker
        self._requests = itertools.cycle(
            (f"127.100.0.{which + 1}", pool[index])
            for index in range(POOL)
            for which, pool in enumerate(pools)
        )
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self.sent = self.got = 0
        self.sample = b""

    def begin(self) -> None:
        """Ask once more."""
        source, request = next(self._requests)
        asker = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        asker.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        asker.bind((source, 0))
        asker.connect((self._tracker, PORT))
        asker.send(request)
        self.sent += 1
        self._open[asker.fileno()] = asker
        # The tracker's end of it: all of the answer is there.
        self._poll.register(asker.fileno(), select.EPOLLRDHUP)

    def take(self) -> int:
        """Count the answers that have come; return how many connections ended."""
        ended = self._poll.poll(0.1)
        for number, _ in ended:
            asker = self._open.pop(number)
            answer = asker.recv(65_536)
            asker.close()
            if answer.startswith(b"HTTP/1."):
                self.got += 1
                self.sample = answer
        return len(ended)

    def run(self, seconds: float) -> float:
        """Ask for so long, and wait for the last answers; return for how long it asked."""
        started = time.monotonic()
        for _ in range(WINDOW):
            self.begin()
        while time.monotonic() < started + seconds:
            for _ in range(self.take()):
                self.begin()
        took = time.monotonic() - started
        given_up = time.monotonic() + PATIENCE
        while self._open and time.monotonic() < given_up:
            self.take()
        return took


def main() -> None:
    tracker, swarms, peers, seconds, wanted = sys.argv[1:]
    pools = [
        make_requests(tracker, which, int(swarms), int(peers), int(wanted))
        for which in range(min(SOCKETS, int(peers)))
    ]
    load = Load(tracker, pools)
    cpu = time.process_time()
    took = load.run(float(seconds))
    found = _PEERS.search(load.sample)
    if found is None:
        raise SystemExit(f"refused: {load.sample!r}")
    json.dump(
        {
            "answers": load.got,
            "lost": load.sent - load.got,
            "seconds": took,
            "cpu": time.process_time() - cpu,
            "peers": int(found[1]) / 6,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
