"""Reading configuration files: strict, every problem at once, and never another exception."""

import contextlib
import re
import tomllib
import typing
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.config.model import PeerConfig, StrategyConfig, TrackerConfig
from trio_swarm.config.model import keys_of as keys_of_table
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.config.reading import (
    check_strategies,
    find_problems,
    parse_config,
    read_config,
    read_former_config,
    require_own_words,
    state_folder_in,
)
from trio_swarm.config.starting import Role, starting_file
from trio_swarm.errors import ConfigError
from trio_swarm.tracker.settings import LIST_FILES

FILE = Path("/etc/peer.toml")
EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.toml"))


def parse(text: str) -> PeerConfig:
    return parse_config(text.encode(), file=FILE)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_has_the_defaults_of_everything() -> None:
    config = parse("")
    assert config.trackers == ()
    assert config.tracker is None
    assert config.node.listen == ("", 0)
    assert config.limits.connections == 250
    assert config.limits.upload is None
    assert config.scheduler == StrategyConfig(name="rarest-first")


def test_every_table_is_read() -> None:
    config = parse("""
        trackers = ["udp://10.0.0.1:6969"]
        [node]
        listen = "127.0.0.1:51413"
        [limits]
        upload = "10MiB/s"
        download = 4096
        piece_memory = "32MiB"
        [tracker]
        listen = ":7000"
        interval = 5
        lease = 11.5
        max_peers_per_swarm = 7
        [[share]]
        path = "films"
        name = "my films"
        piece_length = "1MiB"
        [[fetch]]
        what = "music"
        info_hash = "00112233445566778899aabbccddeeff00112233"
        peers = ["127.0.0.1:5"]
        seed_ratio = 2
        scheduler = { name = "round-robin", options = {} }
        [[fetch]]
        what = "more"
        scheduler = "bandwidth-weighted"
        seed = false
        [uploader]
        name = "least-sent"
        [plugins]
        paths = ["mine.py"]
        [labels."10.0."]
        rack = "a"
    """)
    assert config.trackers == ("udp://10.0.0.1:6969",)
    assert config.node.listen == ("127.0.0.1", 51413)
    assert config.limits.upload == 10 * 1024**2
    assert config.limits.download == 4096
    assert config.tracker is not None
    assert (config.tracker.interval, config.tracker.lease) == (5.0, 11.5)
    assert config.tracker.max_peers_per_swarm == 7
    assert config.share[0].path == Path("/etc/films")
    assert config.share[0].piece_length == 1024**2
    assert config.fetch[0].info_hash == bytes.fromhex("00112233445566778899aabbccddeeff00112233")
    assert config.fetch[0].peers == (("127.0.0.1", 5),)
    assert config.fetch[0].scheduler == StrategyConfig(name="round-robin")
    assert config.fetch[1].scheduler == "bandwidth-weighted"
    assert config.plugins.paths == (Path("/etc/mine.py"),)
    assert config.labels == {"10.0.": {"rack": "a"}}


def test_relative_paths_start_at_the_files_folder_even_by_default() -> None:
    config = parse('[[share]]\npath = "a/b"\n[[share]]\npath = "/c"\n[[share]]\npath = "~/d"')
    assert [share.path for share in config.share] == [
        Path("/etc/a/b"),
        Path("/c"),
        Path.home() / "d",
    ]
    assert config.node.download_folder == Path("/etc")


def test_an_unknown_key_is_named_with_the_one_that_was_meant() -> None:
    assert problems_of("[node]\nlisten_ = ':1'") == [
        "/etc/peer.toml: node.listen_: unknown key, did you mean 'listen'?"
    ]
    assert "known here: connections, upload" in problems_of("[limits]\nzzz = 1")[0]
    assert "did you mean 'tracker'" in problems_of("[traker]")[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trackers = 'udp://a:1'", "trackers: expected a list, got 'udp://a:1'"),
        ("trackers = ['ftp://a:1']", "trackers[0]: not a udp://"),
        ("node = 3", "node: expected a table, got 3"),
        ("[share]\npath = 'x'", "share: expected [[share]], got a table"),
        ("[[share]]", "share[0].path: is missing"),
        ("[[share]]\npath = ''", "share[0].path: expected a path, got ''"),
        ('[[share]]\npath = "a\\u0000b"', "share[0].path: expected a path"),
        ("[[share]]\npath = '~nobody-at-all/x'", "share[0].path: "),
        ("[[share]]\npath = 'x'\npiece_length = 1000", "share[0].piece_length: expected a power"),
        ("[limits]\nconnections = 0", "limits.connections: expected a whole number >= 1, got 0"),
        ("[limits]\nconnections = '9'", "limits.connections: expected a whole number, got text"),
        ("[limits]\nconnections = true", "limits.connections: expected a whole number, got"),
        ("[limits]\nupload = -1", "limits.upload: expected a rate"),
        ("[limits]\npiece_memory = 5", "limits.piece_memory: must be at least 1,048,576"),
        ("[tracker]\ninterval = 0.5", "tracker.interval: expected a number >= 1"),
        ("[tracker]\nregister = 'me'", 'tracker.register: expected "anyone" or a list'),
        ("[tracker]\nregister = ['10.0.0.1/8']", "tracker.register: expected an IP address or"),
        ("[tracker]\ndeny = ''", "tracker.deny: expected a path"),
        ("[tracker]\ninterval = nan", "tracker.interval: expected a number"),
        ("[tracker]\ninterval = inf", "tracker.interval: expected a number"),
        ("[tracker]\ninterval = 30\nlease = 10", "tracker.lease: must be at least"),
        ("[[fetch]]\nwhat = ''", "fetch[0].what: expected text"),
        ("[[fetch]]\nwhat = 'a'\ninfo_hash = 'b'", "fetch[0].info_hash: expected an info-hash"),
        ("[[fetch]]\nwhat = 'a'\nseed = false\nseed_for = 3", "fetch[0].seed_for: makes no sense"),
        ("[scheduler]\noptions = {}", "scheduler.name: is missing"),
        ("scheduler = 3", "scheduler: expected text, got a whole number"),
        ("[labels]\na = 'b'", "labels: expected a table, got text"),
        (f"[scheduler]\nname='x'\noptions = {{ a = [0x{'f' * 40}] }}", "options.a[0]: is beyond"),
    ],
)
def test_a_wrong_value_is_one_line_with_file_key_and_what_is_expected(
    text: str, problem: str
) -> None:
    (line,) = problems_of(text)
    assert line.startswith("/etc/peer.toml: ")
    assert problem in line
    assert "\n" not in line


def test_all_problems_are_found_at_once() -> None:
    problems = problems_of("""
        trackers = ["x", "udp://a:1", "y"]
        [limits]
        connections = 0
        uplaod = 1
        [tracker]
        interval = 30
        lease = 3
        [[share]]
        [[fetch]]
        what = 3
        seed = "yes"
    """)
    keys = [problem.split(": ")[1] for problem in problems]
    assert keys == [
        "trackers[0]",
        "trackers[2]",
        "tracker.lease",
        "share[0].path",
        "fetch[0].what",
        "fetch[0].seed",
        "limits.uplaod",
        "limits.connections",
    ]


def test_the_error_itself_says_the_first_problem_and_how_many_follow() -> None:
    with pytest.raises(ConfigError, match=r"limits.zzz: unknown key.*\(and 1 more\)"):
        parse("[limits]\nzzz = 1\nconnections = 0")


def test_text_that_is_no_toml_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"peer.toml: is not valid TOML: .*line 2"):
        parse("a = 1\nb = = 2")
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse("a = " + "[" * 10_000)
    with pytest.raises(ConfigError, match="line 1 is not UTF-8 text"):
        parse_config(b"a\xff", file=FILE)
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse("a = " + "9" * 5000)


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read: No such file"):
        read_config(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "a\0b")
    large = tmp_path / "large.toml"
    large.write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read_config(large)


@given(st.text())
def test_arbitrary_text_raises_only_config_errors(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text)


@given(st.binary())
def test_arbitrary_bytes_raise_only_config_errors(content: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(content, file=FILE)


@given(st.binary() | st.text().map(lambda text: f"[node]\nstate_folder = {text}".encode()))
def test_arbitrary_bytes_raise_only_config_errors_where_the_state_folder_is_looked_for(
    content: bytes,
) -> None:
    with TemporaryDirectory() as folder, contextlib.suppress(ConfigError):
        file = Path(folder) / "peer.toml"
        file.write_bytes(content)
        found = state_folder_in(file)
        assert found is None or isinstance(found, Path)


def test_the_state_folder_is_found_whatever_else_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text('colour = 7\nnode = { state_folder = "state", listen = [] }\n')
    assert state_folder_in(file) == tmp_path / "state"
    file.write_text("node = 7\n")
    assert state_folder_in(file) is None


TOML_VALUES = st.recursive(
    st.one_of(
        st.integers().map(str),
        st.floats().map(repr),
        st.booleans().map(lambda value: str(value).lower()),
        st.sampled_from(["'a'", '":6969"', "'10MiB'", "'unlimited'", "1979-05-27", "07:32:00"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(["name", "options", "path", "x"]), inner, max_size=3).map(
            lambda items: f"{{{', '.join(f'{k} = {v}' for k, v in items.items())}}}"
        ),
    ),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "trackers",
        "node",
        "limits",
        "tracker",
        "share",
        "fetch",
        "scheduler",
        "uploader",
        "choker",
        "plugins",
        "labels",
        "node.listen",
        "node.state_folder",
        "limits.upload",
        "limits.connections",
        "tracker.interval",
        "tracker.lease",
        "tracker.max_names",
        "plugins.paths",
        "scheduler.name",
        "scheduler.options.a",
    ]
)


@given(st.dictionaries(KEYS, TOML_VALUES, max_size=6))
def test_known_keys_with_any_values_raise_only_config_errors(entries: dict[str, str]) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in entries.items())
    try:
        parse(text)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - one line


def test_unknown_strategies_and_options_are_named_with_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text("""
        scheduler = "rarest"
        [uploader]
        name = "least-sent"
        options = { colour = "red" }
        [[fetch]]
        what = "a"
        scheduler = "none"
    """)
    with pytest.raises(ConfigProblems) as caught:
        check_strategies(read_config(file), file=file)
    scheduler, uploader, fetch = map(str, caught.value.problems)
    assert scheduler.startswith(f"{file}: scheduler: there is no scheduler 'rarest'")
    assert "bandwidth-weighted, rarest-first, round-robin" in scheduler
    assert uploader.startswith(f"{file}: uploader: ")
    assert "colour" in uploader
    assert fetch.startswith(f"{file}: fetch[0].scheduler: there is no scheduler 'none'")
    assert [str(problem) for problem in find_problems(file)] == [fetch, scheduler, uploader]


def test_a_plugin_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    file.write_text('[plugins]\npaths = ["broken.py"]\n[[fetch]]\nwhat = "a"')
    (problem,) = find_problems(file)
    assert str(problem).startswith(f"{file}: plugins.paths: ")
    assert "broken.py" in str(problem)
    assert "nothing_of_that_name" in str(problem)


def test_problems_of_values_do_not_hide_those_of_strategies_and_paths(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text("""
        scheduler = "rarest"
        [limits]
        connections = 0
        [[share]]
        path = "not-there"
    """)
    keys = [problem.key for problem in find_problems(file)]
    assert keys == ["limits.connections", "scheduler", "share[0].path"]


def test_a_file_that_gives_nothing_to_do_yet_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text('[node]\nlisten = ":0"')
    assert find_problems(file) == []


def test_there_is_an_example_for_each_role_and_a_lan() -> None:
    assert [file.stem for file in EXAMPLES] == ["lan", "leecher", "seeder", "tracker"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_without_problems(file: Path) -> None:
    assert list(find_problems(file)) == []
    config = read_config(file)
    check_strategies(config, file=file)
    assert config.tracker or config.share or config.fetch


ROLES: tuple[Role, ...] = ("tracker", "seeder", "leecher")
OWN_WORDS = {"tracker": [], "seeder": ["share[0].path"], "leecher": ["fetch[0].what"]}


def filled(text: str) -> str:
    return text.replace('"PATH"', '"peer.toml"').replace('"NAME"', '"film.mkv"')


@pytest.mark.parametrize("role", ROLES)
def test_a_starting_file_asks_for_its_owners_words_and_then_runs_its_role(
    tmp_path: Path, role: Role
) -> None:
    file = tmp_path / "peer.toml"
    file.write_text(starting_file(role))
    assert [problem.key for problem in find_problems(file)] == OWN_WORDS[role]
    config = read_config(file)
    if OWN_WORDS[role]:
        with pytest.raises(ConfigError, match="put your own here"):
            require_own_words(config, file=file)
    file.write_text(filled(file.read_text()))
    assert list(find_problems(file)) == []
    require_own_words(read_config(file), file=file)
    running = {"tracker": config.tracker, "seeder": config.share, "leecher": config.fetch}
    assert [name for name, value in running.items() if value] == [role]


def keys_of(struct: type[msgspec.Struct], key: str = "") -> Iterator[str]:
    """Yield each key that a file may hold, as a dotted path."""
    hints = typing.get_type_hints(struct)
    for name in struct.__struct_fields__:
        path = f"{key}{name}"
        kinds = [hints[name], *typing.get_args(hints[name])]
        inner = [each for each in kinds if isinstance(each, type) and is_struct(each)]
        if (inner and name != "scheduler") or path == "scheduler":
            yield from keys_of(inner[0], f"{path}.")
        else:
            yield path


def is_struct(kind: type) -> bool:
    return issubclass(kind, msgspec.Struct)


@pytest.mark.parametrize("role", ROLES)
def test_a_starting_file_holds_every_key_and_its_examples_are_right(
    tmp_path: Path, role: Role
) -> None:
    file = tmp_path / "peer.toml"
    lines = filled(starting_file(role)).splitlines()
    file.write_text("\n".join(re.sub(r"^#(?! )", "", line) for line in lines))
    for name in LIST_FILES:
        _, key = keys_of_table(TrackerConfig)[name]
        assert isinstance(key.example, str)
        (tmp_path / key.example).touch(mode=0o600)
    assert list(find_problems(file)) == []
    written = tomllib.loads(file.read_text())
    for key in keys_of(PeerConfig):
        value: typing.Any = written
        for part in key.split("."):
            value = value[0] if isinstance(value, list) else value
            assert part in value, key
            value = value[part]


@pytest.mark.parametrize("role", ROLES)
def test_what_a_starting_file_says_is_what_holds_without_it(tmp_path: Path, role: Role) -> None:
    config = read_config_text(tmp_path, starting_file(role))
    bare = read_config_text(tmp_path, "")
    assert (config.node, config.limits, config.plugins) == (bare.node, bare.limits, bare.plugins)
    assert (config.scheduler, config.uploader) == (bare.scheduler, bare.uploader)


def read_config_text(folder: Path, text: str) -> PeerConfig:
    return parse_config(text.encode(), file=folder / "peer.toml")


def test_everything_wrong_is_found_at_once_though_a_plugin_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text("""
        trackers = ["192.168.1.5:6969"]
        [node]
        lisen = ":1"
        [plugins]
        paths = ["one.py", "two.py"]
        [scheduler]
        name = "mine"
        [choker.options]
        [uploader]
        name = "spread"
        options = { hide = 3 }
    """)
    problems = {problem.key: str(problem) for problem in find_problems(file)}
    assert "did you mean udp://192.168.1.5:6969?" in problems["trackers[0]"]
    assert "did you mean 'listen'?" in problems["node.lisen"]
    assert "a plugin that is missing may offer it" in problems["scheduler"]
    assert problems.keys() >= {"choker.name", "uploader"}
    assert [str(each) for each in find_problems(file)].count(
        f"{file}: plugins.paths: plugin {tmp_path}/one.py does not exist"
    ) == 1
    assert f"plugin {tmp_path}/two.py does not exist" in str(find_problems(file))


def test_what_is_right_beside_a_wrong_key_is_looked_at_as_well(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text("""
        [tracker]
        interval = "often"
        lease = 3
        [[share]]
        path = "nothing"
        nam = "x"
        [[share]]
        path = "PATH"
        piece_length = 3
        [[fetch]]
        what = "NAME"
        folders = "x"
        seed = false
        seed_for = 3
        scheduler = { name = "nobody", option = 3 }
        [scheduler]
        name = "mine"
        colour = 3
        [plugins]
        paths = ["gone.py", 3]
        path = "x.py"
    """)
    keys = [problem.key for problem in find_problems(file)]
    assert sorted(map(str, keys)) == [
        "fetch[0].folders",
        "fetch[0].scheduler",
        "fetch[0].scheduler.option",
        "fetch[0].seed_for",
        "fetch[0].what",
        "plugins.path",
        "plugins.paths",
        "plugins.paths[1]",
        "scheduler",
        "scheduler.colour",
        "share[0].nam",
        "share[0].path",
        "share[1].path",
        "share[1].piece_length",
        "tracker.interval",
    ]


# --- times, programs ------------------------------------------------------------------------------


def test_times_of_day_are_text_or_of_tomls_own_kind() -> None:
    config = parse('[schedule]\nbegin = "8:05"\nend = 18:30:00\ndays = ["mon", "sun"]')
    assert config.schedule is not None
    assert (config.schedule.begin, config.schedule.end) == (time(8, 5), time(18, 30))
    assert config.schedule.days == ("mon", "sun")
    midnight = parse('[schedule]\nend = "24:00"').schedule
    assert midnight is not None
    assert midnight.end == time()
    assert (
        "schedule.begin: expected a time of day such as 08:30, got '25:00'"
        in (problems_of('[schedule]\nbegin = "25:00"')[0])
    )
    assert "schedule.days[0]" in problems_of('[schedule]\ndays = ["monday"]')[0]


def test_a_hook_is_a_program_with_arguments_and_never_a_shells_line() -> None:
    assert parse('[hooks]\non_complete = ["a", "b c"]').hooks.on_complete == ("a", "b c")
    assert (
        "hooks.on_failed: expected a program and its arguments"
        in (problems_of('[hooks]\non_failed = "rm -rf $X"')[0])
    )
    assert "hooks.on_failed: names no program" in problems_of('[hooks]\non_failed = [""]')[0]
    assert "hooks.on_failed" in problems_of('[hooks]\non_failed = ["a", "b\\u0000"]')[0]


def test_programs_that_are_not_there_are_problems(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    file = tmp_path / "peer.toml"
    file.write_text(
        '[tracker]\n[hooks]\non_complete = ["./tool", "x"]\non_failed = ["no-such-program-at-all"]',
        encoding="utf-8",
    )
    (problem,) = find_problems(file)
    assert "hooks.on_failed: there is no program 'no-such-program-at-all'" in str(problem)


def test_an_older_copy_is_read_as_if_it_stood_where_the_file_is(tmp_path: Path) -> None:
    former = tmp_path / "old" / "peer.toml"
    former.parent.mkdir()
    former.write_text('[[share]]\npath = "a"', encoding="utf-8")
    config = read_former_config(former, tmp_path / "peer.toml")
    assert config.share[0].path == tmp_path / "a"
    former.write_text("[shares]", encoding="utf-8")
    with pytest.raises(ConfigProblems, match=r"old/peer\.toml: shares: unknown key"):
        read_former_config(former, tmp_path / "peer.toml")


@pytest.mark.parametrize("listen", [":9091", "0.0.0.0:9091", "[::]:9091", "nas.example:9091"])
def test_control_from_other_machines_needs_a_token_or_password(listen: str) -> None:
    text = f'[control]\nlisten = "{listen}"\n'
    (problem,) = problems_of(text)
    assert problem.startswith("/etc/peer.toml: control.listen: ")
    assert "token_file" in problem
    for key in ("token_file", "read_token_file", "password_file"):
        assert parse(f'{text}{key} = "secret"\n').control.listen is not None


@pytest.mark.parametrize("listen", ["127.0.0.1:9091", "[::1]:9091", "localhost:9091"])
def test_control_from_this_machine_needs_none(listen: str) -> None:
    assert parse(f'[control]\nlisten = "{listen}"\n').control.token_file is None


def test_the_hosts_of_control_are_names_without_ports() -> None:
    config = parse('[control]\nhosts = ["NAS.example"]\n')
    assert config.control.hosts == ("nas.example",)
    (problem,) = problems_of('[control]\nhosts = ["nas.example:9091"]\n')
    assert "control.hosts[0]" in problem


def test_check_finds_what_is_wrong_with_the_lists_of_a_tracker(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    file.write_text(
        '[tracker]\nallow = "a/none.txt"\ndeny = "deny.txt"\nregister = "anyone"\n'
        'names_deny = "names.txt"\nregister_tokens = "tokens.txt"\n'
    )
    (tmp_path / "deny.txt").write_text("\nno hash\n")
    (tmp_path / "names.txt").write_text("*.exe\n")
    (tmp_path / "tokens.txt").touch(mode=0o644)
    assert [str(each).removeprefix(f"{file}: tracker.") for each in find_problems(file)] == [
        f"allow: {tmp_path}/a/none.txt cannot be read: No such file or directory",
        (
            f"deny: {tmp_path}/deny.txt:2: expected an info-hash in 40 or 64 hex digits, and what "
            "else there is behind a blank, got 'no hash'"
        ),
        f"register_tokens: others can read {tmp_path}/tokens.txt: chmod 600 {tmp_path}/tokens.txt",
    ]


def test_names_are_registered_from_everywhere_or_from_networks() -> None:
    def registrars(text: str) -> tuple[str, ...] | None:
        tracker = parse(f"[tracker]\n{text}").tracker
        assert tracker is not None
        return tracker.register

    assert registrars("") is None
    assert registrars('register = "anyone"') == ("0.0.0.0/0", "::/0")
    assert registrars('register = ["10.0.0.0/8", "::1/128"]') == ("10.0.0.0/8", "::1")
    assert registrars("register = []") == ()


def test_a_word_that_is_none_of_a_few_is_told_with_those() -> None:
    with pytest.raises(ConfigProblems) as caught:
        parse_config(b'[log]\nlevel = "loud"', file=FILE)
    assert "log.level: expected debug, info or warning, got 'loud'" in str(caught.value)
