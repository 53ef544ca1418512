"""One swarm as the tracker keeps it: its peers of both address families, and its names."""

from trio_swarm.tracker.store.compact_peers import CompactPeers, PairCounts, PairMarks
from trio_swarm.tracker.store.host_counts import HostCounts
from trio_swarm.tracker.store.names import SharedName


class Sharing:
    """The name that a peer announces, and until when that counts."""

    __slots__ = ("expires", "key", "shared", "token")

    def __init__(
        self, shared: SharedName, expires: float, key: int = 0, token: bytes = b""
    ) -> None:
        self.shared = shared
        self.expires = expires
        self.key = key
        """The peer's secret (BEP 15, "key"), by which it is known in another swarm; 0: none."""
        self.token = token
        """With which the peer announces it; b"": none."""


class TrackedSwarm:
    """A swarm. None stands for whatever it does not have, and takes no memory."""

    __slots__ = ("completed", "hosts", "names", "peers4", "peers6")

    def __init__(self) -> None:
        self.completed = 0
        """Peers that said they had just got everything."""
        self.peers4: CompactPeers | None = None
        self.peers6: CompactPeers | None = None
        self.hosts: tuple[HostCounts, ...] | None = None
        """Peers of each IPv4 address and of each IPv6 /64, once `peers_of` was asked."""
        self.names: dict[bytes, Sharing] | None = None
        """By the compact address of the peer that announces it."""

    def __len__(self) -> int:
        return len(self.peers4 or ()) + len(self.peers6 or ())

    def counts(self) -> tuple[int, int]:
        """Return how many seeders and leechers there are; one of both families counts once."""
        peers4, peers6 = self.peers4, self.peers6
        seeders = leechers = 0
        for peers in (peers4, peers6):
            if peers is not None:
                seeders += peers.seeders
                leechers += peers.leechers
        if peers4 is not None and peers6 is not None and peers4.pairs is not None:
            both = peers4.pairs.both
            seeders -= both.seeders
            leechers -= both.leechers
        return seeders, leechers

    def peers_like(self, address: bytes) -> CompactPeers | None:
        """Return the peers of the family of a compact address."""
        return self.peers4 if len(address) == 6 else self.peers6

    def peers_of(self, host: bytes) -> int:
        """Return how many peers a host has here: an IPv4 address, or an IPv6 /64.

        The first call counts all peers, 25 ms for 25,000; from then on they are counted as they
        come and go (`count_host`), until `hosts` is None again.
        """
        if self.hosts is None:
            self.hosts = tuple(
                _count_hosts(peers, size) for peers, size in ((self.peers4, 4), (self.peers6, 8))
            )
        return self.hosts[len(host) == 8][host]

    def count_host(self, host: bytes, change: int) -> None:
        """Count a peer more or less of a host, if hosts are counted."""
        if self.hosts is not None:
            self.hosts[len(host) == 8].add(host, change)

    def open_peers_like(self, address: bytes, info_hash: bytes) -> CompactPeers:
        """Begin a list of peers of the family of a compact address."""
        peers = CompactPeers(len(address), info_hash)
        if len(address) == 6:
            self.peers4 = peers
        else:
            self.peers6 = peers
        return peers

    def pair(self, address: bytes, other: bytes) -> None:
        """Count two listed addresses, of each family one, as one peer's."""
        peers4, peers6 = self.peers4, self.peers6
        if peers4 is None or peers6 is None:
            return
        first, second = (address, other) if len(address) == 6 else (other, address)
        at4, at6 = peers4.find(first), peers6.find(second)
        if at4 < 0 or at6 < 0:
            return
        if peers4.pairs is None or peers6.pairs is None:
            both = PairCounts()
            marks4, marks6 = PairMarks(len(peers4), both), PairMarks(len(peers6), both)
            marks4.other, marks6.other = marks6, marks4
            peers4.pairs, peers6.pairs = marks4, marks6
        peers4.pair(at4)
        peers6.pair(at6)

    def sharing(self, address: bytes) -> Sharing | None:
        """Return the name that a peer announces, None if it announces none."""
        return None if self.names is None else self.names.get(address)

    def share(self, address: bytes, sharing: Sharing) -> None:
        """Let a peer announce a name."""
        if self.names is None:
            self.names = {}
        self.names[address] = sharing

    def unshare(self, address: bytes) -> Sharing | None:
        """Let a peer announce no name; return the name it announced."""
        if self.names is None:
            return None
        sharing = self.names.pop(address, None)
        if not self.names:
            self.names = None
        return sharing


def _count_hosts(peers: CompactPeers | None, size: int) -> HostCounts:
    counts = HostCounts(size, len(peers or ()))
    if peers is not None:
        for position in range(len(peers)):
            counts.add(peers.address(position)[:size], 1)
    return counts
