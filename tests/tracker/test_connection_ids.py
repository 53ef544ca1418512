"""Connection ids (BEP 15) that other processes take, also when somebody sets the wall clock."""

import socket

from hypothesis import given
from hypothesis import strategies as st

from tracker_stores import at_once, new_store
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.batch import DatagramBatch

SECRET = b"s" * 32
HOUR = 3600.0
ASKER = ("192.0.2.9", 5000)


class Process:
    """A tracker's process: its clocks, and what it answers to one datagram."""

    def __init__(self, *, now: float, wall: float, secret: bytes = SECRET) -> None:
        self.now, self.wall = now, wall
        store, self.registry = new_store()
        self._tracker = DatagramTracker(
            store,
            secret=secret,
            interval=30,
            own_address=lambda _asker: None,
            wall_clock=lambda: self.wall,
        )

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    def ask(self, data: bytes) -> bytes:
        batch = DatagramBatch(socket.AF_INET)
        batch.put(0, ASKER, data)
        batch.lengths = [len(data)]
        answers, _ = at_once(self._tracker.answers(batch, self.now))
        return answers[0]

    def connect(self) -> bytes:
        return udp_tracker.parse_connect_answer(self.ask(udp_tracker.connect_request(1)))

    def takes(self, connection_id: bytes) -> bool:
        request = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=7000, left=5, key=1)
        answer = self.ask(udp_tracker.announce_request(connection_id, 2, request))
        return udp_tracker.parse_answer_header(answer)[0] == udp_tracker.Action.ANNOUNCE


@given(
    now=st.floats(0, 1e7), other=st.floats(0, 1e7), wall=st.floats(1e9, 2e9), age=st.floats(0, 59)
)
def test_an_id_is_good_at_each_process_with_the_secret_whatever_its_own_clock(
    now: float, other: float, wall: float, age: float
) -> None:
    """libtorrent 2.0 keeps one id for an IP address, whatever the port."""
    one, another = Process(now=now, wall=wall), Process(now=other, wall=wall)
    stranger = Process(now=now, wall=wall, secret=b"x" * 32)
    connection_id = one.connect()
    for each in (another, stranger):
        each.pass_time(age)
    assert another.takes(connection_id)
    assert not stranger.takes(connection_id)


def test_an_id_of_a_machine_whose_clock_is_ahead_by_less_than_a_minute_is_good() -> None:
    assert Process(now=5.0, wall=630.0).takes(Process(now=7.0, wall=665.0).connect())
    assert not Process(now=5.0, wall=630.0).takes(Process(now=7.0, wall=755.0).connect())


@given(wall=st.floats(1e9, 2e9), jump=st.floats(-3 * HOUR, 3 * HOUR), age=st.floats(0, 59))
def test_a_wall_clock_that_is_set_locks_nobody_out(wall: float, jump: float, age: float) -> None:
    process = Process(now=100.0, wall=wall)
    before = process.connect()
    process.wall += jump
    process.pass_time(age)
    assert process.takes(before)
    after = process.connect()
    assert process.takes(after)
    assert Process(now=3.0, wall=process.wall).takes(after)
    # What was good before the clock was set ends, as it would have.
    process.pass_time(121 + abs(jump))
    assert not process.takes(before)
