"""Courses of swarms to draw: any there can be, and a large one."""

import random

from hypothesis import strategies as st

from trio_swarm.lab.pictures.course import (
    Course,
    CoursePeer,
    Role,
)
from trio_swarm.piece_sets import full_set
from trio_swarm.recording import pack, records

ROLES: tuple[Role, ...] = ("seeder", "leecher", "free-rider")


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Make a course of a few peers and pieces, with times on a coarse grid, so that some meet."""
    pieces = draw(st.integers(1, 12))
    time = st.integers(0, 20).map(float)
    peers = []
    for index in range(draw(st.integers(1, 6))):
        role = draw(st.sampled_from(ROLES))
        joined = draw(time)
        stays = draw(st.none() | time)
        peers.append(
            CoursePeer(
                name=f"peer {index}",
                role=role,
                joined=joined,
                left=None if stays is None else joined + stays,
                had=full_set(pieces)
                if role == "seeder"
                else draw(st.integers(0, full_set(pieces))),
            )
        )
    course = Course(title="any", size=pieces * 100, pieces=pieces, seconds=45.0, peers=peers)
    gains = draw(
        st.sets(
            st.tuples(st.integers(0, len(peers) - 1), st.integers(0, pieces - 1)), max_size=40
        ).flatmap(lambda pairs: st.tuples(*(st.tuples(time, st.just(pair)) for pair in pairs)))
    )
    for at, (peer, piece) in sorted(gains):
        if not peers[peer].had >> piece & 1:
            course.gains.add(at, peer, piece)
    number = st.integers(0, len(peers) - 1)
    blocks = draw(
        st.lists(st.tuples(time, number, number, st.integers(0, pieces - 1), st.integers(1, 100)))
    )
    for block in sorted(blocks):
        course.blocks.add(*block)
    return course


def large(peers: int, pieces: int) -> Course:
    """Make one of a seeder and so many leechers; each piece spreads from there at random."""
    rng = random.Random(1)
    course = Course(
        title="large",
        size=pieces * 65536,
        pieces=pieces,
        seconds=100.0,
        peers=[
            CoursePeer(name="S1", role="seeder", had=full_set(pieces)),
            *(CoursePeer(name=f"L{n + 1}", role="leecher") for n in range(peers)),
        ],
    )
    events = sorted(
        (rng.uniform(0.0, 100.0), peer, piece)
        for peer in range(1, peers + 1)
        for piece in range(pieces)
    )
    for at, peer, piece in events:
        course.gains.add(at, peer, piece)
        course.blocks.add(at, rng.randrange(peers + 1), peer, piece, 65536)
    return course


STORY: list[records.Record] = [
    records.Began(0, pack(0b1), 4),
    records.Joined(1_000_000, 7, "10.0.0.1:6881", {}),
    records.Held(1_000_100, 7, pack((1 << 20) - 1)),
    records.Joined(2_000_000, 9, "10.0.0.2:6881", {}),
    records.Held(2_000_000, 9, pack(0b110)),
    records.Gained(2_500_000, 9, 5),
    records.Gained(2_600_000, 9, 5),
    records.Arrived(3_000_000, 7, 1, 0, 32768, 0),
    records.Arrived(3_500_000, 9, 1, 32768, 32768, 0),
    records.Verified(4_000_000, 1),
    records.Left(5_000_000, 9),
    records.Ended(6_000_000, "done"),
]
