"""The properties of an unchoking strategy: one function checks one promise."""

import random
from collections import Counter
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.lab.testing.choke_rounds import Round, served, view, waiting
from trio_swarm.lab.testing.common_properties import common_properties
from trio_swarm.lab.testing.decisions import Call, decide, fresh
from trio_swarm.lab.testing.describing import describe
from trio_swarm.lab.testing.properties import Property, Subject, is_uniform
from trio_swarm.lab.testing.views import choke_views
from trio_swarm.schedulers.api import ChokePeerView, Choker, ChokeView

PATIENCE = 1800.0
"""Virtual seconds after which a peer that was never unchoked counts as starved."""

_SEEDS = st.integers(0, 2**32)
_DRAWS = 2000
"""Decisions that are counted to check whether ties are broken uniformly."""


def choker_properties(*, fills_slots: bool, uniform_ties: bool) -> list[Property]:
    """Return the properties of a choker; the two arguments add promises that not all make."""
    anything = {"view": choke_views(), "seed": _SEEDS}
    calls = st.builds(lambda view, seed: Call("unchoke", (view,), seed), choke_views(), _SEEDS)
    properties = [
        Property(
            "unchokes_only_connected_peers",
            "It returns keys of peers in the view.",
            unchokes_only_connected_peers,
            anything,
        ),
        Property(
            "keeps_to_the_slots",
            "It returns no more keys than there are slots, and none twice.",
            keeps_to_the_slots,
            anything,
        ),
        Property(
            "lets_no_interested_peer_starve",
            "A peer that stays interested is unchoked from time to time.",
            lets_no_interested_peer_starve,
            {"plan": choking_plans()},
            is_long=True,
        ),
        *common_properties(st.lists(calls, min_size=1, max_size=3)),
    ]
    if fills_slots:
        properties.append(
            Property(
                "fills_all_slots_with_interested_peers",
                "While peers are interested no slot is free, nor held by one that is not. (Free "
                "riders are not among the peers.)",
                fills_all_slots_with_interested_peers,
                {"view": choke_views(with_riders=False), "seed": _SEEDS},
            )
        )
    if uniform_ties:
        properties.append(
            Property(
                "breaks_ties_uniformly",
                "Peers alike get a slot equally often.",
                breaks_ties_uniformly,
            )
        )
    return properties


def _unchoke(subject: Subject, view: ChokeView, seed: int) -> list[Any]:
    __tracebackhide__ = True
    chosen = decide(subject.make(), fresh(Call("unchoke", (view,), seed)))
    if not isinstance(chosen, list):
        raise subject.broke(
            f"returned {chosen!r:.80}, which is not an iterable of keys", describe(view)
        )
    return chosen


def unchokes_only_connected_peers(subject: Subject, view: ChokeView, seed: int) -> None:
    """Check that each key is the key of a peer in the view."""
    __tracebackhide__ = True
    known = {peer.key for peer in view.peers}
    for key in _unchoke(subject, view, seed):
        if type(key) is not int or key not in known:
            raise subject.broke(f"unchoked {key!r:.80}, which is not a peer's key", describe(view))


def keeps_to_the_slots(subject: Subject, view: ChokeView, seed: int) -> None:
    """Check that there are no more keys than slots, and none twice."""
    __tracebackhide__ = True
    chosen = _unchoke(subject, view, seed)
    if len(chosen) > view.slots:
        raise subject.broke(f"unchoked {len(chosen)} peers: {chosen!r:.200}", describe(view))
    if len({*map(repr, chosen)}) < len(chosen):
        raise subject.broke(f"unchoked a peer twice: {chosen!r:.200}", describe(view))


def fills_all_slots_with_interested_peers(subject: Subject, view: ChokeView, seed: int) -> None:
    """Check that interested peers, and only they, fill the slots."""
    __tracebackhide__ = True
    chosen = set(_unchoke(subject, view, seed))
    interested = {peer.key for peer in view.peers if peer.interested}
    if chosen - interested:
        raise subject.broke(
            f"unchoked {sorted(chosen - interested)}, not interested in anything", describe(view)
        )
    if len(chosen) < min(view.slots, len(interested)):
        raise subject.broke(
            f"unchoked only {sorted(chosen)}, though interested are {sorted(interested)}",
            describe(view),
        )


def breaks_ties_uniformly(subject: Subject) -> None:
    """Count how often each of eight equal peers gets one of four slots; the seed is fixed."""
    __tracebackhide__ = True
    rng = random.Random(20240501)
    alike = view([waiting(key) for key in range(8)])
    counts: Counter[int] = Counter()
    for _ in range(_DRAWS):
        counts.update(subject.make().unchoke(alike, rng))
    if not is_uniform(counts, set(range(8))):
        raise subject.broke(
            f"does not unchoke peers alike equally often; of {_DRAWS} decisions each should be "
            f"in about {_DRAWS // 2}, and they are in: {dict(sorted(counts.items()))}",
            describe(alike),
        )


class Taker(Struct, frozen=True, kw_only=True):
    """One peer that is always interested; rates are bytes/s."""

    gives: float = 0.0
    takes: float = 0.0
    is_rider: bool = False
    """Whether it has pieces that we want, and chokes us."""
    unchoked: bool = False
    """Whether it holds a slot at the start."""

    def peer(self, key: int) -> ChokePeerView:
        """Return the view of the peer at the start."""
        peer = served(key) if self.unchoked else waiting(key)
        return replace(
            peer,
            download_rate=0.0 if self.is_rider else self.gives,
            upload_rate=self.takes,
            is_interesting=self.is_rider,
            choking_us=self.is_rider,
        )


class ChokingPlan(Struct, frozen=True, kw_only=True):
    """Some peers, and the situation of the choker."""

    takers: tuple[Taker, ...]
    slots: int
    is_seeder: bool

    def play(self, choker: Choker) -> list[int]:
        """Play `PATIENCE` seconds; return the keys of the peers that never held a slot."""
        game = Round(choker, {}, slots=self.slots)
        game.peers = {key: taker.peer(key) for key, taker in enumerate(self.takers)}
        game.play(PATIENCE, seeding=self.is_seeder)
        return [key for key in game.peers if not game.held[key]]

    def describe(self) -> str:
        """Return the plan as lines for an error message."""
        peers = [taker.peer(key) for key, taker in enumerate(self.takers)]
        return describe(view(peers, slots=self.slots, now=0.0, seeding=self.is_seeder))


def choking_plans() -> st.SearchStrategy[ChokingPlan]:
    """Draw up to nine peers for up to four slots."""
    rates = st.sampled_from([0.0, 1.0, 1e3, 1e6])
    taker = st.builds(
        Taker, gives=rates, takes=rates, is_rider=st.booleans(), unchoked=st.booleans()
    )
    return st.builds(
        ChokingPlan,
        takers=st.lists(taker, min_size=1, max_size=9).map(tuple),
        slots=st.integers(1, 4),
        is_seeder=st.booleans(),
    )


def lets_no_interested_peer_starve(subject: Subject, plan: ChokingPlan) -> None:
    """Play the plan, and check that each peer got a slot at some time."""
    __tracebackhide__ = True
    starved = plan.play(subject.make())
    if starved:
        raise subject.broke(
            f"never unchoked {starved} in {PATIENCE:.0f} s of rounds, though they were interested "
            "all the time",
            plan.describe(),
        )
