"""What the datagrams of a batch ask of a tracker: bytes in, questions out, no socket.

The sender of a datagram that is no connect request must prove by a connection id that it receives
what is sent to its address. Without that it gets no more bytes than it sent.
"""

import struct
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers.udp import (
    ANNOUNCE_SIZE,
    PROTOCOL_ID,
    Action,
    NameQuery,
    connect_answer,
    error_answer,
    is_claim,
    parse_claim_request,
    parse_name_request,
    parse_options,
    parse_scrape_request,
)
from trio_swarm.protocol.trackers.urls import UrlShare, parse_token, parse_url_data
from trio_swarm.tracker.own_addresses import SocketAddress
from trio_swarm.tracker.store.compact_peers import is_loopback
from trio_swarm.tracker.store.interface import Announce, Change, Claim
from trio_swarm.tracker.udp.batch import MAX_DATAGRAM, DatagramBatch
from trio_swarm.tracker.udp.connection_ids import SLOT, ConnectionIds, IdClock

MIN_DATAGRAM: Final = 16
"""Bytes; a connect request, the shortest there is."""

_OPTIONS_REMEMBERED: Final = 4096
"""Heartbeats repeat their options word for word, so parsing them anew is a waste."""

_PROOFS_REMEMBERED: Final = 32_768
"""Askers with their connection ids, 200 bytes each. More of them only make each id be computed
again, which takes 1 µs."""

_ANNOUNCE_BYTES: Final = Action.ANNOUNCE.to_bytes(4, "big")
_CONNECT_HEAD: Final = PROTOCOL_ID.to_bytes(8, "big") + bytes(4)
_BAD_CONNECTION: Final = "connection id expired"

# An announce (BEP 15) in a slot of a DatagramBatch. First the proof of who sends it: the IP address
# (with the zeros or the scope after it), connection id and action, which are neighbours there. Then
# transaction id, info-hash, peer id, left, event, key, peers wanted, port. The IP address that an
# announce may name is not read: strangers would aim peers at a victim by it (BEP 7).
_REST = f"I20s20s8xQ8xI4xIi2s{MAX_DATAGRAM - ANNOUNCE_SIZE}x"
_ANNOUNCE_SLOT4: Final = struct.Struct(f">4x24s{_REST}")
_ANNOUNCE_SLOT6: Final = struct.Struct(f">8x32s{_REST}")


class ScrapeRequest(NamedTuple):
    """A scrape: the info-hashes to count peers of (BEP 15, "Scrape request")."""

    transaction_id: int
    info_hashes: list[bytes]


class ClaimRequest(NamedTuple):
    """A question whether an info-hash may hold a name."""

    transaction_id: int
    claim: Claim


class SearchRequest(NamedTuple):
    """A glob search, and where to send its answer: it is answered later than its batch."""

    query: NameQuery
    source: SocketAddress
    destination: bytes = b""
    """The pktinfo of the question (`DatagramBatch.destination`)."""


Question: TypeAlias = ScrapeRequest | NameQuery | ClaimRequest


class Requests:
    """What a batch asks. Lists are in its order, dictionaries by the index of a datagram."""

    __slots__ = (
        "announces", "answered", "has_far", "questions", "refused", "searches", "transaction_ids",
    )  # fmt: skip

    def __init__(self) -> None:
        self.announces: list[Announce] = []
        self.transaction_ids: list[int] = []
        """Of `announces`."""
        self.has_far = False
        """Whether any of them is from another machine."""
        self.answered: dict[int, bytes] = {}
        """Answers that need no store, b"" for silence."""
        self.questions: dict[int, Question] = {}
        """Rare, and quick to answer."""
        self.searches: list[SearchRequest] = []
        """Answered later than their batch; here they are `answered` with silence."""
        self.refused: list[Change] = []
        """Announces whose options make no sense; they are `answered`, too."""

    def index_of(self, number: int) -> int:
        """Return where in the batch an announce is, once all other datagrams are `answered`."""
        for other in sorted(self.answered):
            if other > number:
                break
            number += 1
        return number


class RequestReader:
    """Reads batches of datagrams; `secret` makes connection ids."""

    def __init__(self, secret: bytes) -> None:
        self._connection_ids = ConnectionIds(secret)
        self._id_clock = IdClock()
        self._id_times: tuple[float, ...] = ()
        self._parse_share = lru_cache(_OPTIONS_REMEMBERED)(_parse_share)
        self._proofs: dict[bytes, tuple[bytes, bool]] = {}
        """What was found valid in this slot of time: its sender's IP address, and whether that is
        loopback."""
        self._proofs_end = 0.0

    def read(self, batch: DatagramBatch, now: float, wall: float | None = None) -> Requests:
        """Return what the datagrams of a batch ask; never raises.

        `now` is in monotonic seconds; connection ids are made by `wall` (None: `now`).
        """
        wall = now if wall is None else wall
        self._id_times = self._id_clock.times(now, wall)
        if now >= self._proofs_end:
            self._proofs.clear()
            self._proofs_end = now + SLOT - wall % SLOT
        requests = Requests()
        announces, transaction_ids = requests.announces, requests.transaction_ids
        answered, proofs, has_far = requests.answered, self._proofs, False
        slots = _ANNOUNCE_SLOT4 if batch.is_v4 else _ANNOUNCE_SLOT6
        # Nearly all datagrams are announces, so all are read as such before it is known; what a
        # shorter one seems to hold is left from others. (A `zip` without keywords is compiled to a
        # plain loop.)
        for index, (
            length,
            (proof, transaction_id, info_hash, peer_id, left, event, key, num_want, port),
        ) in enumerate(zip(batch.lengths, slots.iter_unpack(batch.memory))):  # noqa: B905
            proved = proofs.get(proof)
            if proved is None or length < ANNOUNCE_SIZE:
                proved = self._prove(batch, index, proof)
                if proved is None:
                    self._read_other(requests, batch, index)
                    continue
            host, is_near = proved
            if not is_near:
                has_far = True
            share = None
            if length > ANNOUNCE_SIZE:
                try:
                    share = self._parse_share(batch.data(index, ANNOUNCE_SIZE))
                except RemoteProtocolError as error:
                    answered[index] = error_answer(transaction_id, str(error))
                    requests.refused.append(
                        Change("refused", info_hash, host + port, reason=str(error))
                    )
                    continue
            announces.append((info_hash, host + port, left, event, num_want, share, peer_id, key))
            transaction_ids.append(transaction_id)
        requests.has_far = has_far
        return requests

    def _prove(self, batch: DatagramBatch, index: int, proof: bytes) -> tuple[bytes, bool] | None:
        """Return the sender of an announce with a valid connection id, as `_proofs` has it.

        None: it is anything else.
        """
        if batch.lengths[index] < ANNOUNCE_SIZE or not proof.endswith(_ANNOUNCE_BYTES):
            return None
        host = batch.host(index)
        if not self._is_valid(proof[-12:-4], host):
            return None
        if len(self._proofs) >= _PROOFS_REMEMBERED:
            self._proofs.clear()
        proved = self._proofs[proof] = host, is_loopback(host)
        return proved

    def _read_other(self, requests: Requests, batch: DatagramBatch, index: int) -> None:
        """Read a datagram that is no announce, or none with a valid connection id."""
        answer = b""
        if batch.lengths[index] >= MIN_DATAGRAM:
            data, host = batch.data(index), batch.host(index)
            if not self._is_valid(data[:8], host):
                answer = self._answer_stranger(data, host)
            else:
                try:
                    _read_question(requests, batch, index, data)
                except RemoteProtocolError as error:
                    answer = error_answer(_transaction_id(data), str(error))
                else:
                    return
        requests.answered[index] = answer

    def _is_valid(self, connection_id: bytes, host: bytes) -> bool:
        is_valid = self._connection_ids.is_valid
        return any(is_valid(connection_id, host, time) for time in self._id_times)

    def _answer_stranger(self, data: bytes, host: bytes) -> bytes:
        if data.startswith(_CONNECT_HEAD):
            connection_id = self._connection_ids.issue(host, self._id_times[0])
            return connect_answer(_transaction_id(data), connection_id)
        # An error lets a client of a restarted tracker reconnect at once.
        error = error_answer(_transaction_id(data), _BAD_CONNECTION)
        return error if len(error) <= len(data) else b""


def _read_question(requests: Requests, batch: DatagramBatch, index: int, data: bytes) -> None:
    """Add a question of a sender with a valid connection id; RemoteProtocolError if it is none."""
    match int.from_bytes(data[8:12], "big"):
        case Action.SCRAPE:
            requests.questions[index] = ScrapeRequest(
                _transaction_id(data), parse_scrape_request(data)
            )
        case Action.NAME if is_claim(data):
            transaction_id, name, info_hash, options = parse_claim_request(data)
            token = parse_token(parse_options(options)) if options else b""
            claim = Claim(name, info_hash, batch.host(index), token)
            requests.questions[index] = ClaimRequest(transaction_id, claim)
        case Action.NAME:
            query = parse_name_request(data)
            if query.is_glob:
                source, destination = batch.source(index), batch.destination(index)
                requests.searches.append(SearchRequest(query, source, destination))
                requests.answered[index] = b""
            else:
                requests.questions[index] = query
        case Action.ANNOUNCE:
            raise RemoteProtocolError(
                f"an announce is {ANNOUNCE_SIZE} bytes or more, not {len(data)}"
            )
        case _:
            raise RemoteProtocolError("unknown action")


def _parse_share(options: bytes) -> UrlShare | None:
    return parse_url_data(parse_options(options))


def _transaction_id(data: bytes) -> int:
    return int.from_bytes(data[12:16], "big")
