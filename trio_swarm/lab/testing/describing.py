"""Views as text for a person, for the message that tells in which situation a promise broke."""

from collections.abc import Iterable

from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.schedulers.api import ChokePeerView, ChokeView, PeerView, SwarmView, UploadView

_MOST_PIECES = 40
"""Most pieces of one set that are listed one by one."""

View = SwarmView | UploadView | ChokeView


def pieces_text(pieces: PieceSet) -> str:
    """Return a set of pieces as text, with ranges: `{0-3, 7}`."""
    runs: list[list[int]] = []
    for piece in iterate(pieces):
        if runs and runs[-1][1] == piece - 1:
            runs[-1][1] = piece
        else:
            runs.append([piece, piece])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in runs[:_MOST_PIECES]]
    if len(runs) > _MOST_PIECES:
        shown.append("...")
    return "{" + ", ".join(shown) + "}"


def describe(view: View) -> str:
    """Return a view as lines: the view itself, and each of its peers."""
    if isinstance(view, SwarmView):
        lines = _swarm_lines(view)
    elif isinstance(view, UploadView):
        lines = _upload_lines(view)
    else:
        lines = _choke_lines(view)
    return "\n".join(["where the view is:", *(f"  {line}" for line in lines)])


def _swarm_lines(view: SwarmView) -> Iterable[str]:
    blocks = -(-view.piece_length // view.block_length)
    yield f"{view.piece_count} pieces of {blocks} blocks; wanted {pieces_text(view.wanted)}"
    if view.started:
        yield f"started {pieces_text(view.started)}, with free blocks {dict(view.free_blocks)}"
    for peer in view.peers:
        yield _peer_line(peer, f"room for {peer.room}")
    for peer in view.busy:
        yield _peer_line(peer, "busy")


def _peer_line(peer: PeerView, room: str) -> str:
    labels = f", labels {dict(peer.labels)}" if peer.labels else ""
    suggested = f", suggests {pieces_text(peer.suggested)}" if peer.suggested else ""
    return (
        f"peer {peer.key}: {room}, has {pieces_text(peer.pieces)}, {peer.in_flight} in flight, "
        f"{peer.rate:g} B/s, {peer.rtt:g} s{labels}{suggested}"
    )


def _upload_lines(view: UploadView) -> Iterable[str]:
    kind = "seeder" if view.is_seeder else "leecher"
    yield f"{kind} of {view.piece_count} pieces; has {pieces_text(view.have)}, {view.rate:g} B/s"
    for peer in view.peers:
        facts = [
            f"has {pieces_text(peer.pieces)}",
            f"was revealed {pieces_text(peer.revealed)}",
            f"was sent {peer.uploaded} B",
            "is a seeder" if peer.is_seeder else "",
            "" if peer.interested else "not interested",
            "" if peer.unchoked else "choked",
        ]
        yield f"peer {peer.key}: {', '.join(filter(None, facts))}"


def _choke_lines(view: ChokeView) -> Iterable[str]:
    kind = "seeder" if view.is_seeder else "leecher"
    yield f"{kind} with {view.slots} slots, at {view.now:g} s"
    for peer in view.peers:
        yield f"peer {peer.key}: {', '.join(_choke_facts(peer))}"


def _choke_facts(peer: ChokePeerView) -> Iterable[str]:
    yield "interested" if peer.interested else "not interested"
    if peer.unchoked:
        yield f"unchoked since {peer.unchoked_at} s"
    elif peer.waiting_since is not None:
        yield f"waiting since {peer.waiting_since} s"
    else:
        yield "choked"
    yield f"gives {peer.download_rate:g} B/s, takes {peer.upload_rate:g} B/s"
    if peer.snubbed:
        yield "snubbed"
    if peer.is_interesting:
        yield "has what we want" + (" and chokes us" if peer.choking_us else "")
