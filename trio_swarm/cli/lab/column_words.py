"""Meanings of the columns of tables: for the help, for pages, and for the documents."""

import textwrap
from collections.abc import Mapping
from types import MappingProxyType

_WIDTH = 79

Words = Mapping[str, str]
"""By the heading of a column."""

NONE: Words = MappingProxyType({})

SIMULATED: Words = {
    "scheduler": "strategy for what to fetch from whom, and the options it was given",
    "last": "when the last leecher was complete, from the start of the swarm",
    "ratio": "that, as a multiple of the least time any strategy needs (Kumar and Ross): 1 is best",
    "p50": "from joining to completion: half of the leechers took no longer",
    "p95": "the same: 95 % of the leechers took no longer",
    "copies": "what the seeders sent, in times the torrent",
    "uplinks": "how much of what peers could have sent they did send",
    "in vain": "how much of what arrived had arrived before",
    "gave up": "leechers that left before they were complete; no other column counts them",
    "crossed": "what went from one rack to another, in times the torrent",
    "plays after": "from joining until a viewer's player starts, on the mean",
    "stalls": "times that a player ran out of data, of all viewers together",
    "stalled": "how long those stalls took, of all viewers together",
    "decides": "processor time of one decision of the strategy",
    "digest": "stands for all that happened: where two are equal, the same happened",
}

REPLAYED: Words = {
    "scheduler": "strategy for what to fetch from whom; first what was recorded",
    "time": "until the download was complete",
    "rate": "bytes that arrived, divided by that time",
    "HOST:PORT": "how much of what arrived came from this peer",
    "others": "how much came from all peers that have no column",
    "in vain": "what arrived and had arrived before",
    "decides": "processor time of one decision of the strategy",
    "digest": "stands for all that happened: where two are equal, the same happened",
}

CHECKED: Words = {
    "scenario": "one of the standard swarms that are simulated",
    "scheduler": "the strategy (or uploader, or choker): yours first, then the built-in ones",
    "ratio": "when the last leecher was complete, as a multiple of the least time possible",
    "copies": "what the seeders sent, in times the torrent",
    "in vain": "how much of what arrived had arrived before",
    "decides": "processor time of one decision; in a large swarm: with hundreds of peers",
}

EXPLAINED: Words = {
    "peer": "number of the connection, as --peer takes it",
    "pieces": "pieces of which it gave something",
    "gave": "what arrived from it, in vain or not",
    "share": "that, as a part of all that arrived",
    "in vain": "what arrived from it and had arrived before",
    "had by": "peers that had the piece, of those that were connected (--at)",
    "rarer": "wanted pieces that fewer peers had (--at)",
}

DOWNLOADED: Words = {
    "peer": "address of a connection",
    "client": "the program it says it is",
    "joined": "when it connected, from the beginning of the recording",
    "left": "when the connection ended; empty if it never did",
    "sent us": "what arrived from it, in vain or not",
    "share": "that, as a part of all that arrived",
    "in vain": "what arrived from it and had arrived before",
    "sent it": "what it was sent",
}

SWARMED: Words = {
    "peer": "name of its recording, or its address if it recorded nothing",
    "address": "by which others met it most often",
    "client": "the program it says it is",
    "joined": "when it began or was first met",
    "complete": "when it had everything, as far as was seen",
    "left": "when it was last seen; empty if it was there at the end",
    "got": "what arrived at it, as far as was recorded",
    "sent": "what arrived from it, as far as was recorded",
    "share": "that, as a part of all that was sent",
}


def help_lines(words: Words) -> str:
    """Return the columns as a section of a help, wrapped for a narrow terminal."""
    width = max(map(len, words)) + 2
    lines = ["Columns:"]
    for title, text in words.items():
        first, *rest = textwrap.wrap(text, _WIDTH - 2 - width)
        lines.append(f"  {title:<{width}}{first}")
        lines += [f"  {'':<{width}}{line}" for line in rest]
    return "\n".join(lines)
