"""Asking trackers for names: all of them at once, their answers merged."""

from collections.abc import Callable, Sequence

import trio

from trio_swarm import events
from trio_swarm.amounts import count_text, size_text
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.errors import NameAmbiguousError, NameUnknownError, TrackerError
from trio_swarm.protocol.announces import NameMatch


async def _ask_all(
    clients: TrackerClients, urls: Sequence[str], text: str, *, is_pattern: bool
) -> tuple[list[tuple[str, NameMatch]], list[TrackerError]]:
    """Return (tracker, match) pairs, in the trackers' order, and what failed."""
    answers: dict[str, list[NameMatch]] = {}
    failures: dict[str, TrackerError] = {}

    async def ask(url: str) -> None:
        try:
            question = clients.search if is_pattern else clients.resolve
            answers[url] = await question(url, text)
        except TrackerError as error:
            failures[url] = error

    async with trio.open_nursery() as nursery:
        for url in dict.fromkeys(urls):
            nursery.start_soon(ask, url)
    pairs = [(url, match) for url in dict.fromkeys(urls) for match in answers.get(url, ())]
    return pairs, [failures[url] for url in urls if url in failures]


def merge_matches(matches: Sequence[NameMatch]) -> list[NameMatch]:
    """Return one match per (name, info-hash): the one whose tracker knows most peers."""
    best: dict[tuple[str, bytes], NameMatch] = {}
    for match in matches:
        known = best.get((match.name, match.info_hash))
        if known is None or match.seeders + match.leechers > known.seeders + known.leechers:
            best[match.name, match.info_hash] = match
    return list(best.values())


async def find_name(
    clients: TrackerClients,
    urls: Sequence[str],
    name: str,
    *,
    info_hash: bytes | None,
    emit: Callable[[events.Event], None],
) -> NameMatch:
    """Return the one torrent that `name` stands for, or the one of `info_hash`.

    Raises NameUnknownError, NameAmbiguousError, or a TrackerError if no tracker answered.
    """
    pairs, failures = await _ask_all(clients, urls, name, is_pattern=False)
    matches = merge_matches([match for _url, match in pairs])
    if info_hash is not None:
        matches = [match for match in matches if match.info_hash == info_hash]
    if not matches:
        if failures and len(failures) == len(set(urls)):
            raise failures[0]
        raise NameUnknownError(name, tuple(dict.fromkeys(urls)))
    if len(matches) > 1:
        matches.sort(key=lambda match: -match.seeders)
        raise NameAmbiguousError(
            name,
            [match.info_hash for match in matches],
            [
                f"{match.info_hash.hex()} ({size_text(match.size)}, "
                f"{count_text(match.seeders, 'seeder')}, "
                f"{count_text(match.leechers, 'leecher')})"
                for match in matches
            ],
        )
    match = matches[0]
    emit(
        events.Resolved(
            share_name=match.name,
            info_hash=match.info_hash.hex(),
            size=match.size,
            seeders=match.seeders,
            leechers=match.leechers,
            tracker=next(url for url, found in pairs if found.info_hash == match.info_hash),
        )
    )
    return match


async def search_trackers(
    clients: TrackerClients, urls: Sequence[str], pattern: str
) -> list[NameMatch]:
    """Return what is shared under names that match a glob pattern, by name.

    Raises a TrackerError only if no tracker answered.
    """
    pairs, failures = await _ask_all(clients, urls, pattern, is_pattern=True)
    if failures and len(failures) == len(set(urls)):
        raise failures[0]
    matches = merge_matches([match for _url, match in pairs])
    return sorted(matches, key=lambda match: (match.name, -match.seeders, match.info_hash))


async def search_names(trackers: Sequence[str], pattern: str = "*") -> list[NameMatch]:
    """Ask trackers which names match a glob pattern; needs no node.

    Raises a TrackerError if no tracker answered.
    """
    async with open_tracker_clients() as clients:
        return await search_trackers(clients, trackers, pattern)
