"""The tables of the documents are complete and agree with the code, row by row."""

import ast
import importlib
import re
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
from msgspec import NODEFAULT

import trio_swarm
import trio_swarm.testing
from documents import PAGES, ROOT, quoted_names
from trio_swarm import errors, events
from trio_swarm.cli.command_table import COMMANDS, GROUPS
from trio_swarm.cli.output import json_events, json_lines
from trio_swarm.config.model import PeerConfig, StrategyConfig
from trio_swarm.config.scenarios import ScenarioFile
from trio_swarm.config.values import parse_size
from trio_swarm.control.listening import SOCKET_NAME
from trio_swarm.progress import PeerProgress
from trio_swarm.protocol.trackers import udp
from trio_swarm.schedulers.hookspecs import PROJECT
from trio_swarm.schedulers.loading import BUILT_IN, Axis, load_strategies
from trio_swarm.storage.state import StateFolder
from trio_swarm.tracker.secret import SECRET_FILE

README, OPERATING, LABORATORY = PAGES["README.md"], PAGES["operating.md"], PAGES["laboratory.md"]
STRATEGIES, ARCHITECTURE = PAGES["strategies.md"], PAGES["architecture.md"]
EVERYTHING = "\n".join(page.text for page in PAGES.values())


# --- configuration --------------------------------------------------------------------------------


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield the tables that a type may stand for."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    elif get_origin(hint) in (tuple, types.UnionType, typing.Union, typing.Annotated):
        for inner in get_args(hint):
            yield from _structs(inner)


def _keys(table: type[msgspec.Struct], above: str = "") -> dict[str, Any]:
    """Return the default of each key of a table and of those below it."""
    hints = typing.get_type_hints(table)
    keys: dict[str, Any] = {}
    for each in msgspec.structs.fields(table):
        name = f"{above}{each.name}"
        inner = next(_structs(hints[each.name]), None)
        # A fetch chooses a strategy as `[scheduler]` does, and is documented as one key.
        if inner is None or (inner is StrategyConfig and above):
            made = each.default_factory
            keys[name] = each.default if made is NODEFAULT else made()
        else:
            keys |= _keys(inner, f"{name}.")
    return keys


def _says(cell: str, default: Any) -> bool:
    """Whether a cell says what the default is: as code, or in words where there is none."""
    text = cell.strip("`")
    if default is NODEFAULT:
        return cell == "required"
    if default in (None, (), "", {}):
        return not cell.startswith("`") or text == "unlimited"
    if isinstance(default, int | float) and not isinstance(default, bool):
        return (parse_size(text) if text.endswith("B") else float(text)) == default
    if isinstance(default, tuple):
        return text == ":".join(map(str, default))
    return text == (str(default).lower() if isinstance(default, bool) else str(default))


@pytest.mark.parametrize(
    ("rows", "table"),
    [
        (OPERATING.rows("Configuration keys"), PeerConfig),
        (LABORATORY.rows("Scenario files"), ScenarioFile),
    ],
    ids=["peers", "scenarios"],
)
def test_every_toml_key_is_listed_with_its_default(
    rows: list[list[str]], table: type[msgspec.Struct]
) -> None:
    keys = _keys(table)
    shown = {key.strip("`"): default for key, default, _ in rows}
    # What a strategy's table defaults to is told where the peer's defaults are.
    config = PeerConfig()
    for axis in ("scheduler", "uploader", "choker"):
        if f"{axis}.name" in keys:
            keys[f"{axis}.name"] = getattr(config, axis).name
    assert shown.keys() == keys.keys()
    for key, default in shown.items():
        # Two words stand for what the swarm's size decides.
        computed = keys[key] is None and default in {"by size", "half of `least_request`"}
        assert computed or _says(default, keys[key]), f"{key}: {default}, but {keys[key]!r}"


def test_every_environment_variable_of_ours_is_listed() -> None:
    listed = {name for row in OPERATING.rows("Environment") for name in quoted_names(row[0])}
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "trio_swarm").rglob("*.py"))
    used = {name for source in sources for name in re.findall(r'"(TRIO_SWARM_\w+)"', source)}
    assert used
    assert used <= listed
    assert "XDG_STATE_HOME" in listed


def test_the_state_folder_holds_what_is_listed(tmp_path: Path) -> None:
    state, root = StateFolder(tmp_path), tmp_path / "data"
    paths = (
        state.journal(root, bytes(20)),
        state.share(root, bytes(20)),
        state.lock(root),
        state.hash_index(),
        state.hashes(bytes(20)),
        tmp_path / "entries",
        tmp_path / SECRET_FILE,
        tmp_path / SOCKET_NAME,
    )
    listed = [row[0].strip("`") for row in OPERATING.rows("State folder")]
    assert len(listed) == len(paths)
    for path, pattern in zip(paths, listed, strict=True):
        regex = re.sub(r"<[\w-]+>", "[0-9a-f]{40}", re.escape(pattern).replace(r"\-", "-"))
        assert re.fullmatch(regex, str(path.relative_to(tmp_path))), pattern


# --- commands and events --------------------------------------------------------------------------


def test_every_command_is_listed() -> None:
    named = {row[0].strip("`") for row in OPERATING.rows("Commands")}
    inner = {f"{group} {name}" for group, it in GROUPS.items() for name in it.commands}
    assert named == {f"trio-swarm {name}" for name in {*COMMANDS, *inner}}


def _kinds() -> dict[str, type[events.Event]]:
    """Return every event by its name in JSON."""
    homes = (events.__name__, json_events.__name__, json_lines.__name__)
    kinds = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind
        for kind in events.Event.__subclasses__()
        if kind.__module__ in homes
    }
    kinds["error"] = kinds.pop("failure")
    return kinds


def test_every_event_is_listed_with_all_its_fields_and_no_other() -> None:
    rows = {
        row[0].strip("`"): quoted_names(row[1])
        for row in OPERATING.rows("JSON events", first="event")
    }
    kinds = _kinds()
    assert rows.keys() == kinds.keys()
    for name, fields in rows.items():
        assert fields == {field.name for field in msgspec.structs.fields(kinds[name])}, name


def test_what_progress_tells_of_each_peer_is_listed() -> None:
    (text,) = re.findall(r"Each of `connections` has (.*?)\.", OPERATING.text, re.DOTALL)
    assert quoted_names(text) == {each.name for each in msgspec.structs.fields(PeerProgress)}


# --- limits ---------------------------------------------------------------------------------------


def _constant(name: str) -> float:
    module, _, last = name.strip("`").rpartition(".")
    value = getattr(importlib.import_module(f"trio_swarm.{module}"), last)
    assert isinstance(value, int | float)
    return value


def test_each_wait_on_another_peer_is_listed_with_its_limit() -> None:
    rows = OPERATING.rows("Silence")
    assert len(rows) >= 12
    for what, name, seconds, _ in rows:
        assert _constant(name) == float(seconds), what


def test_each_limit_is_listed_with_its_value() -> None:
    rows = OPERATING.rows("Limits")
    assert len(rows) >= 12
    for what, name, value in rows:
        assert _constant(name) == float(value.replace(",", "")), what


# --- names for programs ---------------------------------------------------------------------------


def test_every_public_name_is_listed() -> None:
    rows = OPERATING.rows("The Python interface")
    listed = {name for row in rows for name in quoted_names(row[0])}
    assert listed == set(trio_swarm.__all__) - {"__version__"}


def test_every_name_of_the_testing_kit_is_listed() -> None:
    rows = STRATEGIES.rows("The testing kit", first="name")
    assert {name for row in rows for name in quoted_names(row[0])} == set(
        trio_swarm.testing.__all__
    )


def test_every_hook_and_its_table_in_toml_are_listed() -> None:
    hooks = importlib.import_module("trio_swarm.schedulers.hookspecs")
    specified = {name for name in vars(hooks) if name.startswith(f"{PROJECT}_")}
    rows = [row for row in STRATEGIES.text.splitlines() if row.startswith("| ")]
    assert {name for row in rows for name in quoted_names(row) if name in specified} == specified


@pytest.mark.parametrize("axis", ["scheduler", "uploader", "choker"])
def test_every_built_in_strategy_is_listed(axis: Axis) -> None:
    entries = load_strategies(()).entries(axis)
    built_in = {entry.name for entry in entries if entry.origin == BUILT_IN}
    rows = STRATEGIES.rows("The built-in strategies", first=axis)
    assert {name for row in rows for name in quoted_names(row[0])} == built_in
    if axis == "scheduler":
        shown = README.rows("Strategies are plugins", first=axis)
        assert {name for row in shown for name in quoted_names(row[0])} == built_in


# --- architecture ---------------------------------------------------------------------------------


def _rooms() -> list[list[str]]:
    """Return what each row of the table of rooms links to, as modules."""
    found = []
    for row in ARCHITECTURE.rows("Rooms"):
        paths = re.findall(r"\]\(\.\./(trio_swarm/[\w/.]+)\)", row[0])
        found.append([path.removesuffix(".py").replace("/", ".") for path in paths])
    return found


def test_every_room_is_listed() -> None:
    rooms = {module for row in _rooms() for module in row}
    folders = [path.parent for path in (ROOT / "trio_swarm").rglob("__init__.py")]
    named = [path.relative_to(ROOT) for path in folders if len(path.relative_to(ROOT).parts) > 1]
    for package in (".".join(path.parts) for path in named):
        listed = any(package == room or package.startswith(f"{room}.") for room in rooms)
        assert listed or package in {"trio_swarm.lab", "trio_swarm.building"}, package


def test_rooms_are_listed_in_the_order_in_which_they_may_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    level = {name: number for number, line in enumerate(layers) for name in line.split(" | ")}
    levels = [min(level[module] for module in row) for row in _rooms()]
    assert levels == sorted(levels)


def test_every_error_is_in_the_tree_of_errors() -> None:
    tree = ARCHITECTURE.section("Errors")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and not name.startswith("_"):
            assert name in tree, name


def test_the_tasks_of_the_tree_have_the_names_it_gives_them() -> None:
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "trio_swarm").rglob("*.py")
    )
    tree = ARCHITECTURE.section("The tree of tasks")
    names = re.findall(r"[├└]─ ([a-z ]+?) (?:NAME|ADDRESS)", tree)
    assert len(names) >= 10
    for name in names:
        assert f'name=f"{name} {{' in sources, name


# --- the tracker's packets ------------------------------------------------------------------------


def _layouts(length: int) -> list[dict[str, slice]]:
    """Return where each field is, of each table of packets; `length` is that of the name."""
    tables: list[dict[str, slice]] = []
    for offset, size, field, _ in PAGES["tracker-protocol.md"].rows("Resolve a name"):
        start = sum(length if part == "length" else int(part) for part in offset.split(" + "))
        if start == 0:
            tables.append({})
        if size:
            tables[-1][field] = slice(start, start + (length if size == "length" else int(size)))
    return tables


def test_a_name_request_has_the_layout_of_its_table() -> None:
    packet = udp.claim_request((7).to_bytes(8, "big"), 9, "äöx", bytes(range(20)))
    request, _, _ = _layouts(length=5)
    fields = {name: packet[place] for name, place in request.items()}
    assert fields.pop("name").decode() == "äöx"
    assert fields.pop("info-hash") == bytes(range(20))
    assert {name: int.from_bytes(value, "big") for name, value in fields.items()} == {
        "connection id": 7,
        "action": udp.Action.NAME,
        "transaction id": 9,
        "offset": 0,
        "flags": 2,
        "length": 5,
    }
    assert len(packet) == request["info-hash"].stop


def test_a_name_answer_has_the_layout_of_its_tables() -> None:
    match = udp.NameMatch(info_hash=bytes(range(20)), name="äöx", size=5, seeders=3, leechers=2)
    packet = udp.name_answer(9, 4, [match])
    _, answer, one = _layouts(length=5)
    head = {name: int.from_bytes(packet[place], "big") for name, place in answer.items()}
    assert head == {"action": udp.Action.NAME, "transaction id": 9, "total": 4, "count": 1}
    body = packet[answer["count"].stop :]
    fields = {name: body[place] for name, place in one.items()}
    assert fields.pop("name").decode() == "äöx"
    assert fields.pop("info-hash") == bytes(range(20))
    numbers = {name: int.from_bytes(value, "big") for name, value in fields.items()}
    assert numbers == {"size": 5, "seeders": 3, "leechers": 2, "length": 5}
    assert len(body) == one["name"].stop


# --- reading orders -------------------------------------------------------------------------------

PACKAGES = sorted(
    path.parent
    for path in (ROOT / "trio_swarm").rglob("__init__.py")
    if path.parent.name != "trio_swarm"
)


def _modules(folder: Path) -> set[str]:
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in folder.glob("*/__init__.py")}


@pytest.mark.parametrize(
    "folder", PACKAGES, ids=lambda path: ".".join(path.relative_to(ROOT).parts)
)
def test_the_reading_order_of_a_package_names_each_of_its_modules(folder: Path) -> None:
    doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    order = doc.partition("Reading order:")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([a-z_0-9]+)`", order))
    everywhere = {"trio_swarm"}.union(*map(_modules, [ROOT / "trio_swarm", *PACKAGES]))
    assert _modules(folder) <= named
    assert named <= everywhere
