"""`trio-swarm plugin`: a package to start from, and what a strategy promises."""

import json
import re
import tomllib
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from authors_pytest import QUICK, run_pytest
from command_line import run_here
from trio_swarm.cli.command_table import GROUPS
from trio_swarm.cli.lab import plugin
from trio_swarm.cli.lab.plugin_files import MOST_LETTERS, package_files
from trio_swarm.errors import ConfigError
from trio_swarm.lab.testing.cards import report_card
from trio_swarm.lab.testing.standard_scenarios import STANDARD_SCENARIOS
from trio_swarm.schedulers.loading import AXES, Axis, load_strategies


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


FEW = ("--examples", 4)
"""What is said of examples is tested here, and by how many a strategy is judged elsewhere."""


@pytest.fixture
def small_swarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the report card play two of its swarms, which share an eighth of what they do."""
    played = ("flash-crowd", "parallel-sources")
    swarms = {name: STANDARD_SCENARIOS[name] for name in played}
    smaller = {name: replace(each, size=each.size // 8) for name, each in swarms.items()}
    monkeypatch.setattr(plugin, "report_card", partial(report_card, scenarios=smaller))


@pytest.mark.slow
def test_a_new_package_offers_its_strategy_and_passes_its_own_test(tmp_path: Path) -> None:
    for axis in AXES:
        name = f"near-{axis}"
        code, out, err = run_here("plugin", "new", name, "--axis", axis)
        assert (code, err) == (0, "")
        package = tmp_path / f"trio-swarm-{name}"
        assert f"wrote {package.name}/pyproject.toml" in out
        assert f"now: pip install -e './{package.name}[test]' && pytest ./{package.name}\n" in out
        project = tomllib.loads((package / "pyproject.toml").read_text())
        module = f"trio_swarm_near_{axis}"
        assert project["project"]["entry-points"]["trio_swarm"] == {name: module}
        entry = load_strategies([package / module]).entry(axis, name)
        assert entry.summary.endswith(".")
        assert [option for option in entry.options if option.doc]
    packages = sorted(tmp_path.iterdir())
    (tmp_path / "conftest.py").write_text(QUICK)
    # Their tests have one name, as those of packages that do not stand side by side may have.
    flags = ("--import-mode=importlib", "--rootdir", tmp_path, "-vv")
    done = run_pytest(*packages, *flags, cwd=tmp_path, paths=packages)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.findall(r"^(\S+?)/\S+ PASSED", done.stdout, re.MULTILINE)
    assert set(passed) == {package.name for package in packages}, done.stdout
    assert "beside the built-in ones" not in done.stdout  # a report, which nobody asked for


@pytest.mark.parametrize("axis", AXES)
def test_the_files_of_a_package_have_no_gaps_and_lines_of_a_decent_length(axis: Axis) -> None:
    for place, text in package_files(axis, "mine").items():
        assert "@" not in re.sub("@(hookimpl|dataclass)", "", text), place
        assert all(len(line) <= 100 for line in text.splitlines()), place
    test = package_files(axis, "mine")["tests/test_contract.py"]
    assert len([line for line in test.splitlines() if line and not line.startswith('"')]) == 3


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "trio-swarm-mine"
    folder.mkdir()
    message = "trio-swarm: trio-swarm-mine: exists already and is not overwritten\n"
    assert run_here("plugin", "new", "mine") == (1, "", message)
    assert list(folder.iterdir()) == []
    assert run_here("plugin", "new", "mine", "--out", tmp_path / "a" / "b")[0] == 0
    (tmp_path / "file").write_text("mine")
    code, _, err = run_here("plugin", "new", "mine", "--out", tmp_path / "file" / "b")
    assert code == 1
    assert "cannot be made" in err


@pytest.mark.parametrize(
    "name", ["", "Mine", "2fast", "a--b", "a-", "a_b", "../a", "a b", "ä", "x" * (MOST_LETTERS + 1)]
)
def test_what_is_no_name_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    code, out, err = run_here("plugin", "new", name)
    assert (code, out) == (2, "")
    assert "is not a name for a strategy" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_built_in_strategy_is_refused() -> None:
    code, _, err = run_here("plugin", "new", "rarest-first")
    assert code == 2
    assert "there is a built-in scheduler 'rarest-first': choose another name" in err
    assert run_here("plugin", "new", "rarest-first", "--axis", "choker")[0] == 0


@pytest.mark.parametrize("name", ["none", "draft", "print-exception", "value-error", "class"])
def test_a_name_that_means_something_in_python_makes_a_class_all_the_same(
    tmp_path: Path, name: str
) -> None:
    assert run_here("plugin", "new", name, "--out", "made")[0] == 0
    (module,) = (tmp_path / "made").glob("trio_swarm_*")
    loaded = load_strategies([module])
    assert loaded.scheduler(name, {"most_blocks": 3}).most_blocks == 3  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="most_blocks must be 1 or more"):
        loaded.scheduler(name, {"most_blocks": 0})


@pytest.mark.slow
@pytest.mark.usefixtures("small_swarms")
def test_check_of_a_good_strategy_in_json() -> None:
    code, out, err = run_here("plugin", "check", "fastest-first", *FEW, "--json")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    promises = [each for each in events if each["event"] == "promise_examined"]
    assert "keeps_to_the_slots" in [each["promise"] for each in promises]
    assert all(each["holds"] and not each["reason"] for each in promises)
    compared = [each for each in events if each["event"] == "strategy_compared"]
    assert {each["strategy"] for each in compared} == {
        *("tit-for-tat", "round-robin", "fastest-first")
    }
    assert not [each["fault"] for each in compared if each["fault"]]
    timed = [each["strategy"] for each in events if each["event"] == "decision_timed"]
    assert timed[0] == "fastest-first"


@pytest.mark.slow
@pytest.mark.usefixtures("small_swarms")
def test_check_says_what_is_broken_shows_the_report_card_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "twice.py"
    file.write_text(
        "from trio_swarm.schedulers.hookspecs import hookimpl\n"
        "class Twice:\n"
        "    def unchoke(self, view, rng):\n"
        "        return [peer.key for peer in view.peers[:1]] * 2\n"
        "@hookimpl\n"
        "def trio_swarm_chokers():\n"
        "    return {'twice': Twice}\n"
    )
    code, out, err = run_here("plugin", "check", "twice", "--plugin", file, *FEW)
    assert code == 1
    assert f"choker twice (file {file})" in out
    assert "holds     It returns keys of peers in the view.\n" in out
    assert "BROKEN    It returns no more keys than there are slots, and none twice.\n" in out
    assert re.search(r"\n +twice unchoked (2 peers|a peer twice): \[", out)
    assert re.search(rf"twice breaks {out.count('BROKEN')} promises?\b", err)
    assert re.search(r"^scenario +choker +ratio +copies +in vain +decides$", out, re.MULTILINE)
    assert re.search(r"^flash-crowd +twice +\d\.\d{3} ", out, re.MULTILINE)
    assert re.search(r"^a large swarm +twice .* µs$", out, re.MULTILINE)
    assert "in flash-crowd: twice was replaced after 5 faulty decisions: it unchoked" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "there is no strategy 'nonsense' (schedulers: bandwidth-weighted, "),
        (["round-robin"], "a scheduler and a choker called 'round-robin': say which by --axis"),
        (["round-robin", "--axis", "uploader"], "there is no uploader 'round-robin'"),
        (["rarest-first", "--option", "colour=red"], "has no option 'colour'"),
        (["rarest-first", "--option", "begun_per_peer=-1"], "begun_per_peer"),
        (["rarest-first", "--plugin", "no-such.py"], "no-such.py"),
        (["rarest-first", "--examples", "0"], "--examples: must be more than 0"),
        (["rarest-first", "--seeds", "0"], "--seeds: must be more than 0"),
    ],
)
def test_wrong_usage_of_check_is_one_line(arguments: list[str], message: str) -> None:
    code, out, err = run_here("plugin", "check", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_the_help_of_a_group_names_its_commands_and_each_has_examples() -> None:
    for name, group in GROUPS.items():
        _, out, _ = run_here(name, "--help")
        said = " ".join(re.sub(r"[│\s]+", " ", out).split())
        for inner, command in group.commands.items():
            assert f"{inner} {command.summary}" in said
            _, out, _ = run_here(name, inner, "--help")
            text = " ".join(re.sub(r"[│\s]+", " ", out).split())
            assert f"Usage: trio-swarm {name} {inner}" in text
            assert command.summary in text
            assert command.examples[0] in text
            for flag in ("--json", "--quiet", "--verbose"):
                assert flag in text
