"""Many announces a second to a UDP tracker (BEP 15), from one process of several.

    bench_announcing.py ADDRESS SWARMS PEERS_PER_SWARM PART PARTS fill
    bench_announcing.py ADDRESS SWARMS PEERS_PER_SWARM PART PARTS load SECONDS PEERS_WANTED

`fill` announces every peer of its part of the swarms once; `load` lets random ones of them announce
again until the time is over. Prints one JSON object: answers, lost, seconds, peers (in a sampled
answer, on average).

A generator in Python would be slower than the tracker it measures if it touched each datagram. So
datagrams are made beforehand, and sendmmsg and recvmmsg, by ctypes, move a batch a call.
"""

import ctypes
import json
import random
import socket
import struct
import sys
import time
from hashlib import sha1

PORT = 6969
SOCKETS = 16
"""Source addresses of one process."""
BATCH = 32
"""Datagrams a call."""
PIPELINE = 4
"""Batches under way."""
POOL = 2048
"""Datagrams made for each socket before a load begins."""
ANNOUNCE = struct.Struct("!8sii20s20sqqqiiIiH")
ANSWER_SECONDS = 1
LARGEST_ANSWER = 2048
MSG_WAITFORONE = 0x10000


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
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", ANSWER_SECONDS, 0)
        )
        self.connection_id = self._connect()
        self.outgoing = Messages(POOL, ANNOUNCE.size)
        self.incoming = Messages(BATCH, LARGEST_ANSWER)

    def _connect(self) -> bytes:
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
        """Send datagrams of the pool; loopback takes them all or blocks."""
        while count:
            sent = libc.sendmmsg(self.socket.fileno(), self.outgoing.at(first), count, 0)
            if sent < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            first += sent
            count -= sent

    def collect(self, count: int) -> int:
        """Return how many of `count` answers came before the time was over."""
        got = 0
        while got < count:
            # Each call fills from the first again: answers are counted, and one is looked at.
            answers = libc.recvmmsg(
                self.socket.fileno(), self.incoming.at(0), count - got, MSG_WAITFORONE, None
            )
            if answers < 0:
                break
            got += answers
        return got

    def sample(self) -> int:
        """Return how many peers the latest answer had; SystemExit if it refused."""
        length = self.incoming.heads[0].length
        action = struct.unpack_from("!i", self.incoming.memory)[0]
        if action != 1:
            raise SystemExit(f"refused: {bytes(self.incoming.memory[8:length])!r}")
        return (length - 20) // 6


def info_hash(swarm: int) -> bytes:
    return sha1(b"swarm %d" % swarm).digest()


def peer(number: int) -> tuple[int, int]:
    """Return which socket, and the port, of a swarm's peer `number` of this process."""
    return number % SOCKETS, 1024 + number // SOCKETS


def fill(askers: list[Asker], swarms: range, peers: int) -> tuple[int, int, list[int]]:
    counts = [0, 0]
    samples: list[int] = []
    used = [0] * SOCKETS

    def flush(which: int) -> None:
        asker = askers[which]
        for first in range(0, used[which], BATCH):
            count = min(BATCH, used[which] - first)
            asker.send(first, count)
            got = asker.collect(count)
            counts[0] += got
            counts[1] += count - got
        samples.append(asker.sample())
        used[which] = 0

    for swarm in swarms:
        hashed = info_hash(swarm)
        for number in range(peers):
            which, port = peer(number)
            askers[which].make(used[which], hashed, port, 0)
            used[which] += 1
            if used[which] == POOL:
                flush(which)
    for which in range(SOCKETS):
        if used[which]:
            flush(which)
    return counts[0], counts[1], samples


def load(
    askers: list[Asker], swarms: range, peers: int, seconds: float, wanted: int
) -> tuple[int, int, list[int]]:
    rng = random.Random(1)
    hashes = [info_hash(rng.choice(swarms)) for _ in range(min(len(swarms), SOCKETS * POOL))]
    for which, asker in enumerate(askers):
        ports = [port for at, port in map(peer, range(peers)) if at == which]
        for index in range(POOL if ports else 0):
            asker.make(index, rng.choice(hashes), rng.choice(ports), wanted)
    busy = askers[:peers]
    answers = lost = turn = 0
    samples: list[int] = []
    end = time.monotonic() + seconds
    sent: list[Asker] = []
    while sent or time.monotonic() < end:
        while len(sent) < PIPELINE and time.monotonic() < end:
            asker = busy[turn % len(busy)]
            asker.send(turn // len(busy) * BATCH % POOL, BATCH)
            sent.append(asker)
            turn += 1
        if not sent:
            break
        asker = sent.pop(0)
        got = asker.collect(BATCH)
        answers += got
        lost += BATCH - got
        if got:
            samples.append(asker.sample())
    return answers, lost, samples


def main() -> None:
    tracker, swarms, peers, part, parts, what, *rest = sys.argv[1:]
    askers = [Asker(f"127.{100 + int(part)}.0.{number + 1}", tracker) for number in range(SOCKETS)]
    own_swarms = range(int(part), int(swarms), int(parts))
    started = time.monotonic()
    if what == "fill":
        answers, lost, samples = fill(askers, own_swarms, int(peers))
    else:
        seconds, wanted = rest
        answers, lost, samples = load(askers, own_swarms, int(peers), float(seconds), int(wanted))
    took = time.monotonic() - started
    json.dump(
        {
            "answers": answers,
            "lost": lost,
            "seconds": took,
            "peers": sum(samples) / max(1, len(samples)),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
