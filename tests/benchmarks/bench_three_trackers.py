"""Three trackers, one engine, three downloads: what clients see while a tracker and the engine die.

    bench_three_trackers.py [--rounds 20] [--rate 5000]

Each round starts everything anew, as processes with real sockets: redis-server, three trackers that
share by it, a seeder and leechers with all three trackers, and 10,000 peers that announce at one
tracker each. Names are registered at A and looked for at B. A is killed; peers that announced there
alone are looked for at B and C. The engine is killed and comes back empty a second later; the third
download begins in between. Needs redis-server.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trio

sys.path.append(str(Path(__file__).parent.parent / "support"))

from redis_server import RedisServer, redis_server
from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX
from trio_swarm.protocol.trackers import udp
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.protocol.trackers.urls import url_data

HOSTS = ("127.18.0.1", "127.18.0.2", "127.18.0.3")
"""Of the trackers A, B and C."""
PORT = 6969
INTERVAL, LEASE = 4, 10
"""Seconds, short so that a round is."""
SWARMS, PEERS = 200, 50
"""Peers of each swarm; all of them announce every other second or so."""
ONLY_AT_A = 100
"""Peers that announce at A once, just before it is killed."""
NAMES = 5
SIZE = 24 << 20
"""Bytes of each download."""
STEP = 0.01
"""Seconds between two bursts of announces."""
CONNECTED = 50.0
"""Seconds for which a connection id is used: a client may use it for a minute (BEP 15)."""
PATIENCE = 2.0
"""Seconds after which an announce counts as unanswered."""


@dataclass
class Round:
    """What was seen in one round; times in seconds."""

    names: list[float] = field(default_factory=list)
    """From an announce at A until B finds the name."""
    held: float = 0.0
    """From their announce until B or C missed the first peer that only A heard of."""
    gone: float = 0.0
    """Until both had none of them."""
    agree: float = 0.0
    """From the start of the empty engine until B and C know all of each other again."""
    announces: int = 0
    errors: int = 0
    unanswered: int = 0
    downloads: int = 0
    """Those that ended with the right bytes."""


class Client:
    """One address that talks to one tracker."""

    def __init__(self, host: str, tracker: str) -> None:
        self.socket = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # This process does much else. What it has no room for would count as unanswered.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.host = host
        self.tracker = (tracker, PORT)
        self.connection_id = b""
        self.connected_at = float("-inf")
        self._number = 0

    async def bind(self) -> "Client":
        await self.socket.bind((self.host, 0))
        return self

    async def connect(self) -> None:
        """Get a connection id, which is good for all sockets of this address."""
        asker = await Client(self.host, self.tracker[0]).bind()
        asker.connected_at = float("inf")
        answer = await asker.ask(udp.connect_request)
        asker.socket.close()
        self.connection_id = udp.parse_connect_answer(answer)
        self.connected_at = trio.current_time()

    async def ask(self, request: Callable[[int], bytes]) -> bytes:
        """Return the answer to a request, repeated until there is one; RuntimeError if refused."""
        if trio.current_time() - self.connected_at > CONNECTED:
            await self.connect()
        self._number += 1
        while True:
            await self.socket.sendto(request(self._number), self.tracker)
            with trio.move_on_after(1):
                while True:
                    answer = await self.socket.recv(2048)
                    action, number = udp.parse_answer_header(answer)
                    if number == self._number:
                        if action == udp.Action.ERROR:
                            raise RuntimeError(udp.parse_error_answer(answer))
                        return answer

    async def announce(self, info_hash: bytes, port: int, name: str = "") -> None:
        data = url_data("/announce", share_name=name, size=1) if name else b""
        await self.ask(
            lambda number: udp.announce_request(
                self.connection_id, number, announce(info_hash, port), data
            )
        )

    async def finds(self, name: str) -> bool:
        answer = await self.ask(
            lambda number: udp.name_request(self.connection_id, number, name, is_glob=False)
        )
        return udp.parse_name_answer(answer).total > 0

    async def seeders(self, info_hashes: list[bytes]) -> list[int]:
        answer = await self.ask(
            lambda number: udp.scrape_request(self.connection_id, number, info_hashes)
        )
        return [each.seeders for each in udp.parse_scrape_answer(answer, len(info_hashes))]


def announce(info_hash: bytes, port: int) -> AnnounceRequest:
    return AnnounceRequest(
        info_hash=InfoHash(info_hash),
        peer_id=PeerId(PEER_ID_PREFIX + bytes(20 - len(PEER_ID_PREFIX))),
        port=port,
        left=0,
        key=port,
    )


def info_hash(kind: int, number: int) -> bytes:
    return bytes([kind]) + number.to_bytes(19, "big")


class Crowd:
    """Many peers of one address that announce at a tracker in turns, and at the next if it dies."""

    def __init__(self, number: int, seen: Round) -> None:
        self._number = number
        self._seen = seen
        self._client = Client(f"127.18.1.{number + 1}", HOSTS[number])
        self._peers = [
            (info_hash(1, at % SWARMS), 1024 + at // SWARMS)
            for at in range(number, SWARMS * PEERS, len(HOSTS))
        ]
        self._under_way: dict[int, float] = {}
        self.is_filled = trio.Event()

    def move(self, tracker: str) -> None:
        """Go on at another tracker; the trackers share the secret of connection ids."""
        self._client.tracker = (tracker, PORT)
        self._under_way.clear()

    async def run(self, rate: float) -> None:
        await self._client.bind()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take)
            sent, begin = 0, trio.current_time()
            while True:
                if trio.current_time() - self._client.connected_at > CONNECTED:
                    await self._client.connect()
                now = trio.current_time()
                while sent < rate * (now - begin):
                    hashed, port = self._peers[sent % len(self._peers)]
                    sent += 1
                    packet = udp.announce_request(
                        self._client.connection_id, sent, announce(hashed, port)
                    )
                    self._under_way[sent] = now
                    await self._client.socket.sendto(packet, self._client.tracker)
                for number in [at for at, when in self._under_way.items() if now - when > PATIENCE]:
                    del self._under_way[number]
                    self._seen.unanswered += 1
                if sent >= len(self._peers):
                    self.is_filled.set()
                await trio.sleep(STEP)

    async def _take(self) -> None:
        while True:
            answer = await self._client.socket.recv(2048)
            action, number = udp.parse_answer_header(answer)
            self._under_way.pop(number, None)
            self._seen.announces += 1
            if action == udp.Action.ERROR:
                self._seen.errors += 1
                print("an error:", udp.parse_error_answer(answer), file=sys.stderr)


def start(stack: ExitStack, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start trio-swarm; it is killed in the end."""
    argv = [sys.executable, "-m", "trio_swarm", *arguments]
    with log.open("ab") as file:
        process = subprocess.Popen(argv, stdout=file, stderr=file)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


async def measure_names(at_a: Client, at_b: Client, seen: Round) -> None:
    for number in range(NAMES):
        name = f"name {number}"
        await at_a.announce(info_hash(2, number), 7000 + number, name)
        begin = trio.current_time()
        while not await at_b.finds(name):  # noqa: ASYNC110 - when is measured
            await trio.sleep(0.002)
        seen.names.append(trio.current_time() - begin)
        await trio.sleep(0.2)


async def watch_held(clients: list[Client], since: float, seen: Round) -> None:
    """See how long B and C know the peers that only A heard of."""
    only = [info_hash(3, 0)]
    while True:
        known = [(await client.seeders(only))[0] for client in clients]
        now = trio.current_time() - since
        if min(known) < ONLY_AT_A and not seen.held:
            seen.held = now
        if not any(known):
            seen.gone = now
            return
        if now > 6 * LEASE:
            return
        await trio.sleep(0.05)


async def until_agreed(clients: list[Client], mark: int) -> None:
    """Wait until all know a name that each of them heard of, and all peers of all swarms."""
    for number, client in enumerate(clients):
        await client.announce(info_hash(mark, number), 7100, f"mark {mark} {number}")
    hashes = [info_hash(1, number) for number in range(SWARMS)]
    parts = [hashes[at : at + 70] for at in range(0, SWARMS, 70)]
    while True:
        is_agreed = True
        for client in clients:
            for number in range(len(clients)):
                is_agreed = is_agreed and await client.finds(f"mark {mark} {number}")
            for part in parts:
                is_agreed = is_agreed and set(await client.seeders(part)) == {PEERS}
        if is_agreed:
            return
        await trio.sleep(0.02)


async def downloaded(process: "subprocess.Popen[bytes]", path: Path, data: bytes) -> int:
    """Return 1 if a download ends well, 0 if not."""
    with trio.move_on_after(90):
        while process.poll() is None:  # noqa: ASYNC110 - it was started without Trio
            await trio.sleep(0.05)
    got = trio.Path(path)
    return int(process.poll() == 0 and await got.exists() and await got.read_bytes() == data)


async def one_round(folder: Path, redis: RedisServer, rate: float) -> Round:
    seen = Round()
    with ExitStack() as stack:
        await redis.start()
        stack.callback(redis.kill)
        trackers = []
        for number, host in enumerate(HOSTS):
            trackers.append(
                start(
                    stack,
                    folder / f"tracker{number}.log",
                    *("tracker", "--listen", f"{host}:{PORT}", "--shared", redis.url),
                    *("--interval", str(INTERVAL), "--lease", str(LEASE), "--json"),
                    *("--state-dir", str(folder / f"state{number}")),
                )
            )
        clients = [await Client("127.18.2.1", host).bind() for host in HOSTS]
        everywhere = [part for host in HOSTS for part in ("--tracker", f"udp://{host}:{PORT}")]
        files = {f"file{number}": os.urandom(SIZE) for number in range(3)}
        for name, data in files.items():
            (folder / name).write_bytes(data)
        start(
            stack,
            folder / "seeder.log",
            *("seed", *(str(folder / name) for name in files), *everywhere),
            *("--upload-limit", "3MiB", "--state-dir", str(folder / "seeder")),
        )
        async with trio.open_nursery() as nursery:
            crowds = [Crowd(number, seen) for number in range(len(HOSTS))]
            for crowd in crowds:
                nursery.start_soon(crowd.run, rate / len(HOSTS))
            gets = []

            def get(number: int) -> None:
                name = f"file{number}"
                process = start(
                    stack,
                    folder / f"get{number}.log",
                    *("get", name, "--dir", str(folder / f"got{number}"), *everywhere),
                    *("--no-seed", "--state-dir", str(folder / f"leecher{number}")),
                )
                gets.append((process, folder / f"got{number}" / name, files[name]))

            for name in files:
                while not await clients[2].finds(name):  # noqa: ASYNC110 - others know when
                    await trio.sleep(0.05)
            get(0)
            get(1)
            for crowd in crowds:
                await crowd.is_filled.wait()
            await until_agreed(clients, 4)
            await measure_names(clients[0], clients[1], seen)
            since = trio.current_time()
            for port in range(ONLY_AT_A):
                await clients[0].announce(info_hash(3, 0), 8000 + port)
            await trio.sleep(0.5)
            trackers[0].send_signal(signal.SIGKILL)
            crowds[0].move(HOSTS[1])
            nursery.start_soon(watch_held, await others(), since, seen)
            await trio.sleep(2)
            redis.kill()
            get(2)
            await trio.sleep(1)
            await redis.start()
            begin = trio.current_time()
            await until_agreed(clients[1:], 5)
            seen.agree = trio.current_time() - begin
            for each in gets:
                seen.downloads += await downloaded(*each)
            end = since + 6 * LEASE
            while not seen.gone and trio.current_time() < end:  # noqa: ASYNC110 - as above
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
    return seen


async def others() -> list[Client]:
    """Return clients of B and C of their own."""
    return [await Client("127.18.2.2", host).bind() for host in HOSTS[1:]]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rate", type=float, default=5000)
    given = parser.parse_args()
    rounds = []
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
            seen = await one_round(Path(folder), redis, given.rate)
        rounds.append(seen)
        print(
            f"round {number + 1}: names at B after {max(seen.names) * 1000:.0f} ms at most, peers "
            f"of A held {seen.held:.1f} s and gone after {seen.gone:.1f} s, agreed after "
            f"{seen.agree:.1f} s, {seen.announces:,} announces, {seen.errors} errors, "
            f"{seen.unanswered} unanswered, {seen.downloads} of 3 downloads",
            flush=True,
        )
    names = sorted(each for seen in rounds for each in seen.names)
    print(
        f"{len(rounds)} rounds: names p50 {statistics.median(names) * 1000:.0f} ms, most "
        f"{names[-1] * 1000:.0f} ms; held {min(seen.held for seen in rounds):.1f} s at least "
        f"(lease {LEASE} s); agreed after "
        f"{statistics.median(seen.agree for seen in rounds):.1f} s, most "
        f"{max(seen.agree for seen in rounds):.1f} s; {sum(seen.announces for seen in rounds):,} "
        f"announces, {sum(seen.errors for seen in rounds)} errors, "
        f"{sum(seen.unanswered for seen in rounds)} unanswered; "
        f"{sum(seen.downloads for seen in rounds)} of {3 * len(rounds)} downloads"
    )


if __name__ == "__main__":
    trio.run(main)
