"""Each default is written once, beside its setting, and each key of a file becomes a setting."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import trio_swarm
from trio_swarm.cli.output.help_texts import unwrapped
from trio_swarm.config.model import (
    FetchConfig,
    Key,
    PeerConfig,
    ShareConfig,
    StrategyConfig,
    TrackerConfig,
    keys_of,
    settings_in,
)
from trio_swarm.config.values import parse_rate, parse_size, write_rate, write_size
from trio_swarm.settings import DEFAULT_TRACKER, FetchSettings, NodeSettings, ShareSettings
from trio_swarm.tracker.settings import LEASE_INTERVALS, TrackerSettings

PACKAGE = Path(trio_swarm.__file__).parent
SETTINGS = (NodeSettings, ShareSettings, FetchSettings, TrackerSettings)
WHERE_DEFAULTS_ARE_USED = ("cli/commands", "cli", "config", "service")


def names_of_settings() -> set[str]:
    """Return what settings are called, there and as keys of a file."""
    names = {name for kind in SETTINGS for name in inspect.signature(kind).parameters}
    tables = (PeerConfig, TrackerConfig, ShareConfig, FetchConfig)
    for table in tables:
        names |= {name for name, (_, key) in keys_of(table).items() if key.sets is not None}
    return names


def literal_defaults(tree: ast.AST) -> Iterator[tuple[str, ast.Constant]]:
    """Yield the parameters and fields that have a constant of their own as their default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.AnnAssign) and isinstance(each.value, ast.Constant):
                    yield ast.unparse(each.target), each.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            positional = [*node.args.posonlyargs, *node.args.args][::-1]
            given = zip(positional, node.args.defaults[::-1], strict=False)
            keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            for argument, default in (*given, *keywords):
                if isinstance(default, ast.Constant):
                    yield argument.arg, default


@pytest.mark.parametrize("folder", WHERE_DEFAULTS_ARE_USED)
def test_no_default_of_a_setting_is_written_a_second_time(folder: str) -> None:
    """None is no value, and an empty one says nothing either."""
    names = names_of_settings()
    for path in sorted((PACKAGE / folder).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, default in literal_defaults(tree):
            is_written = name in names and bool(default.value)
            assert not is_written, f"{path.name}:{default.lineno}: {name} = {default.value!r}"


def test_numbers_and_words_of_defaults_are_not_written_a_second_time() -> None:
    node, tracker = NodeSettings(), TrackerSettings()
    owned = {
        node.scheduler,
        node.uploader,
        node.choker,
        node.max_connections,
        node.piece_memory,
        tracker.port,
        f":{tracker.port}",
        tracker.max_peers,
        tracker.max_names,
        DEFAULT_TRACKER,
    }
    shown_on_purpose = {"demo.py"}  # it compares schedulers, whatever the default is
    for folder in WHERE_DEFAULTS_ARE_USED:
        for path in (PACKAGE / folder).glob("*.py"):
            for node_ in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node_, ast.Constant) and not isinstance(node_.value, bool):
                    is_owned = node_.value in owned and path.name not in shown_on_purpose
                    assert not is_owned, f"{path}:{node_.lineno}: {node_.value!r}"


def test_every_key_becomes_a_setting_and_every_setting_of_a_node_has_a_key() -> None:
    of_a_node = settings_in(PeerConfig())
    assert NodeSettings(**of_a_node) == NodeSettings()
    every = set(inspect.signature(NodeSettings).parameters)
    assert every - of_a_node.keys() == {"on_event"}
    assert TrackerSettings(**settings_in(TrackerConfig())).check() is None
    settings_of_share = settings_in(ShareConfig(path=Path("a")))
    assert ShareSettings(**settings_of_share) == ShareSettings(path=Path("a"))
    of_a_fetch = settings_in(FetchConfig(what="a"))
    assert FetchSettings(**of_a_fetch | {"folder": Path()}) == FetchSettings(what="a")


def test_values_reach_the_settings_that_their_keys_name() -> None:
    config = PeerConfig(
        scheduler="round-robin",
        uploader=StrategyConfig(name="spread", options={"ahead_seconds": 3}),
        labels={"10.": {"zone": "a"}},
    )
    settings = NodeSettings(**settings_in(config))
    assert (settings.scheduler, settings.scheduler_options) == ("round-robin", {})
    assert (settings.uploader, settings.uploader_options) == ("spread", {"ahead_seconds": 3})
    assert settings.labels == {"10.": {"zone": "a"}}
    listening = TrackerSettings(**settings_in(TrackerConfig(listen=("::1", 7))))
    assert (listening.host, listening.port) == ("::1", 7)
    fetch = FetchConfig(what="a", scheduler=StrategyConfig(name="b", options={"c": 1}))
    fetched = FetchSettings(**settings_in(fetch) | {"folder": Path()})
    assert (fetched.scheduler, fetched.scheduler_options) == ("b", {"c": 1})


@pytest.mark.parametrize("table", [PeerConfig, TrackerConfig, ShareConfig, FetchConfig])
def test_every_key_is_explained(table: type[msgspec.Struct]) -> None:
    for name, (_, key) in keys_of(table).items():
        assert isinstance(key, Key), name
        assert key.comment, name


@pytest.mark.parametrize("size", [0, 1, 1000, 1024, 1536, 32 * 1024**2, 3 * 1024**4, 2**50])
def test_sizes_and_rates_are_written_as_they_are_read(size: int) -> None:
    assert parse_size(write_size(size)) == size
    assert parse_rate(write_rate(size or None)) == (size or None)
    assert len(write_size(32 * 1024**2)) == len("32MiB")


def test_defaults_that_help_texts_name_are_those_that_hold() -> None:
    from trio_swarm.cli.commands import get, ls, seed, show, tracker

    for command in (get.get, ls.ls, seed.seed, show.show):
        text = " ".join(unwrapped(command.__doc__ or "").split())
        assert f"{DEFAULT_TRACKER}" in text, command
    text = " ".join((tracker.tracker.__doc__ or "").split())
    assert f"{LEASE_INTERVALS:g} intervals if not given" in text
