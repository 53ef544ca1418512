"""The page `/names` of a tracker: names over HTTP, see `protocol.trackers.http_names`."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.protocol.trackers.http_names import MAX_MATCHES, names_answer
from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES, check_glob
from trio_swarm.protocol.trackers.urls import UrlShare, token_in
from trio_swarm.tracker.host_places import MAX_SEARCHES, MAX_SEARCHES_PER_HOST, HostPlaces
from trio_swarm.tracker.http.pages import NotNowError, Page, PageRequest
from trio_swarm.tracker.http.requests import unquoted
from trio_swarm.tracker.store.interface import Claim, MatchPage, NameQuestion, TrackerStore

MAX_OFFSET: Final = 0xFFFF
"""Matches left out at most, as over UDP."""

# The first of a key counts. Strangers choose the number of items, so no Python code looks at each.
_ITEM: Final = {
    key: re.compile(rb"(?:\A|&)%b=([^&]*)" % key)
    for key in (b"name", b"pattern", b"offset", b"info_hash")
}


class NamesPage:
    """Answers questions for names from a store."""

    def __init__(self, store: TrackerStore) -> None:
        self._store = store
        self.questions = 0
        """Asked since the start."""
        self._searching = HostPlaces(MAX_SEARCHES, per_host=MAX_SEARCHES_PER_HOST)

    async def __call__(self, request: PageRequest) -> Page:
        """Return the answer; RemoteProtocolError for a bad question, NotNowError for too many."""
        self.questions += 1
        query = request.query
        offset = _number(_item(query, b"offset"))
        pattern = _item(query, b"pattern")
        if pattern is not None:
            return Page(
                await self._search(NameQuestion(_text(pattern), offset, MAX_MATCHES), request)
            )
        name = _item(query, b"name")
        if name is None:
            raise RemoteProtocolError("a question for names has name= or pattern=")
        info_hash = _item(query, b"info_hash")
        if info_hash is not None:
            share = UrlShare(_text(name), 0, token_in(request.path, query))
            return Page(await self._claim(share, unquoted(info_hash), request.host))
        (found,) = await self._store.resolve([NameQuestion(_text(name), offset, MAX_MATCHES)])
        return Page(names_answer(found.total, found.matches))

    async def _search(self, question: NameQuestion, request: PageRequest) -> bytes:
        check_glob(question.name)
        if not self._searching.take(request.host):
            raise NotNowError("too many searches at once")
        try:
            found: MatchPage = await self._store.search(question, request.now)
        finally:
            self._searching.leave(request.host)
        return names_answer(found.total, found.matches)

    async def _claim(self, share: UrlShare, info_hash: bytes, host: bytes) -> bytes:
        if len(info_hash) != 20:
            raise RemoteProtocolError("info_hash must be 20 bytes, escaped as in URLs")
        (said,) = await self._store.claim([Claim(share.name, info_hash, host, share.token)])
        if said.refusal is not None:
            return names_answer(0, (), said.refusal)
        seeders, leechers = said.counts.seeders, said.counts.leechers
        return names_answer(1, [NameMatch(info_hash, 0, seeders, leechers, share.name)])


def _item(query: bytes, key: bytes) -> bytes | None:
    found = _ITEM[key].search(query)
    return None if found is None else found[1]


def _number(value: bytes | None) -> int:
    if value is None:
        return 0
    if not value.isdigit() or len(value) > 5 or int(value) > MAX_OFFSET:
        raise RemoteProtocolError(f"offset must be a number up to {MAX_OFFSET}")
    return int(value)


def _text(value: bytes) -> str:
    if not 0 < len(value) <= 3 * MAX_NAME_BYTES:
        raise RemoteProtocolError(f"a name has 1 to {MAX_NAME_BYTES} bytes")
    text = unquote_to_bytes(value)
    if len(text) > MAX_NAME_BYTES:
        raise RemoteProtocolError(f"a name has 1 to {MAX_NAME_BYTES} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("the name is not UTF-8") from None
