"""What differs between two configurations: named, in words, and without secrets."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.config.changes import changes_between, fetches_between, shares_between
from trio_swarm.config.model import FetchConfig, PeerConfig, ShareConfig, keys_of
from trio_swarm.config.reading import parse_config

FILE = Path("/etc/peer.toml")


def parse(text: str) -> PeerConfig:
    return parse_config(text.encode(), file=FILE)


def differences(was: str, will_be: str) -> list[tuple[str, str | None, str | None, str]]:
    found = changes_between(parse(was), parse(will_be))
    return [(each.key, each.was, each.will_be, each.how) for each in found]


def test_the_same_configuration_written_otherwise_does_not_differ() -> None:
    assert (
        differences(
            'scheduler = "round-robin"\n[[fetch]]\nwhat = "a"\n[limits]\nupload = "1MiB"',
            '[limits]\nupload = 1048576\n[scheduler]\nname = "round-robin"\n[[fetch]]\nwhat = "a"\n'
            'folder = "/etc"',
        )
        == []
    )


def test_values_are_shown_as_a_person_writes_them_with_how_they_change() -> None:
    assert differences(
        'trackers = ["udp://a:1"]\n[node]\nlisten = ":1"\n[limits]\nupload = "1MiB"',
        '[node]\nlisten = "127.0.0.1:2"\n[limits]\nconnections = 7\n'
        '[scheduler]\nname = "rarest-first"\noptions = { random_first_pieces = 9 }\n'
        '[labels."10."]\nrack = "a"\n[schedule]\nbegin = "22:00"\nupload = 1000\n'
        "[tracker]\ninterval = 9",
    ) == [
        ("trackers", "udp://a:1", None, "live"),
        ("tracker", None, "interval 9.0", "restart"),
        ("node.listen", ":1", "127.0.0.1:2", "restart"),
        ("limits.connections", "250", "7", "live"),
        ("limits.upload", "1MiB", "unlimited", "live"),
        ("schedule", None, "begin 22:00, upload 1000", "live"),
        ("scheduler", "rarest-first", "rarest-first random_first_pieces=9", "live"),
        ("labels", None, '{"10.":{"rack":"a"}}', "live"),
    ]


@pytest.mark.parametrize(
    ("table", "rest", "key", "value"),
    [
        ("[control]", 'listen = "127.0.0.1:9091"', "control.listen", "127.0.0.1:9091"),
        ("[tracker]", 'shared.url = "redis://host"', "tracker.shared.url", "redis://host:6379"),
        ("[tracker]", 'register = ["10.0.0.0/8"]', "tracker.register", "10.0.0.0/8"),
        ("[tracker]", "lease = 100", "tracker.lease", "100.0"),
        ("[node]", 'state_folder = "/s"', "node.state_folder", "/s"),
        ("[log]", 'level = "debug"', "log.level", "debug"),
    ],
)
def test_a_key_may_be_put_into_the_file_and_taken_out(
    table: str, rest: str, key: str, value: str
) -> None:
    without, full = f"{table}\n", f"{table}\n{rest}\n"
    added = {each.key: each.will_be for each in changes_between(parse(without), parse(full))}
    removed = {each.key: each.was for each in changes_between(parse(full), parse(without))}
    assert added[key] == removed[key] == value


def test_shares_are_known_by_their_path_and_name() -> None:
    assert differences(
        '[[share]]\npath = "a"\n[[share]]\npath = "b"\n[[share]]\npath = "c"',
        '[[share]]\npath = "d"\n[[share]]\npath = "a"\ntrackers = ["udp://t:1"]\n'
        '[[share]]\npath = "b"\nname = "x"',
    ) == [
        ("share", "/etc/b", None, "removed"),
        ("share", "/etc/c", None, "removed"),
        ("share /etc/a: trackers", None, "udp://t:1", "live"),
        ("share", None, "/etc/d", "added"),
        ("share", None, "/etc/b as x", "added"),
    ]


def test_a_fetch_to_another_folder_is_another_fetch_and_its_goals_change_live() -> None:
    assert differences(
        '[[fetch]]\nwhat = "a"\n[[fetch]]\nwhat = "b"\nfolder = "/srv"',
        '[node]\ndownload_folder = "/new"\n[[fetch]]\nwhat = "a"\n'
        '[[fetch]]\nwhat = "b"\nfolder = "/srv"\nseed_ratio = 2\nscheduler = "round-robin"\n'
        'peers = ["127.0.0.1:5"]',
    ) == [
        ("node.download_folder", "/etc", "/new", "live"),
        ("fetch", "a to /etc", None, "removed"),
        ("fetch b to /srv: peers", None, "127.0.0.1:5", "live"),
        ("fetch b to /srv: seed_ratio", None, "2.0", "live"),
        ("fetch b to /srv: scheduler", None, "round-robin", "live"),
        ("fetch", None, "a to /new", "added"),
    ]


SECRETS = """
    trackers = ["https://me:PASS@t.example/PASS/announce?key=PASS", "udp://t.example:1/announce"]
    [[share]]
    path = "a"
    trackers = ["https://t.example/PASS"]
    [[fetch]]
    what = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789&tr=http%3A%2F%2Ft%2FPASS"
    [hooks]
    on_complete = ["curl", "-H", "Authorization: PASS"]
"""


def test_secrets_are_never_shown() -> None:
    for was, will_be in (("", SECRETS), (SECRETS, ""), (SECRETS, SECRETS.replace("PASS", "PASS2"))):
        told = changes_between(parse(was), parse(will_be))
        assert "PASS" not in repr(told)
        keys = [each.key for each in told]
        assert "hooks.on_complete" in keys
        assert "trackers" in keys
    shown = {each.key: each.will_be for each in changes_between(parse(""), parse(SECRETS))}
    assert shown["trackers"] == "https://t.example/…, udp://t.example:1/announce"
    assert shown["hooks.on_complete"] == "curl …"
    assert shown["fetch"] == "0123456789012345678901234567890123456789 to /etc"


names = st.sampled_from("abc")
shares = st.builds(
    ShareConfig,
    path=names.map(Path),
    name=st.none() | names,
    trackers=st.none() | st.just(("udp://a:1",)),
)
fetches = st.builds(FetchConfig, what=names, folder=st.none() | names.map(Path), seed=st.booleans())
configs = st.builds(
    PeerConfig,
    share=st.lists(shares, max_size=6).map(tuple),
    fetch=st.lists(fetches, max_size=6).map(tuple),
)


@given(configs, configs)
def test_every_share_and_fetch_stays_comes_or_goes_once(
    was: PeerConfig, will_be: PeerConfig
) -> None:
    for before, after, matched in (
        (was.share, will_be.share, shares_between(was, will_be)),
        (was.fetch, will_be.fetch, fetches_between(was, will_be)),
    ):
        assert len(matched.both) + len(matched.removed) == len(before)
        assert len(matched.both) + len(matched.added) == len(after)
    shares_now = shares_between(was, will_be)
    kept = [one for one, _ in shares_now.both] + shares_now.removed
    assert sorted(map(repr, kept)) == sorted(map(repr, was.share))
    assert all(one.path == other.path for one, other in shares_now.both)


@given(configs)
def test_a_configuration_does_not_differ_from_itself(config: PeerConfig) -> None:
    assert changes_between(config, config) == []


def test_what_a_running_node_cannot_take_over_is_marked() -> None:
    """A new key needs a restart until somebody makes it live and says so."""
    fixed = {
        f"{table}.{name}"
        for table, (hint, _) in keys_of(PeerConfig).items()
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct)
        for name, (_, key) in keys_of(hint).items()
        if not key.live
    }
    assert fixed >= {"node.listen", "node.state_folder", "limits.piece_memory"}
    assert not {"limits.upload", "log.level", "hooks.on_complete"} & fixed
