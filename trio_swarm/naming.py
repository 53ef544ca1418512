"""Asking trackers for names: all of them at once, their answers merged.

No tracker holds up the others for long: a moment after the first one knew something, that is the
answer, and those that were silent are named.
"""

from collections.abc import Callable, Sequence

import trio
from msgspec import Struct

from trio_swarm import events
from trio_swarm.amounts import count_text, size_text
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.announcing.racing import tell_silence
from trio_swarm.errors import NameAmbiguousError, NameUnknownError, TrackerError
from trio_swarm.protocol.announces import NameMatch
from trio_swarm.protocol.tracker_urls import supports_names
from trio_swarm.settings import ignore_event

FOUND_GRACE = 1.0
"""Seconds the other trackers get when one knew the name: another may know another torrent by it."""

LIST_GRACE = 2.0
"""The same for a list, which should rather be whole."""

UNKNOWN_PATIENCE = 5.0
"""Seconds the other trackers get when one did not know the name: a lost datagram, sent again after
2 seconds, must not make a name unknown."""


class _Answers(Struct, frozen=True):
    """What trackers said of a name: (tracker, match) in the trackers' order, and who said none."""

    pairs: list[tuple[str, NameMatch]]
    failures: list[TrackerError]
    silent: list[str]
    """Those that had not answered when it was time to go on."""
    asked: list[str]

    def check(self) -> None:
        """Raise the first failure if no tracker answered."""
        if self.failures and len(self.failures) == len(self.asked):
            raise self.failures[0]


async def _ask_all(
    clients: TrackerClients,
    urls: Sequence[str],
    text: str,
    *,
    is_pattern: bool,
    emit: Callable[[events.Event], None],
) -> _Answers:
    # HTTP trackers know no names: they are asked, and say so, only if there is no other.
    asked = [url for url in dict.fromkeys(urls) if supports_names(url)] or list(dict.fromkeys(urls))
    answers: dict[str, list[NameMatch]] = {}
    failures: dict[str, TrackerError] = {}
    told: set[str] = set()
    question = clients.search if is_pattern else clients.resolve
    grace = LIST_GRACE if is_pattern else FOUND_GRACE
    began = trio.current_time()

    def tell(url: str) -> None:
        if url not in told:
            told.add(url)
            seconds = round(trio.current_time() - began, 1)
            emit(events.TrackerSilent(info_hash="", tracker=url, seconds=seconds))

    async with trio.open_nursery() as nursery:

        async def ask(url: str) -> None:
            try:
                answers[url] = await tell_silence(
                    lambda: question(url, text), lambda _seconds: tell(url)
                )
            except TrackerError as error:
                failures[url] = error
            else:
                patience = grace if answers[url] else UNKNOWN_PATIENCE
                deadline = trio.current_time() + patience
                nursery.cancel_scope.deadline = min(nursery.cancel_scope.deadline, deadline)

        for url in asked:
            nursery.start_soon(ask, url)
    silent = [url for url in asked if url not in answers and url not in failures]
    for url in silent:
        tell(url)
    if answers:
        for url, error in failures.items():
            emit(events.TrackerFailed(info_hash="", tracker=url, reason=str(error), retry_in=None))
    return _Answers(
        [(url, match) for url in asked for match in answers.get(url, ())],
        [failures[url] for url in asked if url in failures],
        silent,
        asked,
    )


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
    found = await _ask_all(clients, urls, name, is_pattern=False, emit=emit)
    matches = merge_matches([match for _url, match in found.pairs])
    if info_hash is not None:
        matches = [match for match in matches if match.info_hash == info_hash]
    if not matches:
        found.check()
        raise NameUnknownError(name, tuple(found.asked), silent=tuple(found.silent))
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
            tracker=next(url for url, known in found.pairs if known.info_hash == match.info_hash),
        )
    )
    return match


async def search_trackers(
    clients: TrackerClients,
    urls: Sequence[str],
    pattern: str,
    *,
    emit: Callable[[events.Event], None] = ignore_event,
) -> list[NameMatch]:
    """Return what is shared under names that match a glob pattern, by name.

    Raises a TrackerError only if no tracker answered; `emit` is told of single ones that did not.
    """
    found = await _ask_all(clients, urls, pattern, is_pattern=True, emit=emit)
    found.check()
    matches = merge_matches([match for _url, match in found.pairs])
    return sorted(matches, key=lambda match: (match.name, -match.seeders, match.info_hash))


async def search_names(
    trackers: Sequence[str],
    pattern: str = "*",
    *,
    on_event: Callable[[events.Event], None] = ignore_event,
) -> list[NameMatch]:
    """Ask trackers which names match a glob pattern; needs no node.

    `on_event` gets `TrackerSilent` and `TrackerFailed` events of trackers that others answered for.
    Raises a TrackerError if no tracker answered.
    """
    async with open_tracker_clients() as clients:
        return await search_trackers(clients, trackers, pattern, emit=on_event)
