"""Strategies are found wherever they come from, and what is wrong with one is said in one line."""

import enum
import importlib.metadata
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from trio_swarm.errors import ConfigError
from trio_swarm.schedulers import hookspecs, loading
from trio_swarm.schedulers.loading import Strategies, StrategyEntry, load_strategies
from trio_swarm.schedulers.options import read_options
from trio_swarm.schedulers.rarest_first import RarestFirst

PLUGIN = """
from trio_swarm.schedulers.hookspecs import hookimpl

class Mine:
    '''Does as I like.'''

    def assign(self, view, rng):
        return ()

@hookimpl
def trio_swarm_schedulers():
    return {"mine": Mine}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


Write = Callable[[str, str], Path]


def test_the_built_in_strategies_are_offered_with_summary_and_documented_options() -> None:
    strategies = load_strategies()
    built_in = {
        axis: {entry.name for entry in strategies.entries(axis) if entry.origin == "built in"}
        for axis in loading.AXES
    }
    assert built_in == {
        "scheduler": {"round-robin", "rarest-first", "bandwidth-weighted"},
        "uploader": {"least-sent", "spread"},
        "choker": {"tit-for-tat", "round-robin", "fastest-first"},
    }
    for axis in loading.AXES:
        for entry in strategies.entries(axis):
            if entry.origin == "built in":
                assert entry.summary.endswith("."), entry.name
                assert all(option.doc and not option.required for option in entry.options)


def test_every_hook_is_documented() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("trio_swarm_")]
    assert len(hooks) == len(loading.AXES)
    for name in hooks:
        assert getattr(hookspecs, name).__doc__


def test_each_call_gives_a_new_object_with_its_options() -> None:
    strategies = load_strategies()
    first = strategies.scheduler("rarest-first", {"random_first_pieces": 9})
    assert first == RarestFirst(random_first_pieces=9)
    assert strategies.scheduler("rarest-first") is not strategies.scheduler("rarest-first")


def test_an_unknown_name_lists_the_known_ones_and_guesses() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'rarest-first'.*round-robin"):
        load_strategies().scheduler("rarest_first")


def test_a_file_is_a_plugin(write: Write) -> None:
    path = write("mine.py", PLUGIN)
    strategies = load_strategies([path])
    entry = strategies.entry("scheduler", "mine")
    assert (entry.origin, entry.summary, entry.options) == (f"file {path}", "Does as I like.", ())
    assert strategies.scheduler("mine").assign(None, None) == ()  # type: ignore[arg-type]


def test_a_package_folder_is_a_plugin_and_may_import_its_own_modules(write: Write) -> None:
    write("pack/inner.py", PLUGIN)
    write("pack/__init__.py", "from .inner import trio_swarm_schedulers\n")
    path = write("pack/__init__.py", "from .inner import trio_swarm_schedulers\n").parent
    assert load_strategies([path]).entry("scheduler", "mine").origin == f"file {path}"


def test_a_folder_holds_several_plugins_and_private_files_are_passed_over(write: Write) -> None:
    write("folder/one.py", PLUGIN)
    write("folder/two/__init__.py", PLUGIN.replace('"mine"', '"other"'))
    folder = write("folder/_helper.py", "raise RuntimeError").parent
    strategies = load_strategies([folder, folder / "one.py"])
    assert {"mine", "other"} <= {entry.name for entry in strategies.entries("scheduler")}


def test_files_of_one_name_in_two_folders_do_not_collide(write: Write) -> None:
    first = write("a/plugin.py", PLUGIN)
    second = write("b/plugin.py", PLUGIN.replace('"mine"', '"other"'))
    strategies = load_strategies([first, second])
    assert strategies.entry("scheduler", "mine").origin == f"file {first}"
    assert strategies.entry("scheduler", "other").origin == f"file {second}"


def test_all_three_axes_may_come_from_one_file(write: Write) -> None:
    text = """
from dataclasses import dataclass
from trio_swarm.schedulers.hookspecs import hookimpl
from trio_swarm.schedulers.uploading.spread import Spread
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat

@hookimpl
def trio_swarm_uploaders():
    return {"up": Spread}

@hookimpl
def trio_swarm_chokers():
    return {"choke": TitForTat}
"""
    strategies = load_strategies([write("both.py", text)])
    strategies.uploader("up", {"hide": False})
    strategies.choker("choke", {"optimistic_seconds": 5})


def test_a_name_offered_twice_names_both_origins(write: Write) -> None:
    path = write("mine.py", PLUGIN.replace('"mine"', '"rarest-first"'))
    with pytest.raises(ConfigError, match=rf"'rarest-first'.*built in.*file {path}"):
        load_strategies([path])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("import no_such_module_at_all", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("", "has no strategies"),
        (PLUGIN.replace("@hookimpl", ""), "has no strategies"),
        (PLUGIN.replace("_schedulers()", "_scheduler()"), "unknown hook"),
        (PLUGIN.replace("_schedulers()", "_schedulers(config)"), "config"),
        (PLUGIN.replace("return {", "1 / 0; return {"), "failed: ZeroDivisionError"),
        (PLUGIN.replace('{"mine": Mine}', "[Mine]"), "must return a mapping"),
        (PLUGIN.replace('{"mine": Mine}', "None"), "must return a mapping"),
        (PLUGIN.replace('"mine": Mine', '"mine": 7'), "must map names to callables"),
        (PLUGIN.replace('"mine": Mine', "7: Mine"), "must map names to callables"),
        (PLUGIN.replace('"mine": Mine', '"": Mine'), "must map names to callables"),
        (PLUGIN.replace('"mine": Mine', '"mine": lambda x, /: 7'), "cannot be given by name"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(write: Write, text: str, reason: str) -> None:
    path = write("broken.py", text)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_strategies([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("missing.py", "does not exist"),
        ("notes.txt", "is not a .py file"),
        ("empty", "holds no .py file"),
        ("pipe.py", "is neither a file nor a folder"),
    ],
)
def test_a_path_that_is_no_plugin_is_named(
    write: Write, tmp_path: Path, name: str, fault: str
) -> None:
    write("notes.txt", PLUGIN)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(ConfigError, match=f"{name} {fault}"):
        load_strategies([tmp_path / name])


def _install(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    """Put a distribution on sys.path the way an installer leaves it."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[trio_swarm]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(folder)


def test_an_installed_package_is_a_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _install(monkeypatch, tmp_path, "ts-test-good", PLUGIN)
    strategies = load_strategies()
    assert strategies.entry("scheduler", "mine").origin == "package ts-test-good 1.2"
    assert strategies.problems == ()


@pytest.mark.parametrize("text", ["import no_such_module_at_all", PLUGIN + "1 / 0\n", "x = 1"])
def test_a_broken_installed_package_is_a_problem_but_not_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    name = f"ts-test-bad{len(text)}"
    _install(monkeypatch, tmp_path, name, text)
    strategies = load_strategies()
    assert [problem.origin for problem in strategies.problems] == [f"package {name} 1.2"]
    strategies.scheduler("rarest-first")
    with pytest.raises(ConfigError, match=f"not loaded: package {name} 1.2"):
        strategies.scheduler("mine")


def test_a_package_may_have_several_entry_points(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _install(monkeypatch, tmp_path, "ts-test-two", PLUGIN.replace('"mine"', '"first"'))
    (tmp_path / "ts_test_more.py").write_text(PLUGIN.replace('"mine"', '"second"'))
    with (tmp_path / "ts_test_two-1.2.dist-info" / "entry_points.txt").open("a") as file:
        file.write("more = ts_test_more\n")
    strategies = load_strategies()
    assert strategies.problems == ()
    for name in ("first", "second"):
        assert strategies.entry("scheduler", name).origin == "package ts-test-two 1.2"


def test_no_entry_point_of_another_group_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    groups: list[str] = []
    real = importlib.metadata.entry_points

    def entry_points(**select: str) -> Any:
        groups.append(select["group"])
        return real(**select)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    strategies = load_strategies()
    strategies.scheduler("rarest-first")
    assert groups == [], "what is built in is found without reading every package's metadata"
    strategies.entries("scheduler")
    strategies.entries("choker")
    assert groups == ["trio_swarm"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Many:
    """Takes options of every type."""

    needed: int
    """What must
    be given."""
    whole: int = 1
    share: float = field(default=0.5, metadata={"doc": "From the metadata."})
    flag: bool = False
    word: str = "w"
    choice: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    maybe: int | None = None
    names: tuple[str, ...] = ()
    many: list[int] = field(default_factory=lambda: [1])
    hidden: int = field(default=0, init=False)

    def assign(self, view: object, rng: object) -> tuple[()]:
        return ()


def _strategies(factory: Callable[..., object]) -> Strategies:
    return Strategies([StrategyEntry("many", "scheduler", "here", factory)])


def test_the_options_of_a_dataclass_are_its_fields() -> None:
    options = {option.name: option for option in read_options(Many)}
    assert "hidden" not in options
    assert options["needed"].required
    assert options["needed"].doc == "What must be given."
    assert options["share"].doc == "From the metadata."
    assert str(options["choice"]) == 'choice: "a" | "b" = \'a\''
    assert options["maybe"].type == "int | None"
    assert options["names"].type == "tuple[str, ...]"
    assert options["many"].default == [1]


def test_the_options_of_a_function_are_its_parameters() -> None:
    def make(size: Annotated[int, "How big."], *, speed: "float" = 1.0, **rest: object) -> None:
        pass

    size, speed = read_options(make)
    assert (size.name, size.type, size.doc, size.required) == ("size", "int", "How big.", True)
    assert (speed.type, speed.default) == ("float", 1.0)
    (left,) = read_options(partial(make, 3, speed=2.0))
    assert (left.name, left.default) == ("speed", 2.0)


def test_values_from_a_file_keep_their_type() -> None:
    given = {
        "needed": 1,
        "share": 2,
        "flag": True,
        "colour": "blue",
        "maybe": 4,
        "names": ["x", "y"],
        "many": [3],
    }
    made: Any = _strategies(Many).scheduler("many", given)
    assert made == Many(1, 1, 2.0, True, "w", "a", Colour.BLUE, 4, ("x", "y"), [3])  # noqa: FBT003 - in the order of the fields


def test_text_from_a_command_line_is_converted_by_the_type() -> None:
    given = {
        "needed": "12",
        "share": "0.25",
        "flag": "true",
        "word": "7",
        "choice": "b",
        "colour": "blue",
        "maybe": "4",
        "names": "x, y",
        "many": "1,2",
    }
    made: Any = _strategies(Many).scheduler("many", given, text_values=True)
    expected = Many(12, 1, 0.25, True, "7", "b", Colour.BLUE, 4, ("x", "y"), [1, 2])  # noqa: FBT003 - in the order of the fields
    assert made == expected


@pytest.mark.parametrize(
    ("given", "text_values"),
    [
        ({"needed": "1"}, False),
        ({"needed": 1.5}, False),
        ({"needed": True}, False),
        ({"needed": 1, "flag": 1}, False),
        ({"needed": 1, "choice": "c"}, False),
        ({"needed": 1, "colour": "green"}, False),
        ({"needed": 1, "share": math.nan}, False),
        ({"needed": 1, "word": 7}, False),
        ({"needed": 1, "hidden": 7}, False),
        ({"needed": 1, "nonsense": 7}, False),
        ({}, False),
        ({"needed": "many"}, True),
        ({"needed": "1", "flag": "perhaps"}, True),
        ({"needed": "1", "share": "nan"}, True),
        ({"needed": "1", "many": "1,x"}, True),
    ],
)
def test_a_wrong_option_or_value_lists_the_options(
    given: dict[str, object],
    text_values: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with pytest.raises(ConfigError, match=r"its options: needed: int, whole: int = 1"):
        _strategies(Many).scheduler("many", given, text_values=text_values)


def test_a_value_the_factory_refuses_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"chunk_kib must be 1 or more; its options: chunk_kib"):
        load_strategies().scheduler("round-robin", {"chunk_kib": 0})


def test_a_factory_with_a_bug_is_a_config_error_that_names_it() -> None:
    def make() -> None:
        raise KeyError("oops")

    with pytest.raises(ConfigError, match=r"'many' of here failed to start: KeyError: 'oops'"):
        _strategies(make).scheduler("many")


def test_a_factory_that_makes_no_strategy_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"made a NoneType, which has no method 'assign'"):
        _strategies(lambda: None).scheduler("many")


def test_an_option_of_a_type_nobody_knows_is_left_to_the_factory() -> None:
    class Own:
        pass

    def make(thing: Own | None = None) -> Any:
        assert isinstance(thing, Own)
        return Many(1)

    assert _strategies(make).scheduler("many", {"thing": Own()})


def test_an_offer_cannot_be_changed() -> None:
    entry = load_strategies().entries("scheduler")[0]
    with pytest.raises(AttributeError):
        entry.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("class Odd(Exception):\n def __str__(self): raise ValueError\nraise Odd\n", "Odd"),
        ("class Odd(BaseException): pass\nraise Odd('x')\n", "Odd: x"),
        ("raise RuntimeError('x' * 1_000_000)\n", "RuntimeError: xxx"),
        (r"raise RuntimeError('\x1b[31m\u202e\nred')", r"RuntimeError: \\x1b\[31m\\u202e red"),
    ],
)
def test_whatever_a_plugin_raises_is_one_short_line(write: Write, source: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot be imported: {told}") as caught:
        load_strategies([write("odd.py", source)])
    assert len(str(caught.value)) < 1200
    assert str(caught.value).isprintable()


def test_what_was_typed_is_quoted_in_short() -> None:
    long = "x" * 1_000_000
    known = "random_first_pieces"
    for name, options in ((long, {}), ("rarest-first", {long: 1}), ("rarest-first", {known: long})):
        with pytest.raises(ConfigError) as caught:
            load_strategies().scheduler(name, options)
        assert len(str(caught.value)) < 2000
