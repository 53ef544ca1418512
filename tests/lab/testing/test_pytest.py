"""The kit in pytest: a class of tests in three lines, and a report on demand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import trio_swarm.lab.testing
from authors_pytest import QUICK, TESTS, run_pytest
from trio_swarm.lab.simulator import PeerSpec, Scenario
from trio_swarm.lab.testing.cards import report_card
from trio_swarm.schedulers.uploading.least_sent import LeastSent

BAD = """
from bad_strategies import HasFavourites, OverfillsSlots
from trio_swarm.lab.testing import choker_contract
TestMine = choker_contract(OverfillsSlots)
TestLocal = choker_contract(lambda: HasFavourites(), uniform_ties=True)
"""

GOOD = """
from trio_swarm.schedulers.choking.taking_turns import TakingTurns
from trio_swarm.lab.testing import choker_contract
TestMine = choker_contract(TakingTurns, name="turns")
def test_another_thing():
    pass
"""


@pytest.mark.slow
def test_a_bad_strategy_fails_test_by_test_and_each_says_why(tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(BAD)
    done = run_pytest("-rfs", "-k", "slots or ties or hash_seed", cwd=tmp_path, paths=[TESTS])
    failed = set(re.findall(r"^FAILED test_bad.py::(\w+::\w+)", done.stdout, re.MULTILINE))
    assert failed == {
        "TestMine::test_keeps_to_the_slots",
        "TestLocal::test_breaks_ties_uniformly",
    }
    assert re.search(r"ContractError: OverfillsSlots unchoked \d peers: \[\d", done.stdout)
    assert re.search(r"^E +where the view is:\nE +\w+ with \d slots", done.stdout, re.MULTILINE)
    assert re.search("Falsifying example|Failing test case", done.stdout)
    # Where no other process can make it, one test is skipped and says what to do.
    assert re.search(r"^SKIPPED \[1\].*functools.partial", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_report_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_good.py").write_text(GOOD)
    (tmp_path / "conftest.py").write_text(QUICK)
    # Without the flag: test_a_new_package_offers_its_strategy_and_passes_its_own_test.
    asked = run_pytest("--strategy-report", "-vv", cwd=tmp_path, paths=[TESTS])
    assert asked.returncode == 0, asked.stdout
    assert re.findall(r"^\S+::(\S*report\S*) PASSED", asked.stdout, re.MULTILINE) == ["report_card"]
    assert "choker turns beside the built-in ones" in asked.stdout
    assert re.search(r"^flash-crowd +turns +\d\.\d{3} ", asked.stdout, re.MULTILINE)


def test_neither_the_package_nor_the_start_of_pytest_imports_what_only_tests_need() -> None:
    code = (
        "import sys, trio_swarm.lab.testing, trio_swarm.cli.lab.plugin\n"
        "assert not {'pytest', 'hypothesis'} & set(sys.modules)\n"
        "before = set(sys.modules)\n"
        "import pytest\n"
        "with_pytest = set(sys.modules)\n"
        "import trio_swarm.lab.testing.pytest_plugin\n"
        "new = set(sys.modules) - with_pytest\n"
        "assert new == {'trio_swarm.lab.testing.pytest_plugin'}, new\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_can_be_imported() -> None:
    for name in trio_swarm.lab.testing.__all__:
        assert getattr(trio_swarm.lab.testing, name) is not None
    assert set(trio_swarm.lab.testing.__all__) <= set(dir(trio_swarm.lab.testing))


class Raises(LeastSent):
    """Fails at each offer."""

    def offer(self, *_: object) -> None:
        raise RuntimeError("a bug")


SMALL = Scenario(
    size=1 << 20,
    piece_length=1 << 16,
    peers=(PeerSpec(up=1e6, role="seeder"), PeerSpec(up=1e6), PeerSpec(up=1e6)),
)
HOPELESS = Scenario(
    size=1 << 20,
    piece_length=1 << 16,
    peers=(PeerSpec(up=1e6, role="seeder", leaves_at=0.1), PeerSpec(up=1e6)),
)


def test_a_report_card_has_the_strategy_first_and_the_built_in_ones_beside_it() -> None:
    card = report_card("uploader", LeastSent, "mine", scenarios={"small": SMALL}, seeds=2)
    assert [row.strategy for row in card.rows] == ["mine", "spread", "least-sent"]
    mine, _, built_in = card.rows
    assert (mine.ratio, mine.copies, mine.in_vain) == (
        built_in.ratio,
        built_in.copies,
        built_in.in_vain,
    )
    assert 1.0 < mine.ratio < 2.0
    assert mine.copies >= 1.0
    assert not mine.fault
    assert all(seconds > 0 for seconds in card.large_swarm_seconds.values())
    assert list(card.large_swarm_seconds) == ["mine", "spread", "least-sent"]


def test_a_report_card_tells_who_never_finished_and_whom_the_host_did_without() -> None:
    card = report_card("uploader", Raises, "bad", scenarios={"small": SMALL, "hopeless": HOPELESS})
    lines = card.lines()
    assert any(re.match(r"hopeless +bad +never ", line) for line in lines)
    assert (
        card.rows[0].fault == "was replaced after 5 faulty decisions: it raised RuntimeError: a bug"
    )
    assert f"in small: bad {card.rows[0].fault}" in lines
