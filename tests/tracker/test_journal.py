"""What a tracker tells of what happens in it: changes up to a bound, sums of everything."""

import random
from pathlib import Path

import trio

from swarm_processes import processes
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.cli.output.describe import describe
from trio_swarm.events import Event, TrackerSummary
from trio_swarm.protocol.trackers.announces import AnnounceEvent, AnnounceRequest
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.journal import MOST_CHANGES, TrackerJournal
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.interface import Change, StoreCounts
from trio_swarm.tracker.store.registry import TrackerRegistry

A, B = b"a" * 20, b"b" * 20
ONE, TWO = bytes((10, 0, 0, 1, 0, 80)), bytes((10, 0, 0, 2, 0, 80))
NOTHING = StoreCounts(0, 0, 0)


def test_a_registry_tells_what_changes_and_never_of_heartbeats() -> None:
    seen: list[Change] = []
    registry = TrackerRegistry(
        RegistrySettings(max_names=1), rng=random.Random(1), watch=seen.append
    )
    registry.announce(A, ONE, 0, 5, share=UrlShare("x.iso", 1))
    assert [(change.kind, change.name) for change in seen] == [
        ("registered", "x.iso"),
        ("name_taken", "x.iso"),
    ]
    seen.clear()
    registry.announce(A, ONE, 30, 5, share=UrlShare("x.iso", 1))
    assert seen == []
    registry.announce(A, ONE, 31, 0, AnnounceEvent.COMPLETED, share=UrlShare("x.iso", 1))
    registry.announce(B, TWO, 31, 0, share=UrlShare("y.iso", 1))
    registry.announce(B, TWO, 60, 0, share=UrlShare("y.iso", 1))
    assert [(change.kind, change.info_hash, change.address) for change in seen] == [
        ("completed", A, ONE),
        ("registered", B, TWO),
        ("name_refused", B, TWO),
    ]
    assert seen[-1].reason == "the tracker has no room for another name: it has 1 (max_names)"
    seen.clear()
    registry.announce(B, TWO, 61, 0, AnnounceEvent.STOPPED)
    registry.expire(200, 100)
    assert [(change.kind, change.address) for change in seen] == [
        ("stopped", TWO),
        ("expired", ONE),
    ]


def test_changes_are_told_up_to_a_bound_and_counted_beyond_it() -> None:
    told: list[Event] = []
    journal = TrackerJournal(told.append)
    journal.sum_up(0, NOTHING)
    assert told == []
    for turn in range(1, 3):
        for _ in range(5 * MOST_CHANGES):
            journal.note(Change("registered", A, ONE))
        assert len(told) == MOST_CHANGES
        journal.sum_up(turn * 1_000, StoreCounts(1, 500, 0))
        summary = told.pop()
        assert isinstance(summary, TrackerSummary)
        assert (summary.announces, summary.registered, summary.renewed) == (1000, 500, 500)
        assert (summary.untold, summary.peers) == (4 * MOST_CHANGES, 500)
        told.clear()


def test_a_person_reads_one_line_of_each() -> None:
    told: list[Event] = []
    journal = TrackerJournal(told.append)
    journal.note(Change("name_refused", A, ONE, "x.iso", "the tracker has no room"))
    journal.sum_up(7, StoreCounts(1, 2, 0))
    assert [describe(event) for event in told] == [
        f"name refused 'x.iso' 10.0.0.1:80 {A.hex()}: the tracker has no room",
        "7 announces: renewed 7, names refused 1; 2 peers in 1 torrent, 0 names now",
    ]


async def test_the_tracker_command_tells_programs_what_happens(tmp_path: Path) -> None:
    """`tracker --json` and `tracker -v` said where they listen, and nothing more."""
    with trio.fail_after(60):
        async with processes(tmp_path) as start, open_tracker_clients() as clients:
            tracker, url = await start.tracker()
            for event in (AnnounceEvent.STARTED, AnnounceEvent.NONE, AnnounceEvent.STOPPED):
                request = AnnounceRequest(
                    info_hash=A,
                    peer_id=B,
                    port=7,
                    left=0,
                    event=event,
                    key=1,
                    share_name="x.iso",
                )
                await clients.announce(url, request)
            await tracker.wait_for("tracker_change", lambda told: told["change"] == "stopped")
            await tracker.stop()
    changes = [told for told in tracker.events if told["event"] == "tracker_change"]
    assert [told["change"] for told in changes] == ["registered", "name_taken", "stopped"]
    assert {(told["info_hash"], told["address"]) for told in changes} == {(A.hex(), "127.0.0.1:7")}
    (summary,) = [told for told in tracker.events if told["event"] == "tracker_summary"]
    assert (summary["announces"], summary["renewed"], summary["peers"]) == (3, 1, 0)
