"""Recordings to test with: any that the format allows, and a small one that tells a known story."""

from collections.abc import Sequence
from io import BytesIO

from hypothesis import strategies as st

from trio_swarm.engine.download.ledger import Grant
from trio_swarm.engine.lengths import BlockRun, Lengths
from trio_swarm.recording import Header, Record, Recording, pack, read_recording, records
from trio_swarm.recording.format import encode_events, encode_header, seal
from trio_swarm.schedulers.api import Assignment

BLOCK = 16384


def header(*, pieces: int = 20, blocks: int = 4) -> Header:
    return Header(
        program="trio-swarm 1.2.3",
        name="film.mkv",
        info_hash="ab" * 20,
        size=pieces * blocks * BLOCK - 100,
        piece_length=blocks * BLOCK,
        scheduler="rarest-first",
        scheduler_options={"random_first_pieces": 3},
        started=1.7e9,
    )


def file_of(head: Header, frames: Sequence[Sequence[Record]]) -> bytes:
    bodies = [body for frame in frames for body in encode_events(list(frame))]
    return encode_header(head) + b"".join(map(seal, bodies))


def read(content: bytes) -> Recording:
    return read_recording(BytesIO(content), "film.rec")


def some_events(lengths: Lengths) -> st.SearchStrategy[list[Record]]:
    """Return what makes lists of events that may follow each other in one recording."""
    count = lengths.piece_count
    piece = st.integers(0, count - 1)
    peer = st.sampled_from([1, 2, 70_000])
    pieces = st.integers(0, (1 << count) - 1).map(pack)

    @st.composite
    def run(draw: st.DrawFn) -> BlockRun:
        number = draw(piece)
        blocks = lengths.block_count(number)
        first = draw(st.integers(0, blocks - 1))
        last = draw(st.integers(first, blocks - 1))
        begin = first * BLOCK
        return BlockRun(number, begin, min((last + 1) * BLOCK, lengths.piece_size(number)) - begin)

    grants = st.lists(st.builds(Grant, peer, run()), min_size=1, max_size=3)
    at = st.just(0)
    amount = st.integers(0, 1 << 40)
    candidate = st.builds(records.Candidate, peer, amount, amount, amount, amount)
    assignment = st.builds(Assignment, peer, piece, st.integers(1, 99))
    decider = st.sampled_from(["strategy", "fallback", "host"])
    of_run = st.sampled_from([records.Rejected, records.Withdrawn, records.Unasked, records.Sent])
    event = st.one_of(
        st.builds(records.Named, at, peer, st.text(max_size=9), st.sampled_from(["", "ab" * 20])),
        st.builds(records.Left, at, peer),
        st.builds(records.Held, at, peer, pieces),
        st.builds(records.Gained, at, peer, piece),
        st.builds(records.Choked, at, peer, st.booleans()),
        st.builds(records.Unchoked, at, peer),
        st.builds(records.Allowed, at, peer, piece),
        st.builds(records.Suggested, at, peer, piece),
        st.builds(records.Limited, at, peer, amount),
        st.builds(
            records.Decided,
            at,
            decider,
            pieces,
            st.lists(candidate, max_size=3),
            st.lists(assignment, max_size=3),
            st.lists(st.text(max_size=9), max_size=2),
            amount,
        ),
        st.builds(records.Granted, at, grants, st.just([0])),
        st.builds(records.Cancelled, at, grants),
        st.builds(
            lambda key, r, again: records.Arrived(0, key, r.piece, r.begin, r.length, again),
            peer,
            run(),
            amount,
        ),
        st.builds(
            lambda kind, key, r: kind(0, key, r.piece, r.begin, r.length), of_run, peer, run()
        ),
        st.builds(records.Snubbed, at, peer),
        st.builds(records.Verified, at, piece),
        st.builds(records.Failed, at, piece, st.lists(st.text(max_size=9), max_size=2)),
        st.builds(records.Banned, at, st.lists(st.text(max_size=9), max_size=2)),
        st.builds(records.Completed, at),
    )
    start: list[Record] = [
        records.Began(0, pack(5), 32),
        records.Joined(0, 1, "10.0.0.1:1", {}),
        records.Joined(0, 2, "10.0.0.2:2", {"rack": "a"}),
        records.Joined(0, 70_000, "10.0.0.3:3", {}),
    ]
    return st.lists(event, max_size=20).map(lambda more: [*start, *more])


def told_story() -> list[Record]:
    """Return the small story that `explain` is tested with, of three peers and two pieces.

    Piece 0 is asked of the fast peer 1, and of peer 3 what a guard dropped; piece 1 of the slow
    peer 2, and in the end of peer 1 a second time. Peer 3 chokes us throughout.
    """
    peers = [records.Candidate(1, 8, 2, 4 << 20, 30_000), records.Candidate(2, 3, 0, 0, 0)]
    whole = BlockRun(0, 0, 4 * BLOCK)
    late = BlockRun(1, 0, 4 * BLOCK - 100)
    return [
        records.Began(0, [], 32),
        records.Joined(1_000, 1, "10.0.0.1:6881", {}),
        records.Joined(1_000, 2, "10.0.0.2:6881", {}),
        records.Joined(1_000, 3, "10.0.0.3:6881", {}),
        records.Held(2_000, 1, [0, 1]),
        records.Held(2_000, 2, [0, 1]),
        records.Held(2_000, 3, [0]),
        records.Unchoked(3_000, 1),
        records.Unchoked(3_000, 2),
        records.Named(3_000, 1, "libtorrent 2.1"),
        records.Decided(
            10_000,
            "strategy",
            [0, 1],
            peers,
            [Assignment(1, 0, 4), Assignment(2, 1, 4)],
            ["assigned piece 7 of 2 to peer 3"],
            120,
        ),
        records.Granted(10_000, [Grant(1, whole), Grant(2, late)], []),
        records.Arrived(60_000, 1, 0, 0, 2 * BLOCK, 0),
        records.Arrived(80_000, 1, 0, 2 * BLOCK, 2 * BLOCK, 0),
        records.Verified(82_000, 0),
        records.Granted(510_000, [Grant(1, BlockRun(1, BLOCK, 3 * BLOCK - 100))], [0]),
        records.Arrived(540_000, 2, 1, 0, BLOCK, 0),
        records.Arrived(610_000, 1, 1, BLOCK, 3 * BLOCK - 100, 0),
        records.Cancelled(610_000, [Grant(2, BlockRun(1, BLOCK, 3 * BLOCK - 100))]),
        records.Verified(620_000, 1),
        records.Completed(620_000),
        records.Left(700_000, 2),
        records.Ended(800_000, "stopped"),
    ]


STORY_HEADER = header(pieces=2)
