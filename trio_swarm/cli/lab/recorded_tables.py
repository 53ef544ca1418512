"""The tables on a page about a recording: its peers, and the bytes they gave and got."""

from collections import Counter

from trio_swarm.cli.output.text import duration_text, percent_text, safe_text, size_text
from trio_swarm.lab.pictures.course import completed
from trio_swarm.lab.pictures.from_recordings import SeenSwarm
from trio_swarm.recording import Recording
from trio_swarm.recording.story.summary import summarize

_MOST_ROWS = 50
"""Peers in a table; the ones that sent most."""


def download_table(recording: Recording) -> list[list[str]]:
    """Return the bytes that each connection gave to the peer that recorded."""
    peers = sorted(summarize(recording).peers, key=lambda each: -each.received)
    received = sum(peer.received for peer in peers)
    rows = [["peer", "client", "joined", "left", "sent us", "share", "in vain", "sent it"]]
    rows += [
        [
            safe_text(peer.address),
            safe_text(peer.client),
            duration_text(peer.joined),
            "" if peer.left is None else duration_text(peer.left),
            size_text(peer.received),
            percent_text(peer.received, received),
            size_text(peer.duplicate),
            size_text(peer.sent),
        ]
        for peer in peers[:_MOST_ROWS]
    ]
    return _ended(rows, len(peers))


def swarm_table(swarm: SeenSwarm) -> list[list[str]]:
    """Return the bytes each peer gave and got: the recording ones first, then by bytes sent."""
    course = swarm.course
    sent: Counter[int] = Counter()
    got: Counter[int] = Counter()
    blocks = course.blocks
    for sender, receiver, length in zip(blocks.sender, blocks.receiver, blocks.length, strict=True):
        sent[sender] += length
        got[receiver] += length
    every = sent.total()
    ends = completed(course, range(len(course.peers)))
    recorders = course.recorders
    order = sorted(range(len(course.peers)), key=lambda n: (n not in recorders, -sent[n], n))
    rows = [["peer", "address", "client", "joined", "complete", "left", "got", "sent", "share"]]
    for number in order[:_MOST_ROWS]:
        peer, seen = course.peers[number], swarm.seen[number]
        complete = "had it" if peer.role == "seeder" else ""
        if not complete and number in ends:
            complete = duration_text(ends[number])
        rows.append(
            [
                safe_text(peer.name),
                safe_text(seen.address),
                safe_text(seen.client),
                duration_text(peer.joined),
                complete,
                "" if peer.left is None else duration_text(peer.left),
                size_text(got[number]),
                size_text(sent[number]),
                percent_text(sent[number], every),
            ]
        )
    return _ended(rows, len(course.peers))


def _ended(rows: list[list[str]], peers: int) -> list[list[str]]:
    if peers > _MOST_ROWS:
        rows.append([f"and {peers - _MOST_ROWS:,} more", *[""] * (len(rows[0]) - 1)])
    return rows
