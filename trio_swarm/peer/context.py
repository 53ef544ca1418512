"""What the torrents of one node share: its identity, limits, threads, trackers and strategies."""

import random
from collections.abc import Callable

from msgspec import Struct, field

from trio_swarm import events
from trio_swarm.announcing.clients import TrackerClients
from trio_swarm.announcing.heartbeats import Heartbeats
from trio_swarm.engine.idle_talk import TalkativeHosts
from trio_swarm.engine.token_bucket import TokenBucket
from trio_swarm.errors import StorageError
from trio_swarm.events import Event
from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.peer.disk import DiskThreads
from trio_swarm.peer.places import Places
from trio_swarm.peer.tally import NodeTally
from trio_swarm.peer.transport.sending import BatchBuffers
from trio_swarm.peer.uplink import Uplink
from trio_swarm.schedulers.loading import Strategies
from trio_swarm.settings import NodeSettings


class NodeContext(Struct, kw_only=True):
    """One per node, made by the node, read by its torrents."""

    settings: NodeSettings
    peer_id: PeerId
    """20 bytes, new for every node (BEP 20)."""
    client: str
    """What we call ourselves in the extension handshake."""
    port: int
    """TCP port peers reach us at."""
    source_host: str
    """Address to connect from, where the node listens at one only; else empty."""
    rng: random.Random
    disk: DiskThreads
    clients: TrackerClients
    hearts: Heartbeats = field(default_factory=Heartbeats)
    """When the trackers of all torrents are asked."""
    strategies: Strategies
    uplink: Uplink
    download_bucket: TokenBucket
    emit: Callable[[Event], None]
    places: Places
    """For the peers of all torrents."""
    talkative: TalkativeHosts = field(default_factory=TalkativeHosts)
    batch_buffers: BatchBuffers = field(default_factory=BatchBuffers)
    tally: NodeTally = field(default_factory=NodeTally)
    next_key: int = field(default=0)
    is_state_problem_told: bool = field(default=False)

    def tell_state_problem(self, error: StorageError, info_hash: InfoHash, name: str) -> None:
        """Say, once for the node, that the state folder cannot be used."""
        if not self.is_state_problem_told:
            self.is_state_problem_told = True
            self.emit(
                events.StateNotKept(
                    info_hash=info_hash.hex(),
                    share_name=name,
                    path=str(error.path),
                    reason=error.reason,
                )
            )

    def new_connection_key(self) -> int:
        """Return a key no connection of this node had before."""
        self.next_key += 1
        return self.next_key

    def labels_of(self, address: str) -> dict[str, str]:
        """Return the configured labels of a peer at `host:port`; longer prefixes overrule."""
        result: dict[str, str] = {}
        for prefix in sorted(self.settings.labels, key=len):
            if address.startswith(prefix):
                result.update(self.settings.labels[prefix])
        return result
