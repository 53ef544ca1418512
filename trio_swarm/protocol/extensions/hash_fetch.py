"""Fetching hashes of merkle trees from peers, and proving them (BEP 52, "hash request").

A torrent of version 2 that comes by a magnet link lacks its piece layers, which are not in the info
dictionary. And a piece that failed tells by its leaves which block is wrong.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.info import Info
from trio_swarm.protocol.wire.messages import HASH_LENGTH, MAX_HASHES, HashRange

REQUESTS_AT_ONCE = 16
"""Requests that one peer has at a time: 512 hashes each, which is 256 KiB."""

ANSWER_WITHIN = 10.0
"""Seconds for an answer, before another peer is asked: an answer is 16 KiB."""

ASK_AGAIN_AFTER = 15.0
"""Seconds after which a peer that rejected a request, or was late, is asked for it again."""

_LOOKED_AT = 64
"""Waiting requests that are looked at in one turn; those in front are for the same peers."""


class HashAsk(NamedTuple):
    """A request to send: to whom, for which hashes."""

    peer: int
    range: HashRange


def proof_length(wanted: HashRange) -> int:
    """Return how many hashes of a proof follow the hashes asked for.

    The layers between them and their common ancestor are counted in `proof`, but not sent (BEP 52,
    "hashes").
    """
    return max(0, wanted.proof - (wanted.length.bit_length() - 2))


def layer_ranges(info: Info) -> Iterator[HashRange]:
    """Yield the requests for all piece layers of a torrent of version 2."""
    base = merkle.height_of(info.piece_length)
    for root, file in info.layered_files().items():
        count = len(info.pieces_of(file))
        width = merkle.tree_width(count)
        length = min(width, MAX_HASHES)
        # One layer less than there are above: the root itself is known.
        proof = width.bit_length() - 2
        for index in range(0, count, length):
            yield HashRange(root, base, index, length, proof)


def with_proven_layers(info: Info, proven: Mapping[HashRange, bytes]) -> Info:
    """Return the torrent with its piece layers, which `layer_ranges` asked for."""
    layers: dict[bytes, bytearray] = {}
    for wanted in layer_ranges(info):
        layers.setdefault(wanted.root, bytearray()).extend(proven[wanted])
    sizes = {
        root: len(info.pieces_of(file)) * HASH_LENGTH for root, file in info.layered_files().items()
    }
    # What covers nothing of the file is not part of its layer.
    return info.with_layers({root: bytes(layer[: sizes[root]]) for root, layer in layers.items()})


def leaf_ranges(info: Info, piece: int) -> list[HashRange]:
    """Return the requests for the leaves of a piece, which its own hash proves.

    There are none for a piece of one block: its hash is that of the block.
    """
    file = info.file_of(piece)
    each = info.piece_length // merkle.BLOCK_LENGTH
    width = each
    if file.length <= info.piece_length:
        width = merkle.tree_width(-(-file.length // merkle.BLOCK_LENGTH))
    if width == 1:
        return []
    start = (piece - info.pieces_of(file).start) * each
    count = -(-info.piece_size(piece) // merkle.BLOCK_LENGTH)
    length = min(width, MAX_HASHES)
    return [
        HashRange(file.root, 0, index, length, width.bit_length() - 2)
        for index in range(start, start + count, length)
    ]


class HashFetch:
    """What is wanted of the peers, what they were asked for, and what is proven.

    Pure: peers are keys, and time is the parameter `now` (seconds). After every event, and at
    `next_deadline()`, call `plan` and send the requests it returns.
    """

    def __init__(self) -> None:
        self.proven: dict[HashRange, bytes] = {}
        """The hashes that were wanted and are proven, without their proof; 32 bytes each."""
        self._wanted: dict[HashRange, tuple[bytes, float]] = {}
        """With the hash above that proves it, and the seconds for an answer."""
        self._waiting: deque[HashRange] = deque()
        self._peers: dict[int, dict[HashRange, float]] = {}  # asked, and until when it may answer
        self._refused: dict[tuple[int, HashRange], float] = {}  # until when
        self._planned = -math.inf

    @property
    def is_done(self) -> bool:
        """Whether nothing is wanted that is not proven."""
        return not self._wanted

    def want(
        self, wanted: HashRange, above: bytes, *, answer_within: float = ANSWER_WITHIN
    ) -> None:
        """Fetch hashes, which `above` proves: the hash that their proof must lead to."""
        if wanted not in self._wanted and wanted not in self.proven:
            self._wanted[wanted] = above, answer_within
            self._waiting.append(wanted)

    def drop(self, wanted: HashRange) -> bytes | None:
        """Want hashes no longer, and forget them; return them if they are proven."""
        self._wanted.pop(wanted, None)
        return self.proven.pop(wanted, None)

    def add_peer(self, key: int) -> None:
        """Note a peer that speaks version 2."""
        self._peers.setdefault(key, {})

    def remove_peer(self, key: int) -> None:
        """Forget a peer that left; what it was asked for goes to others."""
        self._waiting.extendleft(self._peers.pop(key, ()))
        for refused in [each for each in self._refused if each[0] == key]:
            del self._refused[refused]

    def plan(self, now: float) -> list[HashAsk]:
        """Return the requests to send now; late ones go to other peers."""
        self._planned = now
        self._expire(now)
        asks: list[HashAsk] = []
        left: list[HashRange] = []
        for _ in range(min(len(self._waiting), _LOOKED_AT)):
            wanted = self._waiting.popleft()
            if wanted not in self._wanted:
                continue
            peer = self._choose(wanted)
            if peer is None:
                left.append(wanted)
                continue
            self._peers[peer][wanted] = now + self._wanted[wanted][1]
            asks.append(HashAsk(peer, wanted))
        # Those behind have their turn next time.
        (self._waiting.extend if asks or len(left) == _LOOKED_AT else self._waiting.extendleft)(
            left
        )
        return asks

    def next_deadline(self) -> float:
        """Return when `plan` is due again, though nothing happens; infinity: never."""
        due = [until for asked in self._peers.values() for until in asked.values()]
        if any(wanted in self._wanted for wanted in self._waiting):
            due += [until for until in self._refused.values() if until > self._planned]
        return min(due, default=math.inf)

    def received(self, key: int, answer: HashRange, hashes: bytes) -> bool:
        """Take in an answer; return False if it is proven to be a lie.

        Hashes that were not asked for, or of somebody else by now, are left alone.
        """
        asked = self._peers.get(key)
        if asked is None or asked.pop(answer, None) is None or answer not in self._wanted:
            return True
        body = answer.length * HASH_LENGTH
        proof = [hashes[at : at + HASH_LENGTH] for at in range(body, len(hashes), HASH_LENGTH)]
        is_proven = (
            len(hashes) == body + proof_length(answer) * HASH_LENGTH
            and merkle.proven_root(hashes[:body], answer.index, proof, height=answer.base)
            == self._wanted[answer][0]
        )
        if not is_proven:
            self._waiting.appendleft(answer)
            return False
        del self._wanted[answer]
        self.proven[answer] = hashes[:body]
        return True

    def rejected(self, key: int, answer: HashRange, now: float) -> None:
        """Note that a peer does not send hashes: others are asked, and it itself again later."""
        asked = self._peers.get(key)
        if asked is not None and asked.pop(answer, None) is not None:
            self._put_back(key, answer, now)

    def _put_back(self, key: int, wanted: HashRange, now: float) -> None:
        self._refused[key, wanted] = now + ASK_AGAIN_AFTER
        self._waiting.append(wanted)

    def _expire(self, now: float) -> None:
        for key, asked in self._peers.items():
            for wanted in [each for each, until in asked.items() if until <= now]:
                del asked[wanted]
                self._put_back(key, wanted, now)
        for refused in [each for each, until in self._refused.items() if until <= now]:
            del self._refused[refused]

    def _choose(self, wanted: HashRange) -> int | None:
        """Return the peer with the fewest requests that may be asked; None: there is none."""
        able = [
            (len(asked), key)
            for key, asked in self._peers.items()
            if len(asked) < REQUESTS_AT_ONCE and (key, wanted) not in self._refused
        ]
        return min(able)[1] if able else None
