"""Random downloads that can finish, to test a strategy in without any help of the host."""

import random
from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec import Struct

from trio_swarm.lab.testing.describing import pieces_text
from trio_swarm.lab.testing.downloads import KIB, MIB, PacedPeer, PacedSwarm, new_ledger
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView

MOST_SECONDS = 600.0
"""Virtual seconds after which a download counts as stuck: many times the time the slowest needs."""

_SLICE = 2.0
_QUIET_SLICES = 5
"""Time slices without a block on its way or a peer that joins or leaves, in which the strategy is
asked again and again; after so many the download counts as stuck, too."""


class DownloadOutcome(NamedTuple):
    """The result of a random download."""

    finished_at: float | None
    seconds: float
    """Virtual seconds that were played."""
    missing: PieceSet
    faults: list[str]
    """Why the host replaced the strategy, if it did."""


class PeerPlan(Struct, frozen=True, kw_only=True):
    """The plan of one peer; rates are bytes/s, times seconds."""

    rate: float = MIB
    latency: float = 0.02
    pieces: PieceSet = 0
    joins_at: float = 0.0
    leaves_at: float | None = None
    """When it leaves; None: never."""
    chokes_at: float | None = None
    """When it chokes us; None: never."""
    is_silent: bool = False
    """Whether it never sends the requested blocks."""
    rejects: bool = False
    fast: bool = True

    def peer(self) -> PacedPeer:
        """Return the simulated peer with this plan."""
        peer = PacedPeer(
            rate=self.rate,
            latency=self.latency,
            pieces=self.pieces,
            joins_at=self.joins_at,
            is_silent=self.is_silent,
            rejects=self.rejects,
            fast=self.fast,
        )
        if self.leaves_at is not None:
            peer.leaves_at = self.leaves_at
        if self.chokes_at is not None:
            peer.chokes_at = self.chokes_at
        return peer

    def describe(self) -> str:
        """Return the plan as one line for an error message."""
        facts = [f"{self.rate:g} B/s, {self.latency:g} s, has {pieces_text(self.pieces)}"]
        if self.joins_at:
            facts.append(f"joins at {self.joins_at:g} s")
        if self.leaves_at is not None:
            facts.append(f"leaves at {self.leaves_at:g} s")
        if self.chokes_at is not None:
            facts.append(f"chokes at {self.chokes_at:g} s")
        if self.is_silent:
            facts.append("never answers")
        if self.rejects:
            facts.append("rejects all requests")
        return ", ".join(facts)


class RandomDownload(Struct, frozen=True, kw_only=True):
    """One download from peers, of which some stay and together have every piece."""

    pieces: int
    blocks: int
    """Blocks of each piece; the last block of the last piece may be shorter."""
    last_size: int
    open_piece_limit: int
    """Most pieces that may be started at once."""
    peers: tuple[PeerPlan, ...]
    seed: int

    def play(self, strategy: Scheduler) -> DownloadOutcome:
        """Play with `strategy` and without a fallback, until the download ends or is stuck."""
        reasons: list[str] = []

        def on_fault(name: str, reason: str, faults: int, replaced: bool) -> None:  # noqa: FBT001  as a guard calls it
            if replaced:
                reasons.append(f"{name} {reason} ({faults} faulty calls)")

        ledger = new_ledger(
            self.pieces,
            blocks=self.blocks,
            last_size=self.last_size,
            strategy=strategy,
            seed=self.seed,
            open_piece_limit=self.open_piece_limit,
            fallback=_Nobody,
            on_fault=on_fault,
        )
        swarm = PacedSwarm(ledger, [plan.peer() for plan in self.peers])
        quiet = 0
        while not ledger.is_complete and swarm.now < MOST_SECONDS and quiet < _QUIET_SLICES:
            swarm.run(swarm.now + _SLICE)
            quiet = 0 if swarm.is_moving else quiet + 1
        done = ledger.is_complete
        return DownloadOutcome(swarm.now if done else None, swarm.now, ledger.wanted, reasons)

    def describe(self) -> str:
        """Return the download as lines for an error message."""
        lines = [
            f"  {self.pieces} pieces of {self.blocks} blocks, {self.open_piece_limit} at once",
            *(f"  peer {key}: {plan.describe()}" for key, plan in enumerate(self.peers)),
        ]
        return "\n".join(["in this download:", *lines])


class _Nobody:
    """The host's fallback in these downloads: it assigns nothing."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:  # noqa: ARG002  part of the interface
        return ()


@st.composite
def downloads(draw: st.DrawFn) -> RandomDownload:
    """Draw a small torrent, one to three peers that stay and together have it, and some more."""
    pieces = draw(st.integers(1, 10))
    blocks = draw(st.integers(1, 6))
    everything = full_set(pieces)
    sets = st.one_of(st.just(everything), st.integers(0, everything))
    links = {
        "rate": st.sampled_from([20.0 * KIB, 200.0 * KIB, 2.0 * MIB, 20.0 * MIB]),
        "latency": st.sampled_from([0.001, 0.03, 0.3]),
        "joins_at": st.sampled_from([0.0, 0.0, 0.2, 3.0]),
    }
    staying = [draw(sets) for _ in range(draw(st.integers(0, 2)))]
    rest = everything
    for held in staying:
        rest &= ~held
    plans = [draw(st.builds(PeerPlan, pieces=st.just(held), **links)) for held in (rest, *staying)]
    leaving = st.builds(
        PeerPlan,
        pieces=sets,
        leaves_at=st.none() | st.sampled_from([0.0, 0.1, 1.0, 5.0]),
        chokes_at=st.none() | st.sampled_from([0.0, 0.1, 1.0]),
        is_silent=st.booleans(),
        rejects=st.booleans(),
        fast=st.booleans(),
        **links,
    )
    plans += draw(st.lists(leaving, max_size=4))
    return RandomDownload(
        pieces=pieces,
        blocks=blocks,
        last_size=draw(st.integers(1, blocks * 16 * KIB)),
        open_piece_limit=draw(st.integers(1, pieces)),
        peers=tuple(draw(st.permutations(plans))),
        seed=draw(st.integers(0, 99)),
    )
