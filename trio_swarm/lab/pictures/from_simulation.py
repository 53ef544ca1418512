"""The course of a simulated swarm, built from its trace."""

from trio_swarm.lab.pictures.course import Blocks, Course, CoursePeer, Gains
from trio_swarm.lab.simulator.scenario import Scenario
from trio_swarm.lab.simulator.trace import BLOCK, PIECE
from trio_swarm.piece_sets import full_set


class Watcher:
    """A trace sink for `simulate`; if `with_blocks`, it also keeps who sent which block to whom."""

    def __init__(self, scenario: Scenario, *, with_blocks: bool) -> None:
        self._scenario = scenario
        self._with_blocks = with_blocks
        self._blocks = Blocks()
        # Curves need little precision, and there may be millions of these numbers.
        self._gains = (
            Gains() if with_blocks else Gains.of_swarm(len(scenario.peers), scenario.piece_count)
        )
        self._left: dict[int, float] = {}
        self._last = 0.0

    def __call__(  # noqa: PLR0917  one record of a trace
        self, kind: int, now: float, peer: int, to: int, piece: int, begin: int, length: int
    ) -> None:
        """Keep one record of the trace."""
        del begin
        if kind == BLOCK:
            if self._with_blocks:
                self._blocks.add(now, peer, to, piece, length)
        elif kind == PIECE:
            self._gains.add(now, peer, piece)
        else:
            self._left[peer] = now
        self._last = now

    def course(self, title: str) -> Course:
        """Return the course of the scenario; peers are S1, S2, L1 … by their roles."""
        scenario = self._scenario
        pieces = scenario.piece_count
        peers = []
        names = scenario.names
        for index, spec in enumerate(scenario.peers):
            peers.append(
                CoursePeer(
                    name=names[index],
                    role=spec.role,
                    joined=spec.joins_at,
                    left=self._left.get(index),
                    died=self._left.get(index, -1.0) >= spec.dies_at,
                    had=full_set(pieces) if spec.role == "seeder" else 0,
                )
            )
        return Course(
            title=title,
            size=scenario.size,
            pieces=pieces,
            seconds=self._last,
            peers=peers,
            gains=self._gains,
            blocks=self._blocks,
            playback=scenario.playback,
            piece_length=scenario.piece_length,
        )
