"""A command line, and a node that it finds in the default state folder."""

from collections.abc import Iterator

import pytest

from command_line import CommandLine
from fake_control import FakeNode, fake_node


@pytest.fixture
def node(line: CommandLine) -> Iterator[FakeNode]:
    """A node with two torrents: `film.mkv`, which is fetched, and `notes.txt`, which is shared."""
    with fake_node(line.folder / "state" / "trio-swarm") as node:
        node.torrent(
            "film.mkv",
            state="downloading",
            have=1024**2,
            download_rate=2e6,
            eta=75.0,
            peers=3,
            scheduler={"name": "rarest-first", "options": {"window": 4}},
        )
        node.torrent("notes.txt", upload_rate=1e3, ratio=1.5)
        node.session["torrents"] = {"downloading": 1, "seeding": 1}
        yield node
