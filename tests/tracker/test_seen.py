"""What an operator sees of a tracker: figures, metrics, the page, and who may look."""

from collections.abc import Awaitable, Callable

import httpx
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from local_swarm import until
from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX
from trio_swarm.tracker.seen.figures import (
    LISTED,
    OTHER,
    Seen,
    TopSwarm,
    TrackerFigures,
    biggest,
    refusal_kind,
    summed,
    without_gauges,
)
from trio_swarm.tracker.seen.status import read_status, status_json, status_of, status_page
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

LIMIT = 60.0
"""Seconds until a test that hangs has failed."""

KINDS = st.dictionaries(st.sampled_from(["registered", "stopped", "refused"]), st.integers(0, 9))
FIGURES = st.builds(
    TrackerFigures,
    started_at=st.floats(1, 2e9),
    announces_udp=st.integers(0, 9),
    announces_http=st.integers(0, 9),
    changes=KINDS,
    refusals=KINDS,
    peers=st.integers(0, 9),
)


@given(st.lists(FIGURES, min_size=1, max_size=4))
def test_figures_of_processes_add_up(every: list[TrackerFigures]) -> None:
    total = summed(every)
    assert total.announces == sum(each.announces for each in every)
    assert total.peers == sum(each.peers for each in every)
    assert total.started_at == min(each.started_at for each in every)
    for kind in ("registered", "stopped", "refused"):
        assert total.changes.get(kind, 0) == sum(each.changes.get(kind, 0) for each in every)
    assert summed([summed(every[:1]), *every[1:]]) == total


@given(FIGURES)
def test_a_process_that_ended_leaves_its_sums_and_holds_nothing(figures: TrackerFigures) -> None:
    left = without_gauges(figures)
    assert (left.announces, left.changes) == (figures.announces, figures.changes)
    assert (left.peers, left.swarms, left.names) == (0, 0, 0)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (
            "too many peers from this address: 20 are listed (max_peers_per_host)",
            "max_peers_per_host",
        ),
        ("this tracker does not take the torrent (deny)", "deny"),
        ("the name 'max_of_all' is taken", OTHER),
        ("a name of a stranger", OTHER),
    ],
)
def test_refusals_are_counted_by_settings(reason: str, kind: str) -> None:
    assert refusal_kind(reason) == kind


def test_of_many_swarms_the_biggest_are_listed() -> None:
    swarms = [TopSwarm(f"{at:040x}", "", at, at % 3, 0) for at in range(100)]
    listed = biggest(swarms)
    assert len(listed) == LISTED
    sizes = [each.seeders + each.leechers for each in listed]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) == 100


def status(name: str = "film", workers: int = 1) -> object:
    seen = [
        Seen(
            TrackerFigures(worker=at, started_at=90.0, peers=2),
            [TopSwarm("ab" * 20, name, 1, 1, 0)],
        )
        for at in range(workers)
    ]
    return status_of(seen, TrackerSettings(), version="1", now=100.0)


def test_a_name_that_a_stranger_gave_is_text_on_the_page_and_cut() -> None:
    hostile = "<script>alert(1)</script>\x1b[2J" + "x" * 500
    page = status_page(status(hostile)).decode()  # type: ignore[arg-type]
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "x" * 200 not in page
    assert "&lt;script&gt;" in page


def test_the_page_asks_nobody_else_for_anything() -> None:
    page = status_page(status(workers=2)).decode()  # type: ignore[arg-type]
    assert "://" not in page
    assert ">Workers<" in page
    assert ">Workers<" not in status_page(status()).decode()  # type: ignore[arg-type]


def test_the_json_is_read_back_and_nothing_else_is() -> None:
    told = status(workers=2)
    assert read_status(status_json(told)) == told  # type: ignore[arg-type]
    for wrong in (b"", b"[]", b'{"version": 1}', b"<html>", b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            read_status(wrong)


Check = Callable[[TrackerHandle, httpx.AsyncClient], Awaitable[None]]


async def with_tracker(check: Check, **settings: object) -> None:
    chosen = TrackerSettings(**({"port": 0, "host": "127.0.0.1"} | settings))  # type: ignore[arg-type]
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            handle = await nursery.start(serve_tracker, chosen)
            async with httpx.AsyncClient(
                trust_env=False, base_url=f"http://127.0.0.1:{handle.port}"
            ) as client:
                await check(handle, client)
            nursery.cancel_scope.cancel()


def announce(name: str = "", port: int = 7000) -> str:
    more = f"&name={name}" if name else ""
    peer_id = (PEER_ID_PREFIX + b"0" * 20)[:20].decode()
    return f"/announce?info_hash={'h' * 20}&peer_id={peer_id}&left=0&port={port}&size=5{more}"


async def test_what_a_tracker_did_is_told_as_json_and_to_prometheus() -> None:
    async def check(handle: TrackerHandle, client: httpx.AsyncClient) -> None:
        for port in (7000, 7001, 7001, 7002):
            assert (await client.get(announce("film", port))).status_code in {200, 503}
        await client.get(f"/scrape?info_hash={'h' * 20}")
        await client.get("/names?name=film")
        told = read_status((await client.get("/status.json")).content)
        total = told.total
        assert (total.announces_http, total.peers, total.swarms, total.names) == (4, 2, 1, 1)
        assert (total.scrapes_http, total.questions) == (1, 1)
        assert total.changes["registered"] == 2
        assert total.refusals == {"max_peers_per_swarm": 1}
        assert total.heartbeats == 1
        assert [(each.name, each.seeders) for each in told.top] == [("film", 2)]
        assert told.limits["max_peers_per_swarm"] == 2
        assert handle.figures()[0].announces == 4
        scraped = (await client.get("/metrics")).text
        values = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(scraped)
            for sample in family.samples
        }
        assert values["trio_swarm_tracker_announces_total", "0", "http"] == 4
        assert values["trio_swarm_tracker_peers", "0"] == 2
        assert values["trio_swarm_tracker_refusals_total", "0", "max_peers_per_swarm"] == 1
        page = await client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "film" in page.text

    await with_tracker(check, max_peers_per_swarm=2)


@pytest.mark.parametrize("path", ["/", "/status", "/status.json", "/metrics"])
async def test_only_this_machine_and_named_networks_may_look(path: str) -> None:
    """A trusted proxy tells who asks, so here anybody can be."""

    async def check(_handle: TrackerHandle, client: httpx.AsyncClient) -> None:
        for host, code in (("203.0.113.9", 403), ("10.1.2.3", 200), ("127.0.0.2", 200)):
            answer = await client.get(path, headers={"X-Forwarded-For": host})
            assert answer.status_code == code, host
        assert (
            "status_from"
            in (await client.get(path, headers={"X-Forwarded-For": "203.0.113.9"})).text
        )

    await with_tracker(check, proxies=("127.0.0.1",), status_from=("10.0.0.0/8",))


async def test_any_worker_tells_of_all_of_them() -> None:
    async def check(handle: TrackerHandle, client: httpx.AsyncClient) -> None:
        for number in range(8):
            target = announce(f"film-{number}").replace("h" * 20, f"{number}" * 20)
            assert (await client.get(target)).status_code == 200
        for _ in range(4):  # whichever worker takes the connection
            told = read_status((await client.get("/status.json")).content)
            assert [each.worker for each in told.workers] == [0, 1]
            await until(lambda: sum(each.peers for each in handle.figures()) == 8)
        await trio.sleep(1.1)  # an answer is good for a second
        told = read_status((await client.get("/status.json")).content)
        assert told.total.peers == 8
        assert len(told.top) == 8

    await with_tracker(check, workers=2)


def test_what_workers_say_of_themselves_fits_a_message() -> None:
    top = [TopSwarm("f" * 40, "é" * 127, 10**8, 10**8, 10**9)] * LISTED
    assert len(msgspec.msgpack.encode(Seen(TrackerFigures(), top))) < 64 * 1024
