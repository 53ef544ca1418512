"""`trio-swarm simulate` and its scenario files."""

import json
import math
from pathlib import Path

import pytest
from msgspec.structs import replace

from command_line import run_here
from small_scenario import SMALL
from trio_swarm.cli.lab import simulate as simulate_command
from trio_swarm.cli.lab.simulation_runs import is_compiled
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.config.scenarios import read_scenario
from trio_swarm.errors import ConfigError
from trio_swarm.lab.simulator import SimulatedSwarm, simulate, strategies
from trio_swarm.lab.simulator.first_come import FirstComeUplink
from trio_swarm.lab.simulator.pipes import Uplink

EXAMPLES = sorted((Path(__file__).parents[3] / "config" / "scenarios").glob("*.toml"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_describes_a_swarm(file: Path) -> None:
    scenario = read_scenario(file).scenario(1)
    assert scenario.bound > 0
    assert file.read_text().startswith("# ")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_plays_when_it_is_small(file: Path) -> None:
    found = read_scenario(file)
    assert found.size >= 16 * found.piece_length
    scenario = found.scenario(1)
    small = replace(scenario, size=24 * 65536, piece_length=65536, peers=scenario.peers[:100])
    result = simulate(small)
    if not file.stem.startswith("seeder-leaves"):  # what it has sent is too little when it is small
        assert result.unfinished == 0
        assert math.isfinite(result.last)
    assert (result.audience is not None) == (found.playback is not None)
    assert (result.crossed > 0) == bool(found.links)


def test_peers_that_give_up_are_counted_and_delay_nobody(small: Path) -> None:
    small.write_text(
        SMALL
        + 'joins_every = 0.5\n[[peers]]\ncount = 4\nup = "1Mbit"\ndown = "1Mbit"\nstays_for = 1.0\n'
    )
    code, out, err = run_here("simulate", small, "--json")
    run = json.loads(out)
    assert (code, err, run["unfinished"], run["gave_up"]) == (0, "", 0, 4)
    assert 0 < run["last"] < 10
    code, out, err = run_here("simulate", small)
    assert "gave up" in out.splitlines()[1]


def test_stays_at_random_follow_the_seed_and_keep_their_mean(tmp_path: Path) -> None:
    file = tmp_path / "churn.toml"
    file.write_text(
        SMALL.replace(
            "count = 3", "count = 400\njoins_at = 5\nstays_for = 10\nstays_at_random = true"
        )
    )
    found = read_scenario(file)
    stays = [peer.leaves_at - peer.joins_at for peer in found.scenario(1).peers[1:]]
    assert stays == [peer.leaves_at - peer.joins_at for peer in found.scenario(1).peers[1:]]
    assert stays != [peer.leaves_at - peer.joins_at for peer in found.scenario(2).peers[1:]]
    assert 8.5 < sum(stays) / 400 < 11.5


def test_those_who_watch_are_told_of_one_by_one_and_together(small: Path) -> None:
    small.write_text(SMALL.replace("[[peers]]", '[playback]\nrate = "8Mbit"\n[[peers]]', 1))
    code, out, _ = run_here("simulate", small, "--json")
    run = json.loads(out)
    assert code == 0
    assert run["audience"]["watched"] == 3
    assert [each["peer"] for each in run["viewers"]] == [1, 2, 3]
    assert run["audience"]["stalls"] == sum(each["stalls"] for each in run["viewers"])
    code, out, _ = run_here("simulate", small)
    assert "plays after" in out.splitlines()[1]


def test_groups_become_peers_and_links_lose_their_headers(small: Path) -> None:
    scenario = read_scenario(small).scenario(1)
    assert [round(peer.up * 8 / 0.955e6) for peer in scenario.peers] == [20, 10, 20, 10]
    assert [peer.role for peer in scenario.peers] == ["seeder", *["leecher"] * 3]
    assert scenario.peers[0].down == float("inf")


def test_random_arrivals_follow_the_seed_and_keep_their_mean(tmp_path: Path) -> None:
    file = tmp_path / "late.toml"
    file.write_text(
        SMALL.replace("count = 3", "count = 400\njoins_every = 2\njoins_at_random = true")
    )
    found = read_scenario(file)
    times = [peer.joins_at for peer in found.scenario(1).peers[1:]]
    assert times == [peer.joins_at for peer in found.scenario(1).peers[1:]]
    assert times != [peer.joins_at for peer in found.scenario(2).peers[1:]]
    assert times == sorted(times)
    assert 650 < times[-1] < 950


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('size = "2MiB"', 'sise = "2MiB"'), "sise: unknown key, did you mean 'size'?"),
        (('size = "2MiB"', ""), "size: is missing"),
        (('"20Mbit"\n[[', '"fast"\n[['), "peers[0].up: expected a rate"),
        (('["10Mbit", "20Mbit"]', '["10Mbit", "x"]'), "peers[1].up[1]: expected a rate"),
        (
            ('role = "seeder"', 'role = "sower"'),
            "peers[0].role: expected seeder, leecher or free-rider",
        ),
        (("count = 3", "count = 0"), "peers[1].count: expected a whole number >= 1"),
        (('down = "50Mbit"', "leaves_at = -1"), "peers[1].leaves_at: expected a number >= 0"),
        (('down = "50Mbit"', "stays_for = 'x'"), "peers[1].stays_for: expected a number"),
        (('down = "50Mbit"', 'sharing = "x"'), "peers[1].sharing: expected "),
        (
            ("[[peers]]", "[network]\nbuffer = 0\n[[peers]]"),
            "network.buffer: expected a number > 0",
        ),
        (("[[peers]]", "[playback]\nbuffer = 1\n[[peers]]"), "playback.rate: is missing"),
        (("[[peers]]", "[[links]]\nbetween = 1\n[[peers]]"), "links[0].between: expected a list"),
    ],
)
def test_a_mistake_is_told_with_its_key(small: Path, change: tuple[str, str], said: str) -> None:
    small.write_text(SMALL.replace(*change, 1))
    with pytest.raises(ConfigProblems) as caught:
        read_scenario(small)
    assert any(said in str(problem) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[links]]\nbetween = ["a"]\nrate = 1', "links[0].between: expected the names of two"),
        (
            '[[links]]\nbetween = ["a", "a"]\nrate = 1',
            "links[0].between: expected the names of two",
        ),
        ('[[links]]\nbetween = ["a", "b"]\nrate = 1', "links[0].between: there is nobody in rack"),
        ('[playback]\nrate = "unlimited"', "playback.rate: nobody plays that fast"),
    ],
)
def test_what_is_wrong_together_is_told_with_its_key(small: Path, text: str, said: str) -> None:
    small.write_text(SMALL.replace("[[peers]]", '[[peers]]\nrack = "a"', 1) + text)
    with pytest.raises(ConfigError) as caught:
        read_scenario(small)
    assert said in str(caught.value)


def test_labels_are_those_of_all_peers_of_a_group(small: Path) -> None:
    small.write_text(SMALL + 'labels = {zone = "eu", cost = "3"}\n')
    peers = read_scenario(small).scenario(1).peers
    assert [dict(peer.labels) for peer in peers] == [{}, *[{"zone": "eu", "cost": "3"}] * 3]


def test_links_queue_as_the_network_says_or_the_group_of_peers(small: Path) -> None:
    plain = read_scenario(small).scenario(1)
    assert (plain.network.sharing, plain.network.buffer) == ("fair", 0.05)
    assert plain.network.shares_uplink
    assert {(peer.sharing, peer.buffer) for peer in plain.peers} == {(None, None)}
    table = '[network]\nsharing = "first-come"\nbuffer = 0.5\nshares_uplink = false\n[[peers]]'
    group = '\nsharing = "fair"\nbuffer = 0.25\n'
    small.write_text(SMALL.replace("[[peers]]", table, 1) + group)
    scenario = read_scenario(small).scenario(1)
    assert (scenario.network.sharing, scenario.network.buffer) == ("first-come", 0.5)
    assert not scenario.network.shares_uplink
    assert [(peer.sharing, peer.buffer) for peer in scenario.peers] == [
        (None, None),
        *[("fair", 0.25)] * 3,
    ]
    swarm = SimulatedSwarm(scenario, strategies())
    assert [type(peer.up) for peer in swarm.peers] == [FirstComeUplink, Uplink, Uplink, Uplink]


def test_two_racks_have_one_link(small: Path) -> None:
    link = '[[links]]\nbetween = ["a", "b"]\nrate = "1Mbit"\n'
    turned = link.replace('"a", "b"', '"b", "a"')
    racks = SMALL.replace("count = 3", 'count = 3\nrack = "b"').replace(
        'role = "seeder"', 'role = "seeder"\nrack = "a"'
    )
    small.write_text(racks + link)
    scenario = read_scenario(small).scenario(1)
    (between,) = scenario.network.cross_links
    assert between.between == ("a", "b")
    assert between.rate == pytest.approx(0.955e6 / 8)
    assert [peer.rack for peer in scenario.peers] == ["a", "b", "b", "b"]
    small.write_text(racks + link + turned)
    with pytest.raises(ConfigError, match=r"links\[1\].between: these racks have a link already"):
        read_scenario(small)


def test_a_swarm_needs_somebody_who_has_it_and_somebody_who_wants_it(small: Path) -> None:
    small.write_text(SMALL.replace('role = "seeder"\n', ""))
    with pytest.raises(ConfigError, match="peers: has no seeder"):
        read_scenario(small)
    small.write_text(SMALL.replace("count = 3", 'role = "seeder"'))
    with pytest.raises(ConfigError, match="peers: has nobody who fetches"):
        read_scenario(small)


def test_schedulers_are_compared_in_a_table(small: Path) -> None:
    small.write_text(SMALL.replace("2MiB", "8MiB"))  # enough for decisions to differ
    code, out, err = run_here(
        "simulate", small, "--scheduler", "rarest-first", "--scheduler", "round-robin"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("small.toml: 1 seeder, 3 leechers, 8 MiB in 128 pieces, 1 seed")
    assert [line.split()[0] for line in lines[1:4]] == ["scheduler", "rarest-first", "round-robin"]
    # In so small a swarm they may decide alike, which is told first.
    assert any(line.endswith("µs each") for line in lines[4:6])


def test_json_has_one_line_a_run_and_the_digest_is_repeatable(small: Path) -> None:
    runs = []
    for workers in (1, 2):
        code, out, _ = run_here("simulate", small, "--seeds", 2, "--json", "--workers", workers)
        assert code == 0
        runs.append([json.loads(line) for line in out.splitlines()])
    one, two = ([(run["seed"], run["digest"]) for run in each] for each in runs)
    assert one == two
    assert [seed for seed, _ in one] == [1, 2]
    assert all(run["event"] == "simulated" and run["unfinished"] == 0 for run in runs[0])


def test_a_swarm_that_never_ends_fails(small: Path) -> None:
    small.write_text(SMALL.replace('up = "20Mbit"', 'up = "20Mbit"\nleaves_at = 0.2', 1))
    code, out, err = run_here("simulate", small)
    assert code == 1
    assert "never" in out
    assert "3 leechers never had everything" in err


def test_wrong_names_are_told_before_anything_runs(small: Path) -> None:
    for flag in ("--scheduler", "--uploader", "--choker"):
        code, out, err = run_here("simulate", small, flag, "nonsense")
        assert (code, out) == (2, "")
        assert "nonsense" in err
    assert run_here("simulate", small, "--seeds", 0)[0] == 2
    assert run_here("simulate", small.parent / "missing.toml")[0] == 2


def test_a_long_run_of_interpreted_code_tells_how_it_would_take_less(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "interpreted" not in run_here("simulate", small)[1]
    monkeypatch.setattr(simulate_command, "LONG", 0.0)
    assert ("interpreted" in run_here("simulate", small)[1]) == (not is_compiled())


def test_variants_of_one_scheduler_are_compared(small: Path) -> None:
    variants = ("bandwidth-weighted", "bandwidth-weighted:pieces=in-order", "rarest-first")
    flags = [part for each in variants for part in ("--scheduler", each)]
    code, out, err = run_here("simulate", small, *flags, "--workers", 1)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[2:5]]
    assert [row[0] for row in rows] == list(variants)
    assert rows[0][-1] != rows[1][-1]


def test_options_apply_to_every_scheduler_and_axis_and_are_in_the_json(small: Path) -> None:
    code, out, _ = run_here(
        *("simulate", small, "--json", "--option", "pieces=in-order", "--scheduler", "round-robin"),
        *("--scheduler", 'bandwidth-weighted:pieces="rarest"', "--uploader", "spread:hide=false"),
        *("--choker", "tit-for-tat:optimistic_every=2,turn_seconds=5", "--workers", 1),
    )
    runs = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [run["scheduler_options"] for run in runs] == [
        {"pieces": "in-order"},
        {"pieces": '"rarest"'},
    ]
    assert runs[0]["uploader_options"] == {"hide": "false"}
    assert runs[0]["choker_options"] == {"optimistic_every": "2", "turn_seconds": "5"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--scheduler", "bandwidth-weighted:piece=rarest"), "has no option 'piece'"),
        (("--scheduler", "bandwidth-weighted:pieces=rarer"), "option 'pieces' must be"),
        (("--scheduler", "rarest-first:random_first_pieces=[1]"), "'random_first_pieces' must be"),
        (("--scheduler", "rarest-first:random"), "--scheduler: expected KEY=VALUE"),
        (("--scheduler", "rarest-first:random_first_pieces=-1"), "random_first_pieces must be"),
        (("--option", "pieces=rarest"), "scheduler 'rarest-first' has no option 'pieces'"),
        (("--uploader", "spread:hide=maybe"), "option 'hide' must be bool"),
        (("--choker", "tit-for-tat:slots=4"), "choker 'tit-for-tat' has no option 'slots'"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(small: Path, flags: tuple[str, ...], said: str) -> None:
    code, out, err = run_here("simulate", small, *flags)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
