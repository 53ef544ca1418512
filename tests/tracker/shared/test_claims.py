"""A registry with claims of others, against a model of sets."""

import random
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX
from trio_swarm.protocol.trackers.announces import AnnounceEvent
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.shared import claims
from trio_swarm.tracker.shared.claims import SharedRegistry

HASHES = [b"a" * 20, b"b" * 20]
PEERS = [b"\n\0\0" + bytes([number]) + b"\1\1" for number in range(6)]
PEERS += [bytes(15) + bytes([number]) + b"\1\1" for number in range(2, 4)]
BITS = [0, 1, 9, 40]
Peer = tuple[bytes, bytes]

peers = st.tuples(st.sampled_from(HASHES), st.sampled_from(PEERS))
bits = st.sampled_from(BITS)
v4_peers = st.sampled_from(PEERS[:6])
steps = st.one_of(
    st.tuples(st.just("announce"), peers, st.booleans()),
    st.tuples(st.just("stop"), peers),
    st.tuples(st.just("hold"), peers, bits, st.booleans()),
    st.tuples(st.just("hold all"), st.sampled_from(HASHES), bits, st.sets(v4_peers)),
    st.tuples(st.just("release"), peers, bits),
    st.tuples(st.just("stopped elsewhere"), peers),
    st.tuples(st.just("drop"), bits),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 40.0, 80.0])),
)  # fmt: skip


def new_registry(noted: set[Peer] | None = None, **settings: int) -> SharedRegistry:
    told: set[Peer] = set() if noted is None else noted
    return SharedRegistry(
        RegistrySettings(**settings),  # type: ignore[arg-type]
        rng=random.Random(1),
        note=lambda info_hash, address, _flags: told.add((info_hash, address)),
        wall_clock=lambda: 0.0,
    )


def end_leases(registry: SharedRegistry, now: float) -> None:
    while (due := registry.expire(now, 3)) is not None and due <= now:
        pass


class Model:
    """Who has a lease here until when, who carries which bits, who is a seeder."""

    LEASE = 75.0

    def __init__(self) -> None:
        self.now = 0.0
        self.leases: dict[Peer, float] = {}
        self.bits: defaultdict[Peer, set[int]] = defaultdict(set)
        self.seeders: dict[Peer, bool] = {}

    def listed(self) -> set[Peer]:
        return self.leases.keys() | {peer for peer, carried in self.bits.items() if carried}


def perform(step: tuple, registry: SharedRegistry, model: Model) -> None:
    match step:
        case ("announce", peer, is_seeder):
            registry.announce(*peer, model.now, 0 if is_seeder else 1, peer_id=PEER_ID_PREFIX)
            model.leases[peer] = model.now + Model.LEASE
            model.seeders[peer] = is_seeder
        case ("stop", peer):
            registry.announce(*peer, model.now, 0, AnnounceEvent.STOPPED)
            model.leases.pop(peer, None)
            model.bits.pop(peer, None)
        case ("hold", peer, bit, is_seeder):
            assert registry.hold(bit, *peer, is_seeder=is_seeder)
            model.bits[peer].add(bit)
            model.seeders[peer] = is_seeder
        case ("hold all", info_hash, bit, addresses):
            ordered = sorted(addresses)
            registry.hold_all(bit, info_hash, ordered[:2], ordered[2:])
            for number, address in enumerate(ordered):
                model.bits[info_hash, address].add(bit)
                model.seeders[info_hash, address] = number < 2
        case ("release", peer, bit):
            registry.release(bit, *peer)
            model.bits[peer].discard(bit)
        case ("stopped elsewhere", peer):
            registry.stop_elsewhere(*peer, model.now)
            if model.leases.get(peer, model.now + 75) <= model.now + Model.LEASE - 1:
                del model.leases[peer]
        case ("drop", bit):
            list(registry.drop(bit))
            for carried in model.bits.values():
                carried.discard(bit)
        case ("wait", seconds):
            model.now += seconds
            end_leases(registry, model.now)
            model.leases = {peer: ends for peer, ends in model.leases.items() if ends > model.now}


@given(st.lists(steps, max_size=50))
def test_a_registry_lists_who_has_a_lease_here_or_is_claimed_elsewhere(script: list) -> None:
    registry, model = new_registry(), Model()
    for step in script:
        perform(step, registry, model)
        # Leases end a sixteenth of a second late.
        model.now += 0.1
    end_leases(registry, model.now)
    model.leases = {peer: ends for peer, ends in model.leases.items() if ends > model.now - 0.1}
    for info_hash in HASHES:
        listed = {address for found, address in model.listed() if found == info_hash}
        swarm = registry._swarms.get(info_hash)
        lists = [] if swarm is None else [swarm.peers4, swarm.peers6]
        there = {}
        for each in lists:
            for at in range(len(each or ())):
                assert each is not None
                mask = each.claims[at] if each.claims is not None else 0
                there[each.address(at)] = (mask, at < each.seeders)
        assert there == {
            address: (
                sum(1 << bit for bit in model.bits.get((info_hash, address), ())),
                model.seeders[info_hash, address],
            )
            for address in listed
        }
        own = {address for found, address in model.leases if found == info_hash}
        claimed = {address for address in PEERS if registry.own_claim(info_hash, address)}
        assert claimed == own
        told = registry.own_swarm(info_hash)
        packed = b"" if told is None else told.seeders4 + told.leechers4
        assert {packed[at : at + 6] for at in range(0, len(packed), 6)} == {
            address for address in own if len(address) == 6
        }
    assert registry.counts().peers == len(model.listed())
    assert registry.own_claims == len(model.leases)
    for bit in BITS:
        assert registry.claimed[bit] == sum(bit in carried for carried in model.bits.values())
    # Hosts are counted as peers are: when all are gone, nobody has any.
    for bit in BITS:
        list(registry.drop(bit))
    end_leases(registry, model.now + 1e6)
    assert registry.counts() == (0, 0, 0)
    assert all(registry._hosts4[address[:4]] == 0 for address in PEERS[:6])


def test_a_change_here_is_noted_and_a_heartbeat_is_not() -> None:
    noted: set[Peer] = set()
    registry = new_registry(noted)
    peer = (HASHES[0], PEERS[0])

    def told() -> bool:
        was = bool(noted)
        noted.clear()
        return was

    def announce(now: float, left: int, event: int = 0) -> None:
        registry.announce(*peer, now, left, event, peer_id=PEER_ID_PREFIX)

    announce(0.0, 1)
    assert told()
    for now in (30.0, 60.0, 61.0, 130.0):
        announce(now, 1)
        assert not told(), now
    announce(140.0, 0)
    assert told()
    registry.expire(1000.0, 9)
    assert told()
    registry.hold(3, *peer, is_seeder=True)
    registry.release(3, *peer)
    assert not told(), "what others told is theirs to tell"


def test_claims_end_while_a_huge_swarm_changes() -> None:
    registry = new_registry()
    addresses = [number.to_bytes(4, "big") + b"\1\1" for number in range(1, 3001)]
    registry.hold_all(5, HASHES[0], addresses[:1500], addresses[1500:])
    rng = random.Random(1)
    for _ in registry.drop(5):
        for address in rng.sample(addresses, 300):
            registry.announce(HASHES[0], address, 0.0, rng.choice([0, 1]), peer_id=PEER_ID_PREFIX)
    assert registry.claimed[5] == 0
    assert registry.held == 0
    assert registry.counts().peers == registry.own_claims > 0


def test_claims_end_in_steps() -> None:
    registry = new_registry()
    addresses = [number.to_bytes(4, "big") + b"\1\1" for number in range(1, 3001)]
    registry.hold_all(5, HASHES[0], addresses, [])
    assert sum(1 for _ in registry.drop(5)) >= 3000 // claims._STEP
    assert registry.counts().peers == 0
