"""From a TOML file to a `PeerConfig`, or to the list of everything that is wrong with it."""

import codecs
import difflib
import re
import shutil
import tomllib
import types
import typing
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeGuard

import msgspec

from trio_swarm.amounts import size_text
from trio_swarm.config.model import (
    NAME_PLACEHOLDER,
    PATH_PLACEHOLDER,
    ControlConfig,
    FetchConfig,
    HooksConfig,
    Parsed,
    PeerConfig,
    PluginsConfig,
    RelativePath,
    ShareConfig,
    StrategyConfig,
    TrackerConfig,
    as_strategy,
    keys_of,
    settings_in,
)
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.config.validation_words import explained, one_of
from trio_swarm.config.values import found_command
from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.foreign_text import error_words, quoted
from trio_swarm.named_paths import is_there, read_whole
from trio_swarm.protocol.addresses import is_loopback
from trio_swarm.schedulers.loading import Axis, load_strategies
from trio_swarm.tracker.settings import LEASE_INTERVALS, LEAST_LEASE, TrackerSettings

MAX_FILE_SIZE = 1024 * 1024
"""Bytes: far above any peer's file, far below a size that is slow to parse."""
_MISSING: Any = object()
_Table = typing.TypeVar("_Table", bound=msgspec.Struct)
_Choice = tuple[Axis, StrategyConfig | str, str]
"""A strategy that was chosen: its axis, itself, and the key that chose it."""


def read_config(file: Path) -> PeerConfig:
    """Return the configuration in `file`; each `Path` starts at its folder or is absolute.

    Raises `ConfigProblems` (a `ConfigError`) that lists everything wrong with its keys and values,
    or `ConfigError` when it cannot be read or is no TOML.
    """
    return parse_config(_content(file), file=file)


def read_former_config(former: Path, file: Path) -> PeerConfig:
    """Return what `former`, an older copy of `file`, describes at the place of `file`.

    Raises the errors of `read_config`, which name `former`.
    """
    return parse_config(_content(former), file=former, folder=file.parent)


def checked_config(file: Path) -> PeerConfig:
    """Return the configuration in `file`, checked as far as a peer can be run with it.

    Raises the errors of `read_config`, and those of strategies and placeholders.
    """
    config = read_config(file)
    check_strategies(config, file=file)
    require_own_words(config, file=file)
    return config


def parse_config(content: bytes, *, file: Path, folder: Path | None = None) -> PeerConfig:
    """Return the configuration in `content`; relative paths start at `folder`, else at `file`'s.

    Raises only `ConfigError`, whatever the bytes are; see `read_config`.
    """
    reader = _read(content, file, folder=folder)
    if reader.problems:
        raise ConfigProblems(reader.problems)
    return typing.cast("PeerConfig", reader.config)


def state_folder_in(file: Path) -> Path | None:
    """Return the state folder that `file` names, whatever else in it is wrong; None: the default.

    Raises ConfigError as `read_config` does, of this one key.
    """
    reader = _Reader(file, file.parent)
    with _toml_of(file):
        node = tomllib.loads(_decoded(_content(file), file)).get("node", {})
    raw = node.get("state_folder") if isinstance(node, dict) else None
    path = None if raw is None else reader.path(raw, "node.state_folder")
    if reader.problems:
        raise ConfigProblems(reader.problems)
    return typing.cast("Path | None", path)


def check_strategies(config: PeerConfig, *, file: Path) -> None:
    """Make every strategy that `config` chooses, and drop it again.

    Raises `ConfigProblems`: a plugin that cannot be loaded, an unknown strategy (with the known
    ones), an option the strategy does not take.
    """
    chosen: list[_Choice] = [
        ("scheduler", config.scheduler, "scheduler"),
        ("uploader", config.uploader, "uploader"),
        ("choker", config.choker, "choker"),
    ]
    for index, fetch in enumerate(config.fetch):
        if fetch.scheduler is not None:
            chosen.append(("scheduler", fetch.scheduler, f"fetch[{index}].scheduler"))
    problems = _strategy_problems(chosen, config.plugins.paths, file)
    if problems:
        raise ConfigProblems(problems)


def require_own_words(config: PeerConfig, *, file: Path) -> None:
    """Raise `ConfigProblems` for placeholders of `trio-swarm init` that were not replaced."""
    shares = [(f"share[{index}].path", share) for index, share in enumerate(config.share)]
    fetches = [(f"fetch[{index}].what", fetch) for index, fetch in enumerate(config.fetch)]
    problems = _placeholders(shares, fetches, file)
    if problems:
        raise ConfigProblems(problems)


def _placeholders(
    shares: Sequence[tuple[str, ShareConfig]],
    fetches: Sequence[tuple[str, FetchConfig]],
    file: Path,
) -> list[ConfigError]:
    placeholder = file.parent / PATH_PLACEHOLDER
    left = [key for key, share in shares if share.path == placeholder]
    left += [key for key, fetch in fetches if fetch.what == NAME_PLACEHOLDER]
    return [
        ConfigError("is as `trio-swarm init` wrote it: put your own here", file=file, key=key)
        for key in left
    ]


def find_problems(file: Path) -> Sequence[ConfigError]:
    """Return all problems of `file`, as `trio-swarm check` shows them; empty when it is good.

    Besides what `read_config` finds: strategies and their options, plugins, and paths to share and
    programs to run that are not there.
    """
    try:
        reader = _read(_content(file), file)
    except ConfigError as error:
        return [error]
    problems = [*reader.problems]
    problems += _placeholders(reader.shares, reader.fetches, file)
    problems += _strategy_problems(reader.chosen, reader.plugins, file)
    for key, share in reader.shares:
        if share.path == file.parent / PATH_PLACEHOLDER:
            continue  # was said above
        try:
            if not is_there(share.path):
                problems.append(ConfigError(f"{share.path} does not exist", file=file, key=key))
        except StorageError as error:
            problems.append(ConfigError(str(error), file=file, key=key))
    problems += _missing_programs(reader.commands, file)
    problems += _wrong_lists(reader.tracker, file)
    return problems


def _wrong_lists(tracker: TrackerConfig | None, file: Path) -> Iterator[ConfigError]:
    if tracker is None or not (settings := TrackerSettings(**settings_in(tracker))).is_selective:
        return
    from trio_swarm.tracker.admission.reloading import check_lists  # noqa: PLC0415 - most have none

    for error in check_lists(settings):
        yield ConfigError(str(error), file=file, key=f"tracker.{error.key}")


def _missing_programs(
    commands: Sequence[tuple[str, tuple[str, ...]]], file: Path
) -> list[ConfigError]:
    problems = []
    for key, command in commands:
        try:
            if command and shutil.which(found_command(command, file.parent)[0]) is None:
                message = f"there is no program {quoted(command[0])} to be run"
                problems.append(ConfigError(message, file=file, key=key))
        except ConfigError as error:  # the home of nobody
            problems.append(ConfigError(str(error), file=file, key=key))
    return problems


def _content(file: Path) -> bytes:
    try:
        content = read_whole(file, MAX_FILE_SIZE)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot be read: {reason}", file=file) from error
    if len(content) > MAX_FILE_SIZE:
        raise ConfigError(f"is larger than {size_text(MAX_FILE_SIZE)}", file=file)
    return content


def read_table(file: Path, struct: type[_Table]) -> _Table:
    """Return the contents of `file` as a `struct`; like `read_config`, for other kinds of files."""
    reader = _read(_content(file), file, struct)
    if reader.problems:
        raise ConfigProblems(reader.problems)
    return typing.cast("_Table", reader.config)


def _read(
    content: bytes,
    file: Path,
    struct: type[msgspec.Struct] = PeerConfig,
    *,
    folder: Path | None = None,
) -> "_Reader":
    reader = _Reader(file, file.parent if folder is None else folder)
    with _toml_of(file):
        raw = tomllib.loads(_decoded(content, file))
        reader.look_at_numbers(raw, "")
        if not reader.problems:
            reader.config = reader.table(struct, raw, "")
    return reader


@contextmanager
def _toml_of(file: Path) -> Iterator[None]:
    """Make errors of reading the TOML of `file` ConfigErrors."""
    try:
        yield
    except RecursionError as error:
        raise ConfigError("is nested too deeply", file=file) from error
    except ValueError as error:  # TOMLDecodeError, and numbers or dates beyond Python's
        raise ConfigError(f"is not valid TOML: {error}", file=file) from error


def _decoded(content: bytes, file: Path) -> str:
    """Return the text of a TOML file, which is UTF-8; editors on Windows put a mark before it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError("is UTF-16 text: save it as UTF-8", file=file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line} is not UTF-8 text: save it as UTF-8", file=file) from error


def _strategy_problems(
    chosen: Sequence[_Choice], plugins: Sequence[Path], file: Path
) -> list[ConfigError]:
    problems = []
    found: list[Path] = []
    for path in plugins:
        try:
            load_strategies((path,))
        except ConfigError as error:
            problems.append(ConfigError(str(error), file=file, key="plugins.paths"))
        else:
            found.append(path)
    try:
        strategies = load_strategies(found)
    except ConfigError as error:  # two that offer the same name
        problems.append(ConfigError(str(error), file=file, key="plugins.paths"))
        strategies = load_strategies(())
    is_whole = not problems
    make = {
        "scheduler": strategies.scheduler,
        "uploader": strategies.uploader,
        "choker": strategies.choker,
    }
    for axis, choice, key in chosen:
        strategy = as_strategy(choice)
        try:
            make[axis](strategy.name, strategy.options)
        except ConfigError as error:
            maybe = "" if is_whole else " (a plugin that is missing may offer it)"
            problems.append(ConfigError(f"{error}{maybe}", file=file, key=key))
    return problems


@dataclass
class _Reader:
    """Walks the raw tables along the structs and notes every problem on the way."""

    file: Path
    folder: Path
    """Where relative paths start."""
    config: Any = _MISSING
    problems: list[ConfigError] = field(default_factory=list)
    # What is right by itself can be looked at further, whatever is wrong elsewhere.
    chosen: list[_Choice] = field(default_factory=list)
    shares: list[tuple[str, ShareConfig]] = field(default_factory=list)
    fetches: list[tuple[str, FetchConfig]] = field(default_factory=list)
    commands: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    plugins: Sequence[Path] = ()
    tracker: TrackerConfig | None = None

    def fail(self, key: str, message: str) -> Any:
        self.problems.append(ConfigError(message, file=self.file, key=key or None))
        return _MISSING

    def table(self, struct: type[msgspec.Struct], raw: object, key: str) -> Any:
        if not isinstance(raw, dict):
            return self.fail(key, f"expected a table, got {_describe(raw)}")
        hints, fields = _hints_of(struct), _fields_of(struct)
        before = len(self.problems)
        for name in raw:
            if name not in hints:
                self.fail(_below(key, name), "unknown key" + _suggest(name, hints))
        values = {}
        for info in fields:
            name = info.name
            if name in raw:
                values[name] = self.value(hints[name], raw[name], _below(key, name))
            elif info.required:
                self.fail(_below(key, name), "is missing")
            elif isinstance(info.default, Path):
                values[name] = self.path(str(info.default), key)
            elif _is_struct(hints[name]):  # its defaults may be relative paths, too
                values[name] = self.table(hints[name], {}, _below(key, name))
        is_whole = len(self.problems) == before
        # Problems in here or below were noted: then there is nothing whole to return, and what is
        # right by itself is looked at all the same.
        right = {name: _without_missing(value) for name, value in values.items()}
        right = {name: value for name, value in right.items() if value is not _MISSING}
        try:
            made = struct(**right)
        except TypeError:  # something that has no default is missing or wrong
            return _MISSING
        self.look_further(made, key, values.keys() - right.keys())
        return made if is_whole else _MISSING

    def value(self, hint: Any, raw: object, key: str) -> Any:  # noqa: PLR0911 - one per kind
        origin = typing.get_origin(hint)
        if origin in {typing.Union, types.UnionType}:
            return self.union(typing.get_args(hint), raw, key)
        if _is_struct(hint):
            return self.table(hint, raw, key)
        if origin is tuple:
            return self.items(typing.get_args(hint)[0], raw, key)
        if origin is Annotated:
            for mark in hint.__metadata__:
                if isinstance(mark, RelativePath):
                    return self.path(raw, key)
                if isinstance(mark, Parsed):
                    return self.parsed(mark, raw, key)
        try:
            return msgspec.convert(raw, hint)
        except msgspec.ValidationError as error:
            where, message = explained(error, key)
            if origin is typing.Literal:
                message = f"expected {one_of(hint)}"
            if "got" not in message:
                message += f", got {_describe(raw)}"
            return self.fail(where, message)

    def union(self, choices: Sequence[Any], raw: object, key: str) -> Any:
        # TOML has no null, so None only stands for an absent key and is never read.
        choices = [choice for choice in choices if choice is not types.NoneType]
        structs = [choice for choice in choices if _is_struct(choice)]
        others = [choice for choice in choices if not _is_struct(choice)]
        if structs and (isinstance(raw, dict) or not others):
            value = self.table(structs[0], raw, key)
        else:
            lists = [choice for choice in others if typing.get_origin(choice) is tuple]
            choice = lists[0] if lists and isinstance(raw, list) else others[0]
            value = self.value(choice, raw, key)
        if StrategyConfig in structs and isinstance(value, str):
            self.chosen.append((_axis_of(key), value, key))
        return value

    def items(self, hint: Any, raw: object, key: str) -> Any:
        if not isinstance(raw, list):
            wanted = f"[[{key}]]" if _is_struct(hint) else "a list"
            return self.fail(key, f"expected {wanted}, got {_describe(raw)}")
        return tuple(self.value(hint, item, f"{key}[{i}]") for i, item in enumerate(raw))

    def path(self, raw: object, key: str) -> Any:
        if not isinstance(raw, str) or not raw or "\0" in raw:
            return self.fail(key, f"expected a path, got {_describe(raw)}")
        try:
            return self.folder / Path(raw).expanduser()
        except RuntimeError as error:  # no such user, or no home
            return self.fail(key, f"{error_words(error)}: {quoted(raw)}")

    def parsed(self, mark: Parsed, raw: object, key: str) -> Any:
        try:
            value = mark.parse(raw)
        except ConfigError as error:
            return self.fail(key, str(error))
        if mark.at_least is not None and isinstance(value, int) and value < mark.at_least:
            return self.fail(key, f"must be at least {mark.at_least:,}, got {_describe(raw)}")
        return value

    def look_at_numbers(self, raw: object, key: str) -> None:
        """Note whole numbers beyond TOML's 64 bits, which Python would read and cannot print."""
        if isinstance(raw, dict):
            for name, value in raw.items():
                self.look_at_numbers(value, _below(key, name))
        elif isinstance(raw, list):
            for index, value in enumerate(raw):
                self.look_at_numbers(value, f"{key}[{index}]")
        elif isinstance(raw, int) and not -(2**63) <= raw < 2**63:
            self.fail(key, "is beyond 64 bits")

    def look_further(self, table: object, key: str, wrong: AbstractSet[str]) -> None:
        """Note values of one table that are right alone and wrong together.

        Keys that are `wrong` alone have their defaults in it.
        """
        match table:
            case TrackerConfig():
                self.tracker = table
                self._look_at_lease(table, key, wrong)
            case ControlConfig(listen=(host, _port)) if not (
                is_loopback(host)
                or table.token_file
                or table.read_token_file
                or table.password_file
                or wrong & {"token_file", "read_token_file", "password_file"}
            ):
                self.fail(
                    f"{key}.listen",
                    "can be reached from other machines: add token_file or password_file, "
                    "or listen at 127.0.0.1",
                )
            case ShareConfig():
                self.shares.append((f"{key}.path", table))
            case FetchConfig():
                self.fetches.append((f"{key}.what", table))
                for name, limit in (("seed_for", table.seed_for), ("seed_ratio", table.seed_ratio)):
                    if limit is not None and not table.seed:
                        self.fail(f"{key}.{name}", "makes no sense with seed = false")
            case PeerConfig(watch=watched):
                folders = [each.folder for each in watched]
                for index, folder in enumerate(folders):
                    if folder in folders[:index]:
                        self.fail(f"watch[{index}].folder", f"{folder} is watched already")
            case HooksConfig():
                commands = {"on_complete": table.on_complete, "on_failed": table.on_failed}
                self.commands += [(f"{key}.{name}", each) for name, each in commands.items()]
            case PluginsConfig():
                self.plugins = table.paths
            case StrategyConfig():
                self.chosen.append((_axis_of(key), table, key))

    def _look_at_lease(self, table: TrackerConfig, key: str, wrong: AbstractSet[str]) -> None:
        interval, lease = table.interval, table.lease
        if lease is not None and "interval" not in wrong and lease < LEAST_LEASE * interval:
            self.fail(
                f"{key}.lease",
                f"must be at least {LEAST_LEASE * interval:g}, a tenth more than "
                f"tracker.interval ({interval:g}), got {lease:g}: peers would be forgotten "
                f"between heartbeats; leave it out for {LEASE_INTERVALS:g} intervals",
            )


@cache
def _hints_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the keys of a table with their types; a file may have thousands of one kind."""
    return {name: hint for name, (hint, _key) in keys_of(struct).items()}


_fields_of = cache(msgspec.structs.fields)


def _is_struct(hint: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _without_missing(value: Any) -> Any:
    """Return `value`, a list without the items that are wrong."""
    if not isinstance(value, tuple):
        return value
    return tuple(item for item in value if item is not _MISSING)


def _axis_of(key: str) -> Axis:
    return typing.cast("Axis", key.rpartition(".")[2])


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


def _below(key: str, name: str) -> str:
    part = name if _BARE_KEY.fullmatch(name) else quoted(name)
    return f"{key}.{part}" if key else part


def _suggest(name: str, known: typing.Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {close[0]!r}?" if close else f"; known here: {', '.join(names)}"


def _describe(raw: object) -> str:
    """Name a raw value, short, in words a TOML author knows."""
    match raw:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool():
            return str(raw).lower()
        case _:
            text = repr(raw) if isinstance(raw, str) else str(raw)
            return text if len(text) <= 60 else text[:57] + "..."
