"""How often a tracker is asked: as often as it wants, and no more (BEP 3, 15, 31; RFC 9110)."""

import math
import random
from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from beating_hearts import announcing
from tracker_scripts import (
    HASH,
    REQUEST,
    connected_script,
    http_script,
    response,
    silent_udp,
    udp_script,
)
from trio_swarm.announcing import politeness
from trio_swarm.announcing.announcer import Announcer
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import TrackerError, TrackerRefusedError, TrackerUnreachableError
from trio_swarm.protocol.bencode import encode
from trio_swarm.protocol.trackers import http as http_tracker
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest

A, B, C = "udp://127.0.0.1:1/a", "udp://127.0.0.1:1/b", "http://127.0.0.1:1/announce"
DAY = 86_400.0
Says = AnnounceAnswer | TrackerError | None


def answer(interval: float = 0, least: float = 0, **more: object) -> AnnounceAnswer:
    return AnnounceAnswer(
        interval=interval,
        min_interval=least,
        seeders=0,
        leechers=0,
        peers=(),
        **more,  # type: ignore[arg-type]
    )


def refusal(retry_in: float | None = None) -> TrackerRefusedError:
    return TrackerRefusedError("no", tracker=A, retry_in=retry_in)


class Trackers:
    """Stands in for TrackerClients: what each URL says; None is silence."""

    def __init__(self, **says: Says) -> None:
        self.says = {A: says.get("a"), B: says.get("b"), C: says.get("c")}
        self.told: list[tuple[float, str, AnnounceEvent]] = []
        self.requests: list[AnnounceRequest] = []
        self.failures: list[tuple[str, float]] = []
        self.silent: list[tuple[float, str]] = []
        self.answered: list[str] = []

    async def announce(
        self, url: str, request: AnnounceRequest, *, tries: int | None = None
    ) -> AnnounceAnswer:
        self.told.append((round(trio.current_time() - self.began, 1), url, request.event))
        self.requests.append(request)
        said = self.says[url]
        if said is None:
            await trio.sleep(30)
            raise TrackerUnreachableError("silent", tracker=url)
        if isinstance(said, TrackerError):
            raise said
        return said

    def announce_soon(self, *_: object) -> None:
        """Leave it to a task."""

    async def run(
        self,
        tiers: list[list[str]],
        seconds: float,
        meanwhile: Callable[[Announcer], None] = lambda _announcer: None,
        *,
        one_at_a_time: bool = False,
    ) -> list[float]:
        """Run an announcer; return when announces were made."""
        self.began = trio.current_time()
        announcer = Announcer(
            self,  # type: ignore[arg-type]  # it stands in
            tiers,
            make_request=lambda event: AnnounceRequest(
                info_hash=HASH, peer_id=HASH, port=1, left=1, key=1, event=event
            ),
            on_answer=lambda url, _answer: self.answered.append(url),
            on_failure=lambda url, _error, retry_in: self.failures.append((url, retry_in)),
            on_silence=lambda url, seconds: self.silent.append((seconds, url)),
            rng=random.Random(2),
            one_at_a_time=one_at_a_time,
        )
        with trio.move_on_after(seconds):
            async with announcing(announcer):
                while True:
                    await trio.sleep(max(1, seconds // 1000))
                    meanwhile(announcer)
        return [at for at, _, _ in self.told]


@pytest.mark.parametrize(
    ("interval", "least", "kept"),
    [
        (10, 1800, 1800),  # BEP 3: clients must not announce more often than `min interval`
        (1800, 10, 1800),
        (0, 0, 1800),  # not given: what most trackers want
        (0, 60, 60),
        (-5, 0, 1800),
        (1e30, 0, DAY),
        (30, 1e30, DAY),
    ],
)
async def test_the_longer_of_the_intervals_counts(
    autojump_clock: object, interval: float, least: float, kept: float
) -> None:
    trackers = Trackers(a=answer(max(interval, 0), least))
    assert await trackers.run([[A]], kept * 1.5) == [0, kept]


async def test_wanting_peers_does_not_shorten_the_least_interval(autojump_clock: object) -> None:
    trackers = Trackers(a=answer(10, 600))
    assert await trackers.run([[A]], 1500, Announcer.announce_now) == [0, 600, 1200]


async def test_events_do_not_wait_for_the_least_interval(autojump_clock: object) -> None:
    trackers = Trackers(a=answer(10, 600))
    was_said = False

    def complete(announcer: Announcer) -> None:
        nonlocal was_said
        if not was_said:
            was_said = True
            announcer.completed()

    assert await trackers.run([[A]], 500, complete) == [0, 1]
    assert trackers.told[1][2] is AnnounceEvent.COMPLETED


@pytest.mark.parametrize(
    ("told", "again"),
    [
        (None, [0, 120, 360, 840, 1800, 3720, 7560, 14_760, 21_960]),
        (7200, [0, 7200, 14_400, 21_600]),
        (1, [0, 120, 360, 840, 1800, 3720, 7560, 14_760, 21_960]),
        (1e12, [0]),
        (math.inf, [0]),
    ],
)
async def test_a_refusal_is_not_asked_again_soon(
    autojump_clock: object, told: float | None, again: list[float]
) -> None:
    trackers = Trackers(a=refusal(told))
    assert await trackers.run([[A]], 22_000, Announcer.announce_now) == again


async def test_no_hint_silences_a_torrent_for_good_but_never(autojump_clock: object) -> None:
    trackers = Trackers(a=refusal(1e12))
    assert await trackers.run([[A]], 100_000) == [0, DAY]
    trackers = Trackers(a=refusal(math.inf))
    assert await trackers.run([[A]], 100_000) == [0]
    assert trackers.failures == [(A, math.inf)]


async def test_a_busy_tracker_is_left_alone_for_as_long_as_it_says(autojump_clock: object) -> None:
    busy = TrackerUnreachableError("HTTP 503", tracker=C, retry_in=600)
    assert await Trackers(c=busy).run([[C]], 1300) == [0, 600, 1200]


async def test_a_refusing_tracker_gives_way_and_is_left_alone(autojump_clock: object) -> None:
    """BEP 12: the next of its tier; BEP 31: a refusal of one is none of the other."""
    trackers = Trackers(a=refusal(7200), b=answer(100))
    await trackers.run([[A, B]], 1000)
    told_a = [at for at, url, _ in trackers.told if url == A]
    told_b = [at for at, url, _ in trackers.told if url == B]
    assert len(told_a) <= 1
    assert told_b == [100.0 * n for n in range(10)]


async def test_a_silent_tracker_delays_its_tier_by_seconds_only(autojump_clock: object) -> None:
    """BEP 12 keeps an order; a minute without peers is not in it (libtorrent 2.1 goes on after 10
    to 30 s)."""
    for tiers in ([[A, B]], [[B, A]]):
        trackers = Trackers(b=answer(100))
        await trackers.run(tiers, 5)
        assert trackers.answered == [B]
        assert trackers.told[-1][0] <= 3


async def test_a_silent_tracker_is_named_after_two_seconds_while_none_has_answered(
    autojump_clock: object,
) -> None:
    trackers = Trackers()
    await trackers.run([[A]], 200)
    assert trackers.silent == [(2, A)]
    trackers = Trackers(b=answer(100))
    await trackers.run([[A], [B]], 200)
    assert trackers.silent == []
    assert [url for url, _ in trackers.failures][:1] == [A]


async def test_one_at_a_time_means_that_the_next_is_told_when_one_has_failed(
    autojump_clock: object,
) -> None:
    """BEP 27, "Private torrents": trackers one at a time, the next when the current one fails."""
    trackers = Trackers(a=answer(100), b=answer(100))
    await trackers.run([[A], [B]], 1000, one_at_a_time=True)
    assert {url for _, url, _ in trackers.told} == {A}
    trackers = Trackers(b=answer(100))
    await trackers.run([[A], [B]], 350, one_at_a_time=True)
    assert [url for _, url, _ in trackers.told] == [A, B, B, B, B]
    assert trackers.told[1][0] == 10


async def test_a_tracker_id_is_sent_back(autojump_clock: object) -> None:
    """BEP 3: `trackerid`, kept when a later answer has none."""
    trackers = Trackers(a=answer(10, tracker_id=b"\x00id"))

    def forget(_announcer: Announcer) -> None:
        trackers.says[A] = answer(10)

    await trackers.run([[A]], 25, forget)
    assert [request.tracker_id for request in trackers.requests] == [None, b"\x00id", b"\x00id"]
    url = http_tracker.announce_url("http://h/announce", trackers.requests[1])
    assert "&trackerid=%00id" in url


@pytest.mark.parametrize(
    ("status", "headers", "body", "retry_in"),
    [
        ("200 OK", "", {"failure reason": "no", "interval": 7200}, 7200),
        ("200 OK", "", {"failure reason": "no", "min interval": 900, "interval": 60}, 900),
        ("200 OK", "", {"failure reason": "no", "retry in": 5}, 300),  # BEP 31: minutes
        ("200 OK", "", {"failure reason": "no", "retry in": "5"}, 300),
        ("200 OK", "", {"failure reason": "no", "retry in": "never"}, math.inf),
        ("200 OK", "", {"failure reason": "no", "retry in": -1}, None),
        ("200 OK", "", {"failure reason": "", "retry in": []}, None),
        ("429 Too Many Requests", "Retry-After: 600\r\n", None, 600),
        ("429 Too Many Requests", "", None, None),
        ("403 Forbidden", "Retry-After: 60\r\n", {"failure reason": "no", "retry in": 9}, 540),
        ("410 Gone", "", None, math.inf),
        ("404 Not Found", "Retry-After: x\r\n", None, None),
        ("500 Oops", "", {"failure reason": "no", "interval": 7}, 7),
    ],
)
async def test_a_refusal_says_when_to_come_again(
    status: str, headers: str, body: dict[str, object] | None, retry_in: float | None
) -> None:
    said = response(b"" if body is None else encode(body), status=status, headers=headers)  # type: ignore[arg-type]
    async with http_script(said) as (url, _), open_tracker_clients() as clients:
        with pytest.raises(TrackerRefusedError) as raised:
            await clients.announce(url, REQUEST)
    assert raised.value.retry_in == retry_in


async def test_a_busy_server_says_when_to_come_again() -> None:
    said = response(b"", status="503 Busy", headers="Retry-After: 120\r\n")
    async with http_script(said) as (url, _), open_tracker_clients() as clients:
        with pytest.raises(TrackerUnreachableError, match="HTTP 503") as raised:
            await clients.announce(url, REQUEST)
    assert raised.value.retry_in == 120


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20),
        ("Thu, 01 Jan 1970 00:02:00 -0000", 20),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("9" * 5000, 1e20),
        ("Thu, 99 Jan 1970 00:02:00 GMT", None),
        ("Thu, 01 Jan 99999999999 00:02:00 GMT", None),
        ("-5", None),
        ("1e9", None),
        ("\u0663", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """RFC 9110, 10.2.3."""
    told = http_tracker.parse_retry_after(text, 100.0)
    assert told == (None if seconds is None else pytest.approx(seconds))


@given(text=st.text(max_size=60))
def test_any_text_as_retry_after_is_a_time_or_nothing(text: str) -> None:
    told = http_tracker.parse_retry_after(text, 1e9)
    assert told is None or told >= 0


@given(
    interval=st.floats(0, allow_infinity=True)
    | st.integers(0, 10**400).map(lambda n: min(n, 1e300)),
    least=st.floats(0, allow_infinity=True),
    retry_in=st.none() | st.floats(0, allow_infinity=True, allow_nan=False),
    times=st.integers(0, 10**9),
)
def test_every_wait_has_limits(
    interval: float, least: float, retry_in: float | None, times: int
) -> None:
    asked = answer(interval, least)
    assert politeness.MIN_INTERVAL <= politeness.interval_of(asked) <= politeness.MAX_INTERVAL
    assert politeness.MIN_GAP <= politeness.gap_of(asked) <= politeness.MAX_INTERVAL
    for error in (refusal(retry_in), TrackerUnreachableError("x", tracker=A, retry_in=retry_in)):
        wait = politeness.wait_after(error, times=times, interval=30)
        assert wait == math.inf if retry_in == math.inf else 1 <= wait <= politeness.MAX_INTERVAL


async def test_eight_bytes_of_action_one_are_a_refusal(autojump_clock: object) -> None:
    """opentracker (0.0~git20210823): a hash that is not on its list; no words, and no peers."""

    def bare(_request: bytes, transaction: int) -> bytes:
        return b"\0\0\0\1" + transaction.to_bytes(4, "big")

    async with udp_script(connected_script(bare)) as url, open_tracker_clients() as clients:
        began = trio.current_time()
        with pytest.raises(TrackerRefusedError, match="refused, without saying why"):
            await clients.announce(url, REQUEST)
        assert trio.current_time() - began < 1


@pytest.mark.parametrize(("sent", "heard"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**32 - 1, 0)])
async def test_an_interval_below_zero_is_none(sent: int, heard: float) -> None:
    """BEP 15: a 32-bit integer with a sign."""

    def say(_request: bytes, transaction: int) -> bytes:
        return udp_tracker.announce_answer(transaction, sent, 1, 1, b"")

    async with udp_script(connected_script(say)) as url, open_tracker_clients() as clients:
        assert (await clients.announce(url, REQUEST)).interval == heard


async def test_stopping_takes_one_try_of_a_silent_tracker(autojump_clock: object) -> None:
    async with silent_udp() as url, open_tracker_clients() as clients:
        announcer = Announcer(
            clients,
            [[url]],
            make_request=lambda event: AnnounceRequest(
                info_hash=HASH, peer_id=HASH, port=1, left=1, key=1, event=event
            ),
            on_answer=lambda *_: None,
            on_failure=lambda *_: None,
        )
        async with announcing(announcer):
            await trio.sleep(1)
        began = trio.current_time()
        await announcer.stop()
        assert trio.current_time() - began < 2.5
