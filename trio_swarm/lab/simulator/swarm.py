"""The swarm: peers that join, meet and go, on one virtual clock."""

import gc
import math
import random
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from trio_swarm.engine.messages import End
from trio_swarm.engine.upload.serving import CHOKE_PAUSE
from trio_swarm.identities import PieceIndex
from trio_swarm.lab.simulator.first_come import FirstComePipe, FirstComeUplink
from trio_swarm.lab.simulator.messages import HeardHaves
from trio_swarm.lab.simulator.neighbour import Neighbour
from trio_swarm.lab.simulator.peer import LONG_CHOKE_PAUSE, SimulatedPeer
from trio_swarm.lab.simulator.pipes import Pipe, Receiving
from trio_swarm.lab.simulator.playback import PieceTimes
from trio_swarm.lab.simulator.racks import Crossing, CrossingPipe, trunks
from trio_swarm.lab.simulator.recording import PeerRecording, Recordings
from trio_swarm.lab.simulator.results import SwarmResult, result_of
from trio_swarm.lab.simulator.scenario import MANY, Scenario, StrategySet, strategies
from trio_swarm.lab.simulator.timeline import Timeline
from trio_swarm.lab.simulator.trace import Sink, Trace
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadRequest

STALLED: Final = 150.0
"""Seconds without any block after which nobody will finish any more: no timer of a peer is as
long."""

_MOST_REQUESTS: Final = 65_536
"""Different ones that are kept, of some 250 bytes; a GiB has so many blocks."""

HANDSHAKES: Final = 4
"""One-way delays from dialling until both ends may talk: TCP's handshake and ours."""


def simulate(
    scenario: Scenario,
    strategy_set: StrategySet | None = None,
    *,
    seed: int = 1,
    sink: Sink | None = None,
    recordings: Recordings | None = None,
) -> SwarmResult:
    """Play a scenario to the end: all leechers are complete or gone, or nothing moves any more."""
    swarm = SimulatedSwarm(
        scenario, strategy_set or strategies(), seed=seed, sink=sink, recordings=recordings
    )
    return swarm.run()


class SimulatedSwarm:
    """See `simulate`; a test may look at the peers afterwards."""

    def __init__(
        self,
        scenario: Scenario,
        strategy_set: StrategySet,
        *,
        seed: int = 1,
        sink: Sink | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        self.scenario = scenario
        self.least_request = scenario.least_request
        self.quantum = scenario.quantum
        self.have_interval = scenario.have_interval
        self.choke_pause = LONG_CHOKE_PAUSE if len(scenario.peers) > MANY else CHOKE_PAUSE
        self.timeline = Timeline()
        self.piece_times: PieceTimes | None = None
        """When each peer had each piece, if they watch."""
        if scenario.playback is not None:
            sink = self.piece_times = PieceTimes(len(scenario.peers), scenario.piece_count, sink)
        self.trace = Trace(sink)
        self._recordings = recordings
        self.pipes: list[Pipe] = []
        network = scenario.network
        self.trunks = trunks(self.timeline, network.cross_links, scenario.quantum)
        self._rng = random.Random(f"{seed}/swarm")
        self._haves: dict[float, list[HeardHaves]] = {}
        """When → what will be heard of pieces then, one for each peer that hears."""
        self._requests: dict[tuple[int, int, int], UploadRequest] = {}
        self._to_choke: list[SimulatedPeer] = []
        self._to_plan: list[SimulatedPeer] = []
        self._to_speak: list[Neighbour] = []
        rng = random.Random(f"{seed}/peers")  # one for all: each takes 2.5 KB
        self.peers = [
            SimulatedPeer(self, index, strategy_set, rng) for index in range(len(scenario.peers))
        ]
        self._unfinished = sum(spec.role != "seeder" for spec in scenario.peers)
        self._seen = 0
        for peer in self.peers:
            spec = peer.spec
            if spec.leaves_after_copies < math.inf:
                peer.up.on_sent = peer.sent
            self.timeline.at(spec.joins_at, self._join, peer)
            if spec.leaves_at < math.inf:
                self.timeline.at(spec.leaves_at, peer.go)
            if spec.dies_at < math.inf:
                self.timeline.at(spec.dies_at, peer.die)

    def recording_of(self, index: int) -> PeerRecording | None:
        """Return what a peer records with, if it is recorded."""
        if self._recordings is None:
            return None
        timeline = self.timeline
        return self._recordings.of(index, lambda: timeline.now)

    def run(self) -> SwarmResult:
        """Play it."""
        last_join = max((spec.joins_at for spec in self.scenario.peers), default=0.0)
        self.timeline.at(last_join + STALLED, self._look_for_life)
        # A run makes no cycles but connections, and thousands of those are looked through in vain.
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            self.timeline.run(self._settle, until=self.scenario.max_seconds)
        finally:
            if was_enabled:
                gc.enable()
        return result_of(self)

    # --- coming and going -------------------------------------------------------------------------

    def _join(self, peer: SimulatedPeer) -> None:
        peer.is_here = True
        here = [each for each in self.peers if each.is_here and each is not peer]
        count = self.scenario.neighbours
        if count is not None and count < len(here):
            here = self._rng.sample(here, count)
        for other in here:
            if other.index not in peer.neighbours:
                delay = HANDSHAKES * self._latency(peer, other)
                self.timeline.at(self.timeline.now + delay, self._connect, peer, other)

    def _latency(self, one: SimulatedPeer, other: SimulatedPeer) -> float:
        pair = (min(one.index, other.index), max(one.index, other.index))
        special = self.scenario.network.pair_latency.get(pair)
        if special is not None:
            return special
        trunk = self.trunks.get((one.spec.rack, other.spec.rack))
        own = one.spec.latency + other.spec.latency
        return own if trunk is None else own + trunk.latency

    def _connect(self, one: SimulatedPeer, other: SimulatedPeer) -> None:
        if not (one.is_here and other.is_here) or other.index in one.neighbours:
            return
        if one.ledger.is_complete and other.ledger.is_complete:
            return  # They say so in their handshakes (BEP 21), and part.
        now = self.timeline.now
        near, far = (
            Neighbour(
                peer,
                to.index,
                now,
                allowed_fast=to.allowed_fast if peer.serves else 0,
                wants_nothing=to.ledger.is_complete,
            )
            for peer, to in ((one, other), (other, one))
        )
        near.other, far.other = far, near
        for end in (near, far):
            self.pipes.append(self._lay_pipe(end))
        one.meet(near)
        other.meet(far)

    def _lay_pipe(self, end: Neighbour) -> Pipe:
        sender, receiver = end.peer, end.other.peer
        network = self.scenario.network
        latency = self._latency(sender, receiver)
        share = 1.0 + network.unevenness * self._rng.uniform(-1.0, 1.0)
        down: Receiving | None = receiver.down
        heard_by: End = end.other
        trunk = self.trunks.get((sender.spec.rack, receiver.spec.rack))
        if trunk is not None:
            near = min(latency, sender.spec.latency)
            down = crossing = Crossing(
                self.timeline,
                trunk,
                receiver.down,
                latency=max(0.0, latency - near - trunk.latency),
                receiver=heard_by,
                share=share,
            )
            heard_by = crossing
            latency = near
        up = sender.up
        lay: Callable[..., Pipe]
        if isinstance(up, FirstComeUplink):
            round_trip = 2.0 * self._latency(sender, receiver)
            crosses = trunk is not None
            lay = partial(
                FirstComePipe, up=up, back=receiver.up, round_trip=round_trip, crosses=crosses
            )
        else:
            lay = partial(Pipe if trunk is None else CrossingPipe, up=up, share=share)
        end.pipe = lay(
            timeline=self.timeline,
            down=down,
            latency=latency,
            send_buffer=network.send_buffer,
            sender=end,
            receiver=heard_by,
        )
        return end.pipe

    def finished(self) -> None:
        """Note that one more peer is complete; the run ends with the last."""
        self._count_down()

    def gone(self, peer: SimulatedPeer) -> None:
        """Note that a peer went."""
        self.trace.left(self.timeline.now, peer.index)
        if peer.ledger.wanted:
            self._count_down()

    def _count_down(self) -> None:
        self._unfinished -= 1
        if not self._unfinished:
            self.timeline.stop()

    def _look_for_life(self) -> None:
        if self.trace.events == self._seen:
            self.timeline.stop()
            return
        self._seen = self.trace.events
        self.timeline.at(self.timeline.now + STALLED, self._look_for_life)

    def request(self, piece: int, begin: int, length: int) -> UploadRequest:
        """Return a request. There are thousands under way, of which many are equal."""
        named = (piece, begin, length)
        request = self._requests.get(named)
        if request is None:
            if len(self._requests) >= _MOST_REQUESTS:
                self._requests.clear()
            self._requests[named] = request = UploadRequest(PieceIndex(piece), begin, length)
        return request

    # --- HAVEs ------------------------------------------------------------------------------------

    def tell(self, end: Neighbour, pieces: PieceSet, when: float) -> None:
        """Have an end of a connection hear at `when` that the other has some pieces.

        HAVEs are most of all messages: so what many hear at one time is one action, and what one
        peer hears it takes in at once. And what they are about is looked at only then: a thousand
        peers do not fit into a processor's cache, and one does.
        """
        peer = end.peer
        for haves in peer.to_hear:
            if haves.when == when:
                break
        else:
            haves = HeardHaves(when)
            peer.to_hear.append(haves)
            heard = self._haves.get(when)
            if heard is None:
                self._haves[when] = heard = []
                self.timeline.at(when, self._hear_haves)
            heard.append(haves)
        haves.ends.append(end)
        haves.pieces.append(pieces)

    def _hear_haves(self) -> None:
        for haves in self._haves.pop(self.timeline.now):
            peer = cast("Neighbour", haves.ends[0]).peer
            peer.to_hear.remove(haves)
            peer.note_haves(haves.ends, haves.pieces)

    # --- decisions of one moment ----------------------------------------------------------------

    def rechoke(self, peer: SimulatedPeer) -> None:
        """Have a peer decide whom to unchoke."""
        if not peer.is_to_choke:
            peer.is_to_choke = True
            self._to_choke.append(peer)

    def replan(self, peer: SimulatedPeer) -> None:
        """Have a peer decide what to ask."""
        if not peer.is_to_plan:
            peer.is_to_plan = True
            self._to_plan.append(peer)

    def wake(self, neighbour: Neighbour) -> None:
        """Have an end say what is new, or as soon as its socket takes more."""
        if not neighbour.is_to_speak and not neighbour.pipe.is_full:
            neighbour.is_to_speak = True
            self._to_speak.append(neighbour)

    def _settle(self) -> None:
        """Decide and say what the events of this moment call for."""
        now = self.timeline.now
        while True:
            if self._to_choke:
                chokers, self._to_choke = self._to_choke, []
                for peer in chokers:
                    peer.choke(now)
            elif self._to_plan:
                planners, self._to_plan = self._to_plan, []
                for peer in planners:
                    peer.make_plan(now)
            elif self._to_speak:
                speakers, self._to_speak = self._to_speak, []
                for neighbour in speakers:
                    neighbour.is_to_speak = False
                    if neighbour.is_open and not neighbour.pipe.is_full:
                        neighbour.talk(now)
            else:
                return
