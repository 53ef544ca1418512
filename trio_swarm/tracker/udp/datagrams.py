"""What the tracker answers to datagrams: bytes in, bytes out, no socket."""

import struct
from collections.abc import Callable
from functools import lru_cache

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.protocol.trackers.udp import (
    ANNOUNCE_SIZE,
    PROTOCOL_ID,
    Action,
    NameClaim,
    announce_answer,
    claim_answer,
    connect_answer,
    error_answer,
    is_claim,
    name_answer,
    parse_claim_request,
    parse_name_request,
    parse_options,
    parse_scrape_request,
    scrape_answer,
)
from trio_swarm.protocol.trackers.urls import UrlShare, parse_url_data
from trio_swarm.tracker.store.compact_peers import is_loopback
from trio_swarm.tracker.store.registry import AnnounceRefusedError, Change, TrackerRegistry
from trio_swarm.tracker.udp.batch import MAX_DATAGRAM, DatagramBatch, SocketAddress
from trio_swarm.tracker.udp.connection_ids import SLOT, ConnectionIds
from trio_swarm.tracker.udp.name_searches import PendingSearch
from trio_swarm.tracker.udp.own_addresses import has_loopback, replace_loopback

MIN_DATAGRAM = 16
"""Bytes; a connect request, the shortest there is."""

_OPTIONS_REMEMBERED = 4096
"""Heartbeats repeat their options word for word, so parsing them anew is a waste."""

_PROOFS_REMEMBERED = 32_768
"""Askers with their connection ids, 200 bytes each. Who has so many addresses that this overflows
only makes each id be computed again, which takes 1 µs."""

_SCRAPE, _NAME = int(Action.SCRAPE), int(Action.NAME)
_ANNOUNCE_BYTES = Action.ANNOUNCE.to_bytes(4, "big")
_ANNOUNCE = int(Action.ANNOUNCE)
_CONNECT_HEAD = PROTOCOL_ID.to_bytes(8, "big") + bytes(4)
_BAD_CONNECTION = "connection id expired"

# An announce (BEP 15) in a slot of a DatagramBatch. First the proof of who sends it: the IP address
# (with the zeros or the scope after it), connection id and action, which are neighbours there. Then
# transaction id, info-hash, peer id, left, event, key, peers wanted, port. The IP address that an
# announce may name is not read: whoever believes it lets strangers aim peers at a victim (BEP 7).
_REST = f"I20s20s8xQ8xI4xIi2s{MAX_DATAGRAM - ANNOUNCE_SIZE}x"
_ANNOUNCE_SLOT4 = struct.Struct(f">4x24s{_REST}")
_ANNOUNCE_SLOT6 = struct.Struct(f">8x32s{_REST}")


class DatagramTracker:
    """Answers datagrams from a registry's state.

    `interval` (seconds) is what peers are told. `own_address` maps an asker's socket address to our
    packed IP as that asker reaches us (`trio_swarm.tracker.udp.own_addresses`). `watch` gets the
    announces that are refused.
    """

    def __init__(
        self,
        registry: TrackerRegistry,
        *,
        secret: bytes,
        interval: int,
        own_address: Callable[[SocketAddress], bytes | None],
        watch: Callable[[Change], None] | None = None,
    ) -> None:
        self._registry = registry
        self._connection_ids = ConnectionIds(secret)
        self._interval = interval
        self._own_address = own_address
        self._watch = watch
        self.announces = 0
        """Answered since the start, refused ones among them."""
        self._parse_share = lru_cache(_OPTIONS_REMEMBERED)(_parse_share)
        self._proofs: dict[bytes, tuple[bytes, bool]] = {}
        """What was found valid in this slot of time: whose it is, and whether that is loopback."""
        self._proofs_end = 0.0

    def answers(self, batch: DatagramBatch, now: float) -> tuple[list[bytes], list[PendingSearch]]:
        """Return the answer to each datagram, b"" for silence, and searches to do; never raises.

        Whoever has not proved by a connection id to be where the datagram comes from never gets
        more bytes than were sent.
        """
        if now >= self._proofs_end:
            self._proofs.clear()
            self._proofs_end = (now // SLOT + 1) * SLOT
        slots = _ANNOUNCE_SLOT4 if batch.is_v4 else _ANNOUNCE_SLOT6
        registry, interval = self._registry, self._interval
        announce, find_proof = registry.announce, self._proofs.get
        answers: list[bytes] = []
        searches: list[PendingSearch] = []
        others = 0
        # Nearly all datagrams are announces, so all are read as such before it is known; what a
        # shorter one seems to hold is left from others.
        for length, (
            proof,
            transaction_id,
            info_hash,
            peer_id,
            left,
            event,
            key,
            num_want,
            port,
        ) in zip(batch.lengths, slots.iter_unpack(batch.memory), strict=False):
            proved = find_proof(proof)
            if proved is None or length < ANNOUNCE_SIZE:
                index = len(answers)
                proved = self._prove(batch, index, proof, now)
                if proved is None:
                    answer = self._answer_other(batch, index, now)
                    if isinstance(answer, PendingSearch):
                        searches.append(answer)
                        answer = b""
                    answers.append(answer)
                    others += 1
                    continue
            host, is_near = proved
            try:
                seeders, leechers, peers = announce(
                    info_hash,
                    host + port,
                    now,
                    left,
                    event,
                    num_want,
                    None
                    if length == ANNOUNCE_SIZE
                    else self._parse_share(batch.data(len(answers), ANNOUNCE_SIZE)),
                    peer_id,
                    key,
                )
            except (RemoteProtocolError, AnnounceRefusedError) as error:
                answers.append(error_answer(transaction_id, str(error)))
                if self._watch is not None:
                    refused = Change("refused", info_hash, host + port, reason=str(error))
                    self._watch(refused)
                continue
            if registry.loopback_peers and not is_near:
                peers = self._without_loopback(peers, batch, len(answers))
            # By position: keywords take longer.
            answers.append(announce_answer(transaction_id, interval, seeders, leechers, peers))
        self.announces += len(answers) - others
        return answers, searches

    def _prove(
        self, batch: DatagramBatch, index: int, proof: bytes, now: float
    ) -> tuple[bytes, bool] | None:
        """Return who sends an announce with a valid connection id, None if it is anything else."""
        if batch.lengths[index] < ANNOUNCE_SIZE or not proof.endswith(_ANNOUNCE_BYTES):
            return None
        host = batch.host(index)
        if not self._connection_ids.is_valid(proof[-12:-4], host, now):
            return None
        if len(self._proofs) >= _PROOFS_REMEMBERED:
            self._proofs.clear()
        proved = self._proofs[proof] = host, is_loopback(host)
        return proved

    def _answer_other(self, batch: DatagramBatch, index: int, now: float) -> bytes | PendingSearch:
        """Answer what is no announce, or none to be believed."""
        if batch.lengths[index] < MIN_DATAGRAM:
            return b""
        data, host = batch.data(index), batch.host(index)
        if not self._connection_ids.is_valid(data[:8], host, now):
            return self._answer_stranger(data, host, now)
        try:
            return self._answer_known(data, batch, index)
        except RemoteProtocolError as error:
            return error_answer(_transaction_id(data), str(error))

    def _answer_stranger(self, data: bytes, host: bytes, now: float) -> bytes:
        if data.startswith(_CONNECT_HEAD):
            return connect_answer(_transaction_id(data), self._connection_ids.issue(host, now))
        # An error lets a client of a restarted tracker reconnect at once.
        error = error_answer(_transaction_id(data), _BAD_CONNECTION)
        return error if len(error) <= len(data) else b""

    def _answer_known(self, data: bytes, batch: DatagramBatch, index: int) -> bytes | PendingSearch:
        action = int.from_bytes(data[8:12], "big")
        if action == _SCRAPE:
            counts = map(self._registry.scrape, parse_scrape_request(data))
            return scrape_answer(_transaction_id(data), counts)
        if action == _NAME:
            if is_claim(data):
                return self._answer_claim(parse_claim_request(data), batch.host(index))
            query = parse_name_request(data)
            if query.is_glob:
                search = self._registry.search(query.pattern)
                return PendingSearch(query, batch.source(index), search, batch.destination(index))
            matches = self._registry.resolve(query.pattern)
            return name_answer(query.transaction_id, len(matches), matches[query.offset :])
        if action == _ANNOUNCE:
            raise RemoteProtocolError(
                f"an announce is {ANNOUNCE_SIZE} bytes or more, not {len(data)}"
            )
        raise RemoteProtocolError("unknown action")

    def _answer_claim(self, claim: NameClaim, host: bytes) -> bytes:
        """Say whether an info-hash holds a name, or would if this host announced it."""
        number, name, info_hash = claim
        refusal = self._registry.name_refusal(name, info_hash, host)
        if refusal is not None:
            return claim_answer(number, None, refusal)
        counts = self._registry.scrape(info_hash)
        return claim_answer(
            number, NameMatch(info_hash, 0, counts.seeders, counts.leechers, name), ""
        )

    def _without_loopback(
        self, peers: bytes | bytearray, batch: DatagramBatch, index: int
    ) -> bytes | bytearray:
        """Give peers on this machine to one that is not on it as it can reach them."""
        ipv6 = not batch.is_v4
        if not has_loopback(peers, ipv6=ipv6):
            return peers
        return replace_loopback(peers, self._own_address(batch.source(index)), ipv6=ipv6)


def _parse_share(options: bytes) -> UrlShare | None:
    return parse_url_data(parse_options(options))


def _transaction_id(data: bytes) -> int:
    return int.from_bytes(data[12:16], "big")
