"""The compiled core: what is listed can be compiled, and it does what its sources do.

`make test-compiled` runs these with the core compiled; elsewhere the sources meet themselves.
"""

import gc
import importlib.util
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import trio_swarm
from trio_swarm.engine import rates
from trio_swarm.engine.download.open_piece import OpenPiece
from trio_swarm.engine.download.source import Ask
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.schedulers.api import PeerView, SwarmView
from trio_swarm.schedulers.draft import Draft

PROJECT = Path(__file__).parents[2]
INSTALLED = Path(trio_swarm.__file__).parent

SIMULATE = """
from trio_swarm.piece_sets import __file__ as core
from trio_swarm.lab.simulator import Network, PeerSpec, Scenario, simulate
from trio_swarm.lab.simulator.scenario import CrossLink

def peer(role, up, rack):
    return PeerSpec(role=role, up=up, down=4e6, latency=0.01, rack=rack)

peers = [peer("seeder", 2e6, "east")]
peers += [peer("leecher", 1e6 + 2e5 * n, "west" if n % 2 else "east") for n in range(8)]
network = Network(cross_links=(CrossLink(between=("east", "west"), rate=1e6, latency=0.02),))
told = []
result = simulate(
    Scenario(size=4 << 20, piece_length=65536, peers=tuple(peers), neighbours=4, network=network),
    seed=3,
    sink=lambda *event: told.append(event),
)
print(core.endswith(".py"), result.digest, len(told), sum(map(hash, told)))
"""


def _listed() -> set[str]:
    """Return the names of the modules that pyproject.toml has compiled."""
    building = runpy.run_path(str(PROJECT / "trio_swarm" / "building" / "compiled.py"))
    sources: Iterable[Path] = building["listed_sources"]()
    return {".".join(path.with_suffix("").parts) for path in sources}


def test_all_that_is_listed_is_compiled_or_nothing_is() -> None:
    compiled = set()
    for library in INSTALLED.rglob("*.so"):
        name = library.relative_to(INSTALLED.parent).with_name(library.name.split(".")[0])
        compiled.add(".".join(name.parts))
    assert compiled in (set(), _listed() | {"trio_swarm.compiled__mypyc"})


def test_strategies_stay_as_their_authors_can_read_them() -> None:
    for name in (
        "rarest_first",
        "round_robin",
        "bandwidth_weighted",
        "uploading.spread",
        "choking.tit_for_tat",
    ):
        spec = importlib.util.find_spec(f"trio_swarm.schedulers.{name}")
        assert spec is not None
        assert str(spec.origin).endswith(".py")


def test_what_there_are_millions_of_is_unknown_to_the_garbage_collector_where_it_is_compiled() -> (
    None
):
    made = (RateEstimate(), OpenPiece(0, 1), Ask(0, 1, at=0.0, deadline=1.0, idle=False))
    is_compiled = not str(rates.__file__).endswith(".py")
    assert [gc.is_tracked(each) for each in made] == [not is_compiled] * 3


def test_a_draft_can_be_made_a_class_of_though_it_is_compiled() -> None:
    class Fewer(Draft):
        def room(self, peer: PeerView) -> int:
            return min(1, super().room(peer))

    peer = PeerView(key=7, pieces=0b10, room=4, in_flight=0, rate=0.0, rtt=0.0, is_seeder=False)
    view = SwarmView(
        wanted=0b11,
        started=0,
        free_blocks={},
        rarity=[0b01, 0b10],
        peers=(peer,),
        piece_length=65536,
        block_length=16384,
        piece_count=2,
        remaining=131072,
        now=0.0,
    )
    draft = Fewer(view)
    assert draft.room(peer) == 1
    assert draft.candidates(peer) == 0b10
    assert draft.give(peer, 1, draft.room(peer)) == 1
    assert [(each.peer, each.piece, each.blocks) for each in draft.assignments] == [(7, 1, 1)]


def test_a_simulation_tells_the_same_as_with_the_sources_alone(tmp_path: Path) -> None:
    shutil.copytree(INSTALLED, tmp_path / "trio_swarm", ignore=shutil.ignore_patterns("*.so"))
    alone = _told(tmp_path)
    assert alone[0] == "True"
    assert _told(INSTALLED.parent)[1:] == alone[1:]


def _told(path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SIMULATE],
        env={"PYTHONPATH": str(path), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout.split()
