"""Which torrents a call means by `ids`.

A number or hash alone, a list of both, `recently-active`, or nothing at all: then it means every
torrent, in `torrent-remove`, too, as transmission-remote wants it. Unknown ones are left out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trio_swarm.control.transmission.calling import Arguments
from trio_swarm.control.transmission.facts import TorrentFacts

_HASH: Final = re.compile(r"[0-9a-fA-F]{40}")

RECENTLY_ACTIVE: Final = frozenset({"recently-active", "recently_active"})
"""How each dialect writes it; both are understood in both."""


def means_recent(arguments: Arguments) -> bool:
    """Whether a call means the torrents that changed of late."""
    ids = arguments.raw("ids")
    return isinstance(ids, str) and ids in RECENTLY_ACTIVE


def chosen(
    arguments: Arguments, torrents: Sequence[TorrentFacts], recent: Iterable[int]
) -> Sequence[TorrentFacts]:
    """Return the torrents that a call means, each once, in the order of the list.

    `recent` are the ids of those that changed of late.
    """
    if "ids" not in arguments:
        return torrents
    ids = arguments.raw("ids")
    named = ids if isinstance(ids, list) else [ids]
    numbers = {each for each in named if isinstance(each, int) and not isinstance(each, bool)}
    hashes = {each.lower() for each in named if isinstance(each, str) and _HASH.fullmatch(each)}
    if any(isinstance(each, str) and each in RECENTLY_ACTIVE for each in named):
        numbers.update(recent)
    return [
        each for each in torrents if each.id in numbers or (hashes and each.info_hash in hashes)
    ]


def moved_in_queue(
    positions: Mapping[int, int], moved: Sequence[int], where: str
) -> list[tuple[int, int]]:
    """Return the steps that move torrents in the queue: (id, new position), to be done in order.

    `positions` has the position of every torrent; `where` is `top`, `up`, `down` or `bottom`. The
    moved ones keep their order among each other.
    """
    order = sorted(positions, key=lambda each: positions[each])
    chosen_ids = set(moved)
    group = [each for each in order if each in chosen_ids]
    last = len(order) - 1
    match where:
        case "top":
            return [(each, place) for place, each in enumerate(group)]
        case "bottom":
            return [(each, last) for each in group]
        case "up":
            return _one_up(order, chosen_ids)
        case _:
            mirrored = _one_up(order[::-1], chosen_ids)
            return [(each, last - place) for each, place in mirrored]


def _one_up(order: Sequence[int], group: set[int]) -> list[tuple[int, int]]:
    """Move each of a group one place forward, unless what is before it is of the group, too."""
    steps = []
    current = list(order)
    for place in range(1, len(current)):
        if current[place] in group and current[place - 1] not in group:
            current[place - 1], current[place] = current[place], current[place - 1]
            steps.append((current[place - 1], place - 1))
    return steps
