"""Which worker's socket gets a datagram: asked of the real kernel."""

import random
import socket
from itertools import chain

import pytest
import trio

from trio_swarm.errors import ConfigError
from trio_swarm.tracker.binding import bind_sockets
from trio_swarm.tracker.udp.steering import owner_of, steering_fault

pytestmark = pytest.mark.skipif(steering_fault() is not None, reason="needs Linux' steering")


def taken(bound: socket.socket) -> list[bytes]:
    """Return what waits at a socket."""
    found = []
    while True:
        try:
            found.append(bound.recv(2048))
        except BlockingIOError:
            return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("workers", [2, 3, 7])
async def test_each_announce_and_scrape_reaches_the_owner_of_its_swarm(
    host: str, workers: int
) -> None:
    """BEP 15: an announce and a scrape have their first info-hash at byte 16."""
    number = random.Random(workers)
    sockets = await bind_sockets(host, 0, http=False, workers=workers)
    assert len(sockets.datagram) == workers
    with socket.socket(sockets.datagram[0].family, socket.SOCK_DGRAM) as client:
        client.connect(sockets.datagram[0].getsockname()[:2])
        for length in (0, 62, 900):
            for _ in range(100):
                info_hash = number.randbytes(20)
                client.send(number.randbytes(16) + info_hash + bytes(length))
                (data,) = taken(sockets.datagram[owner_of(info_hash, workers)])
                assert data[16:36] == info_hash
    for bound in sockets.datagram:
        assert taken(bound) == []
        bound.close()


async def test_what_is_about_no_swarm_is_spread_and_none_is_lost() -> None:
    number = random.Random(1)
    sockets = await bind_sockets("127.0.0.1", 0, http=False, workers=4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(sockets.datagram[0].getsockname())
        sent = [number.randbytes(length) for length in (0, 3, 12, 15, 35) for _ in range(8)]
        # Connect requests: only the transaction id differs.
        sent += [bytes(12) + number.randbytes(4) for _ in range(160)]
        for data in sent:
            client.send(data)
    got = [taken(bound) for bound in sockets.datagram]
    assert sorted(chain.from_iterable(got)) == sorted(sent)
    assert all(len(each) > 20 for each in got)
    for bound in sockets.datagram:
        bound.close()


@pytest.mark.parametrize("shares", [False, True])
async def test_a_port_that_another_program_has_is_refused_even_if_it_shares(
    *, shares: bool
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match="the port is in use"):
            await bind_sockets("127.0.0.1", other.getsockname()[1], http=False, workers=2)


async def test_several_workers_have_the_same_listeners_and_one_port_for_all() -> None:
    sockets = await bind_sockets(None, 0, http=True, workers=3)
    everything = [*sockets.datagram, *sockets.listeners]
    assert len({bound.getsockname()[1] for bound in everything}) == 1
    assert len(sockets.datagram) == 3 * len(sockets.listeners)
    await trio.lowlevel.checkpoint()
    for bound in everything:
        bound.close()
