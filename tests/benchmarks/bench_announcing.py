"""Many announces a second to a UDP tracker (BEP 15), from one process.

    bench_announcing.py ADDRESS SWARMS PEERS_PER_SWARM fill
    bench_announcing.py ADDRESS SWARMS PEERS_PER_SWARM load SECONDS PEERS_WANTED [WINDOW]

`fill` announces every peer of all swarms once; `load` lets random ones of them announce again until
the time is over. Prints one JSON object: answers, lost, seconds, cpu (seconds of this process), and
peers (in a sampled answer, on average).

A generator in Python would be slower than the tracker it measures if it touched each datagram. So
datagrams are made beforehand, and sendmmsg and recvmmsg, by ctypes, move a batch a call.

What is under way is bounded (WINDOW), so that a tracker's socket need not drop anything, and is
topped up every NAP. Nothing here waits for one answer: an announce whose answer has not come when
its socket sends again is lost and makes room for another. Nor is this process woken by answers,
since waking it is work on the tracker's core: who sends answers one by one would pay for each.
"""

import ctypes
import itertools
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from hashlib import sha1
from typing import NamedTuple

PORT = 6969
SOCKETS = 16
"""Source addresses."""
BATCH = 32
"""Datagrams sent by a call."""
WINDOW = 192
"""Announces under way: a socket of default size holds some 270 such datagrams."""
NAP = 0.0002
"""Seconds between two looks at what has come; a tracker answers some 30 announces in that time."""
LOST_AFTER = 0.1
"""Seconds without any answer after which all that is under way is lost."""
POOL = 8192
"""Datagrams made for each socket before a load begins: 130,000 together, so that most of 100,000
swarms are among them and a tracker's caches help it as little as they would in earnest."""
ANNOUNCE = struct.Struct("!8sii20s20sqqqiiIiH")
LARGEST_ANSWER = 2048


class IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class MessageHead(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(IoVec)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class ManyMessages(ctypes.Structure):
    _fields_ = (("head", MessageHead), ("length", ctypes.c_uint))


libc = ctypes.CDLL(None, use_errno=True)


class Messages:
    """`count` datagrams of `size` bytes in one block of memory, for sendmmsg or recvmmsg."""

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self.memory = bytearray(count * size)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self._vectors = (IoVec * count)()
        self.heads = (ManyMessages * count)()
        for index in range(count):
            self._vectors[index] = IoVec(self._start + index * size, size)
            self.heads[index].head.vectors = ctypes.pointer(self._vectors[index])
            self.heads[index].head.vector_count = 1

    def at(self, index: int) -> ctypes.c_void_p:
        return ctypes.c_void_p(ctypes.addressof(self.heads) + index * ctypes.sizeof(ManyMessages))


class Asker:
    """One source address: a connected socket with the tracker's connection id."""

    def __init__(self, source: str, tracker: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.connect((tracker, PORT))
        self.connection_id = self._connect()
        self.socket.settimeout(0)
        self._number = self.socket.fileno()
        self.outgoing = Messages(POOL, ANNOUNCE.size)
        self.incoming = Messages(WINDOW, LARGEST_ANSWER)
        self.sent = 0
        self.got = 0
        self.under_way = 0

    def _connect(self) -> bytes:
        self.socket.settimeout(10)
        self.socket.send(struct.pack("!qii", 0x41727101980, 0, 7))
        action, transaction, connection_id = struct.unpack("!ii8s", self.socket.recv(2048))
        assert (action, transaction) == (0, 7)
        return connection_id

    def make(self, index: int, info_hash: bytes, port: int, wanted: int) -> None:
        """Put an announce of a leecher at `port` into the pool."""
        ANNOUNCE.pack_into(
            self.outgoing.memory,
            index * ANNOUNCE.size,
            self.connection_id,
            1,
            index,
            info_hash,
            b"-BB0000-%012d" % port,
            0,
            1 << 20,
            0,
            0,
            0,
            0,
            wanted,
            port,
        )

    def send(self, first: int, count: int) -> None:
        """Send datagrams of the pool; what was under way until now is given up."""
        self.under_way = count
        while count:
            sent = libc.sendmmsg(self._number, self.outgoing.at(first), count, 0)
            if sent < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            self.sent += sent
            first += sent
            count -= sent

    def take(self) -> None:
        """Count the answers that have come, if any are to come."""
        if self.under_way:
            # Each call fills from the first again: answers are counted, and one is looked at.
            answers = libc.recvmmsg(self._number, self.incoming.at(0), WINDOW, 0, None)
            if answers > 0:
                self.got += answers
                self.under_way = max(0, self.under_way - answers)

    def sample(self) -> int:
        """Return how many peers one of the latest answers had; SystemExit if it refused."""
        length = self.incoming.heads[0].length
        action = struct.unpack_from("!i", self.incoming.memory)[0]
        if action != 1:
            raise SystemExit(f"refused: {bytes(self.incoming.memory[8:length])!r}")
        return (length - 20) // 6


class Run(NamedTuple):
    """Datagrams of an asker's pool, to be sent by one call."""

    asker: Asker
    first: int
    count: int


def announce(runs: Iterator[Run], askers: list[Asker], window: int = WINDOW) -> float:
    """Send all runs, at most `window` announces under way; return when the last answer came."""
    following = next(runs, None)
    answered = heard = time.monotonic()
    got = 0
    while following is not None or any(asker.under_way for asker in askers):
        for asker in askers:
            asker.take()
        now = time.monotonic()
        if (got_now := sum(asker.got for asker in askers)) > got:
            got, answered, heard = got_now, now, now
        elif now - heard > LOST_AFTER:
            heard = now
            for asker in askers:
                asker.under_way = 0
        under_way = sum(asker.under_way for asker in askers)
        while following is not None:
            under_way += following.count - following.asker.under_way
            if under_way > window:
                break
            following.asker.send(following.first, following.count)
            following = next(runs, None)
        time.sleep(NAP)
    return answered


def info_hash(swarm: int) -> bytes:
    return sha1(b"swarm %d" % swarm).digest()


def peer(number: int) -> tuple[int, int]:
    """Return which socket, and the port, of peer `number` of a swarm.

    Ports are as far apart as people's are; all of a million peers differ.
    """
    return number % SOCKETS, 1024 + number * 7919 % 64_511


def fill_runs(askers: list[Asker], swarms: int, peers: int) -> Iterator[Run]:
    """Make all peers' announces."""
    made = [0] * SOCKETS
    for swarm in range(swarms):
        hashed = info_hash(swarm)
        for number in range(peers):
            which, port = peer(number)
            at = made[which] % POOL
            askers[which].make(at, hashed, port, 0)
            made[which] += 1
            if (at + 1) % BATCH == 0:
                yield Run(askers[which], at + 1 - BATCH, BATCH)
    for which, asker in enumerate(askers):
        if rest := made[which] % BATCH:
            yield Run(asker, made[which] % POOL - rest, rest)


def make_load(askers: list[Asker], swarms: int, peers: int, wanted: int) -> None:
    """Fill the pools with announces of peers that are chosen at random."""
    rng = random.Random(1)
    hashes = [info_hash(swarm) for swarm in range(swarms)]
    for which, asker in enumerate(askers):
        ports = [port for at, port in map(peer, range(peers)) if at == which]
        for index in range(POOL):
            asker.make(index, rng.choice(hashes), rng.choice(ports), wanted)


def load_runs(askers: list[Asker], seconds: float) -> Iterator[Run]:
    """Go round the pools for so long."""
    end = time.monotonic() + seconds
    for first in itertools.cycle(range(0, POOL, BATCH)):
        for asker in askers:
            if time.monotonic() > end:
                return
            yield Run(asker, first, BATCH)


def main() -> None:
    tracker, swarms, peers, what, *rest = sys.argv[1:]
    askers = [Asker(f"127.100.0.{number + 1}", tracker) for number in range(SOCKETS)]
    window = WINDOW
    if what == "fill":
        runs = fill_runs(askers, int(swarms), int(peers))
    else:
        seconds, wanted, *windows = rest
        window = int(windows[0]) if windows else WINDOW
        askers = askers[: int(peers)]
        make_load(askers, int(swarms), int(peers), int(wanted))
        runs = load_runs(askers, float(seconds))
    started, cpu = time.monotonic(), time.process_time()
    took = announce(runs, askers, window) - started
    samples = [asker.sample() for asker in askers if asker.got]
    answers = sum(asker.got for asker in askers)
    json.dump(
        {
            "answers": answers,
            "lost": sum(asker.sent for asker in askers) - answers,
            "seconds": took,
            "cpu": time.process_time() - cpu,
            "peers": sum(samples) / max(1, len(samples)),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
