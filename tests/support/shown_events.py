"""Progress and peers to show, and a display that a test reads."""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from trio_swarm.cli.output.live import draw
from trio_swarm.cli.output.reporting import HashingProgress
from trio_swarm.progress import PeerProgress, Progress


def progress_of(**changes: Any) -> Progress:
    values = {
        "state": "downloading",
        "size": 1000 * 1024,
        "have": 250 * 1024,
        "pieces": 1000,
        "pieces_have": 250,
        "download_rate": 1024.0**2,
        "upload_rate": 0.0,
        "eta": 12.0,
        "downloaded": 0,
        "uploaded": 0,
        "duplicate": 0,
        "peers": 2,
        "seeders": 1,
        "ratio": 0.5,
    }
    return Progress(**(values | changes))


def peer_of(**changes: Any) -> PeerProgress:
    values = {
        "address": "10.0.0.1:51413",
        "client": "libtorrent 2.0.11",
        "outgoing": True,
        "download_rate": 2048.0,
        "upload_rate": 0.0,
        "downloaded": 5,
        "uploaded": 6,
        "share": 0.5,
        "is_seeder": False,
        "choking_us": False,
        "interested": False,
        "unchoked": True,
        "in_flight": 3,
        "snubbed": False,
    }
    return PeerProgress(**(values | changes))


@dataclasses.dataclass
class Shown:
    """A torrent as the display sees it."""

    name: str
    state: Progress
    connected: list[PeerProgress]
    info_hash: bytes = b"\xab" * 20

    def progress(self) -> Progress:
        return self.state

    def peers(self) -> list[PeerProgress]:
        return self.connected


def drawn(
    torrents: list[Shown],
    hashing: Sequence[HashingProgress] = (),
    *,
    rows: int = 30,
    width: int = 110,
) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(draw(torrents, hashing, rows=rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
