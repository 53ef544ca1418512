"""The peers of one swarm and address family, packed so that a tracker's answer is one slice.

Peers lie in one contiguous bytearray in the compact form of BEP 23 and 7, seeders first, then
leechers. Every change moves at most two peers (swap with the last), so all of them are O(1).
"""

import random
from typing import Generic, TypeVar


class ListedPeer:
    """A peer in a `CompactPeers`: its compact address, and its position, which the table keeps."""

    __slots__ = ("address", "position")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.position = -1


P = TypeVar("P", bound=ListedPeer)


class CompactPeers(Generic[P]):
    """All peers of a swarm in one family; `stride` is 6 (IPv4) or 18 (IPv6) bytes."""

    __slots__ = ("_packed", "_stride", "index", "seeders")

    def __init__(self, stride: int) -> None:
        self._stride = stride
        self._packed = bytearray()
        self.index: dict[bytes, P] = {}
        """Peers by compact address."""
        self.seeders = 0
        """Peers at positions below this one have everything."""

    @property
    def leechers(self) -> int:
        """Peers that miss something."""
        return len(self.index) - self.seeders

    def add(self, peer: P, *, is_seeder: bool) -> None:
        """List a peer whose address is not listed yet."""
        assert peer.address not in self.index
        self.index[peer.address] = peer
        self._packed += peer.address
        peer.position = len(self.index) - 1
        if is_seeder:
            self.set_seeder(peer, is_seeder=True)

    def set_seeder(self, peer: P, *, is_seeder: bool) -> None:
        """Say whether a listed peer has everything."""
        if is_seeder and peer.position >= self.seeders:
            self._swap(peer, self.seeders)
            self.seeders += 1
        elif not is_seeder and peer.position < self.seeders:
            self.seeders -= 1
            self._swap(peer, self.seeders)

    def remove(self, peer: P) -> None:
        """Take a listed peer out."""
        self.set_seeder(peer, is_seeder=False)
        self._swap(peer, len(self.index) - 1)
        del self._packed[-self._stride :]
        del self.index[peer.address]
        peer.position = -1

    def choose(
        self, count: int, rng: random.Random, *, asker: P | None = None, leechers_only: bool
    ) -> bytearray:
        """Return up to `count` peers, packed, without the asker.

        They are neighbours from a random start, wrapping around: everyone is as likely as anyone
        else to be among them, and the cost does not depend on the size of the swarm.
        """
        stride, packed = self._stride, self._packed
        first = self.seeders if leechers_only else 0
        size = len(self.index) - first
        own = -1 if asker is None else asker.position - first
        others = size - (own >= 0)
        if count >= others:
            if own < 0:
                return packed[first * stride :]
            at = (first + own) * stride
            return packed[first * stride : at] + packed[at + stride :]
        if count <= 0:
            return bytearray()
        start = int(rng.random() * others)
        own_offset = -1
        if own >= 0:
            # Start at anyone but the asker; if it lies within the run, cut it out.
            start += start >= own
            own_offset = (own - start) % size
            if own_offset < count:
                count += 1
            else:
                own_offset = -1
        end = start + count
        if end <= size:
            run = packed[(first + start) * stride : (first + end) * stride]
        else:
            run = packed[(first + start) * stride :]
            run += packed[first * stride : (first + end - size) * stride]
        if own_offset >= 0:
            del run[own_offset * stride : (own_offset + 1) * stride]
        return run

    def _swap(self, peer: P, position: int) -> None:
        """Exchange `peer` with whoever is at `position`."""
        was = peer.position
        if was == position:
            return
        stride, packed = self._stride, self._packed
        address = bytes(packed[position * stride : (position + 1) * stride])
        packed[was * stride : (was + 1) * stride] = address
        packed[position * stride : (position + 1) * stride] = peer.address
        self.index[address].position = was
        peer.position = position
