"""What the tracker answers to one datagram: bytes in, bytes out, no socket."""

import socket
from collections.abc import Callable
from functools import lru_cache

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.tracker_urls import UrlShare, parse_url_data
from trio_swarm.protocol.udp_tracker import (
    ANNOUNCE_SIZE,
    PROTOCOL_ID,
    Action,
    announce_answer,
    connect_answer,
    error_answer,
    name_answer,
    parse_announce_request,
    parse_name_request,
    parse_options,
    parse_scrape_request,
    scrape_answer,
)
from trio_swarm.swarm.tracker_registry import AnnounceRefusedError, TrackerRegistry
from trio_swarm.tracker.connection_ids import ConnectionIds
from trio_swarm.tracker.name_searches import PendingSearch, SocketAddress
from trio_swarm.tracker.own_addresses import has_loopback, is_loopback, replace_loopback

MIN_DATAGRAM = 16
"""Bytes; a connect request, the shortest there is."""

MAX_DATAGRAM = 2048
"""Bytes read of one datagram: longer than any request we know."""

_OPTIONS_REMEMBERED = 4096
"""Heartbeats repeat their options word for word, so parsing them anew is a waste."""

_SCRAPE, _NAME = int(Action.SCRAPE), int(Action.NAME)
_ANNOUNCE_BYTES = Action.ANNOUNCE.to_bytes(4, "big")
_CONNECT_HEAD = PROTOCOL_ID.to_bytes(8, "big") + bytes(4)
_BAD_CONNECTION = "connection id expired"


class DatagramTracker:
    """Answers datagrams from a registry's state.

    `interval` (seconds) is what peers are told. `own_address` maps an asker's IP to our packed IP
    as that asker reaches us (`trio_swarm.tracker.own_addresses`).
    """

    def __init__(
        self,
        registry: TrackerRegistry,
        *,
        secret: bytes,
        interval: int,
        own_address: Callable[[str], bytes | None],
    ) -> None:
        self._registry = registry
        self._connection_ids = ConnectionIds(secret)
        self._interval = interval
        self._own_address = own_address
        self._parse_share = lru_cache(_OPTIONS_REMEMBERED)(_parse_share)

    def answer(
        self, data: bytes, source: SocketAddress, now: float
    ) -> bytes | PendingSearch | None:
        """Return the answer to `data` from `source` (as recvfrom gives it); never raises.

        None: silence. A glob search is returned as one still to be done. Whoever has not proved by
        a connection id to be at `source` never gets more bytes than were sent.
        """
        if len(data) < MIN_DATAGRAM:
            return None
        if not self._connection_ids.is_valid(data[:8], source[0], now):
            return self._answer_stranger(data, source[0], now)
        try:
            # Nearly all datagrams are announces.
            if data[8:12] == _ANNOUNCE_BYTES:
                return self._announce(data, source, now)
            return self._answer_known(data, source)
        except (RemoteProtocolError, AnnounceRefusedError) as error:
            return error_answer(_transaction_id(data), str(error))

    def _answer_known(self, data: bytes, source: SocketAddress) -> bytes | PendingSearch:
        action = int.from_bytes(data[8:12], "big")
        if action == _SCRAPE:
            counts = map(self._registry.scrape, parse_scrape_request(data))
            return scrape_answer(_transaction_id(data), counts)
        if action == _NAME:
            return self._names(data, source)
        raise RemoteProtocolError("unknown action")

    def _answer_stranger(self, data: bytes, host: str, now: float) -> bytes | None:
        if data.startswith(_CONNECT_HEAD):
            return connect_answer(_transaction_id(data), self._connection_ids.issue(host, now))
        # An error lets a client of a restarted tracker reconnect at once.
        error = error_answer(_transaction_id(data), _BAD_CONNECTION)
        return error if len(error) <= len(data) else None

    def _announce(self, data: bytes, source: SocketAddress, now: float) -> bytes:
        packet = parse_announce_request(data)
        share = self._parse_share(data[ANNOUNCE_SIZE:]) if len(data) > ANNOUNCE_SIZE else None
        host = source[0]
        ipv6 = len(source) == 4
        if ipv6:
            # A link-local address comes with its interface: "fe80::1%eth0".
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        else:
            packed = socket.inet_aton(host)
        seeders, leechers, peers = self._registry.announce(
            packet.info_hash,
            packed + data[ANNOUNCE_SIZE - 2 : ANNOUNCE_SIZE],
            now,
            left=packet.left,
            event=packet.event,
            num_want=packet.num_want,
            share=share,
        )
        if not is_loopback(host) and has_loopback(peers, ipv6=ipv6):
            peers = replace_loopback(peers, self._own_address(host), ipv6=ipv6)
        return announce_answer(
            packet.transaction_id,
            interval=self._interval,
            seeders=seeders,
            leechers=leechers,
            peers=peers,
        )

    def _names(self, data: bytes, source: SocketAddress) -> bytes | PendingSearch:
        query = parse_name_request(data)
        if query.is_glob:
            return PendingSearch(query, source, self._registry.search(query.pattern))
        matches = self._registry.resolve(query.pattern)
        return name_answer(query.transaction_id, len(matches), matches[query.offset :])


def _parse_share(options: bytes) -> UrlShare | None:
    return parse_url_data(parse_options(options))


def _transaction_id(data: bytes) -> int:
    return int.from_bytes(data[12:16], "big")
