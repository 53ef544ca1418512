"""Asking trackers for names: all of them at once, their answers merged.

A slow tracker does not hold up the others for long: a moment after the first one knew something,
the answers so far count, and the silent trackers are named.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from trio_swarm import events
from trio_swarm.amounts import count_text, size_text
from trio_swarm.announcing.clients import OnPage, TrackerClients, open_tracker_clients
from trio_swarm.announcing.racing import tell_silence
from trio_swarm.errors import NameAmbiguousError, NameUnknownError, TrackerError
from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.protocol.trackers.urls import supports_names
from trio_swarm.settings import ignore_event

FOUND_GRACE = 1.0
"""Seconds the other trackers get when one knew the name: another may know another torrent by it."""

LIST_GRACE = 2.0
"""The same for a list, which should rather be whole."""

UNKNOWN_PATIENCE = 5.0
"""Seconds the other trackers get when one did not know the name: a lost datagram, sent again after
2 seconds, must not make a name unknown."""


PAGES_PATIENCE = 20.0
"""Seconds a tracker gets from its first page on: a long list takes a round trip for some 20 names.
After that the pages so far count."""


class _NameQuestion:
    """One question for names to several trackers at once, and their answers."""

    def __init__(
        self, urls: Sequence[str], *, grace: float, emit: Callable[[events.Event], None]
    ) -> None:
        self.asked = list(dict.fromkeys(urls))
        self.matches: dict[str, list[NameMatch]] = {}
        """By tracker, as far as it told them."""
        self.failures: dict[str, TrackerError] = {}
        self._grace = grace
        self._emit = emit
        self._began = trio.current_time()
        self._scopes = {url: trio.CancelScope() for url in self.asked}
        self._told_silent: set[str] = set()

    @property
    def pairs(self) -> list[tuple[str, NameMatch]]:
        """(tracker, match) in the trackers' order."""
        return [(url, match) for url in self.asked for match in self.matches.get(url, ())]

    @property
    def silent(self) -> list[str]:
        """Trackers that have not said a word."""
        return [url for url in self.asked if url not in self.matches and url not in self.failures]

    def check(self) -> None:
        """Raise the first failure if no tracker answered."""
        if not self.matches and self.failures:
            raise self.failures[next(url for url in self.asked if url in self.failures)]

    async def ask(self, question: Callable[[str, OnPage], Awaitable[list[NameMatch]]]) -> None:
        """Ask all trackers; return when enough have answered."""
        async with trio.open_nursery() as nursery:
            for url in self.asked:
                nursery.start_soon(self._ask_one, url, question)
        for url in self.silent:
            self._tell_silence(url)
        if self.matches:
            for url, error in self.failures.items():
                if not supports_names(url):
                    continue  # it is no news that an HTTP tracker knows no names
                self._emit(
                    events.TrackerFailed(
                        info_hash="", tracker=url, reason=str(error), retry_in=None
                    )
                )

    async def _ask_one(
        self, url: str, question: Callable[[str, OnPage], Awaitable[list[NameMatch]]]
    ) -> None:
        scope = self._scopes[url]

        def heard(page: Sequence[NameMatch]) -> None:
            if url not in self.matches:
                scope.deadline = trio.current_time() + PAGES_PATIENCE
            self.matches.setdefault(url, []).extend(page)

        with scope:
            try:
                self.matches[url] = await tell_silence(
                    lambda: question(url, heard), lambda _seconds: self._tell_silence(url)
                )
            except TrackerError as error:
                self.failures[url] = error
                return
            self._hurry(self._grace if self.matches[url] else UNKNOWN_PATIENCE)

    def _hurry(self, patience: float) -> None:
        """Give the trackers that have not said a word so many seconds from now."""
        deadline = trio.current_time() + patience
        for url in self.silent:
            self._scopes[url].deadline = min(self._scopes[url].deadline, deadline)

    def _tell_silence(self, url: str) -> None:
        if url not in self._told_silent and url not in self.matches:
            self._told_silent.add(url)
            seconds = round(trio.current_time() - self._began, 1)
            self._emit(events.TrackerSilent(info_hash="", tracker=url, seconds=seconds))


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
    found = _NameQuestion(urls, grace=FOUND_GRACE, emit=emit)
    await found.ask(lambda url, on_page: clients.resolve(url, name, on_page=on_page))
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
    """Return the torrents whose names match a glob pattern, by name.

    Raises a TrackerError only if no tracker answered; `emit` is told of single ones that did not.
    """
    found = _NameQuestion(urls, grace=LIST_GRACE, emit=emit)
    await found.ask(lambda url, on_page: clients.search(url, pattern, on_page=on_page))
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
