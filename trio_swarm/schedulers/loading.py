"""Find strategies and make them: built in, from installed packages, from files and folders.

All are found in the same way: by the pluggy plugin manager of one `load_strategies` call. A plugin
named by its path must load, or the result is a ConfigError that names it. An *installed* package
that does not load must not stop the program. It becomes a `PluginProblem`, which is mentioned in
the error for a name that no strategy has.

Installed packages are looked at only when all strategies are listed, or when a name is selected
that no other plugin has. Reading the entry points of every installed package takes a tenth of a
command's start-up time.
"""

import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

import pluggy
from msgspec import Struct

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import error_text, error_words, quoted
from trio_swarm.schedulers import builtin, hookspecs
from trio_swarm.schedulers.api import Choker, Scheduler, Uploader
from trio_swarm.schedulers.options import Option, convert_options, options_text, read_options

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Axis = Literal["scheduler", "uploader", "choker"]

AXES: tuple[Axis, ...] = ("scheduler", "uploader", "choker")

BUILT_IN = "built in"
"""The origin of the strategies that are part of trio-swarm."""

_HOOKS: dict[Axis, str] = {
    "scheduler": "trio_swarm_schedulers",
    "uploader": "trio_swarm_uploaders",
    "choker": "trio_swarm_chokers",
}
_METHODS: dict[Axis, tuple[str, ...]] = {
    "scheduler": ("assign",),
    "uploader": ("offer", "order"),
    "choker": ("unchoke",),
}


class StrategyEntry(Struct, frozen=True, dict=True):
    """One strategy that can be selected by name."""

    name: str
    axis: Axis
    origin: str
    """`built in`, `package NAME VERSION` or `file PATH`."""
    factory: Callable[..., object]

    @functools.cached_property
    def options(self) -> tuple[Option, ...]:
        """The options of the factory.

        Read when first asked for: a node needs those of three strategies, not of all. ValueError or
        TypeError if they cannot be read, which is tried where a plugin is loaded.
        """
        return read_options(self.factory)

    @functools.cached_property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.factory) or "").partition("\n")[0].strip()


class PluginProblem(Struct, frozen=True):
    """An installed package whose strategies cannot be used."""

    origin: str
    reason: str

    def __str__(self) -> str:
        """Return the origin and the reason in one line."""
        return f"{self.origin}: {self.reason}"


FindMore = Callable[[], tuple[Sequence[StrategyEntry], Sequence[PluginProblem]]]


class Strategies:
    """Every strategy that was found, by kind and name, and the ways to make one.

    `find_more` is called once, when a strategy is not among `entries` or all are listed. It blocks,
    and raises ConfigError if it finds a name that exists already.
    """

    def __init__(self, entries: Sequence[StrategyEntry], find_more: FindMore | None = None) -> None:
        self._entries: dict[tuple[Axis, str], StrategyEntry] = {}
        self._problems: tuple[PluginProblem, ...] = ()
        self._find_more = find_more
        self._add(entries)

    @property
    def problems(self) -> tuple[PluginProblem, ...]:
        """Return the installed packages whose strategies cannot be used."""
        self._look_further()
        return self._problems

    def _look_further(self) -> None:
        if self._find_more is not None:
            more, problems = self._find_more()
            self._find_more = None
            self._problems = tuple(problems)
            self._add(more)

    def _add(self, entries: Sequence[StrategyEntry]) -> None:
        for entry in entries:
            other = self._entries.setdefault((entry.axis, entry.name), entry)
            if other is not entry:
                raise ConfigError(
                    f"two {entry.axis}s are called {entry.name!r}: "
                    f"one from {other.origin}, one from {entry.origin}"
                )

    def entries(self, axis: Axis) -> list[StrategyEntry]:
        """Return all strategies of one kind by name, built-in ones first."""
        self._look_further()
        found = [entry for entry in self._entries.values() if entry.axis == axis]
        return sorted(found, key=lambda entry: (entry.origin != BUILT_IN, entry.name))

    def entry(self, axis: Axis, name: str) -> StrategyEntry:
        """Return the strategy called `name`.

        Raises ConfigError with the known names if there is none.
        """
        if (axis, name) not in self._entries:
            self._look_further()
        found = self._entries.get((axis, name))
        if found is not None:
            return found
        known = [entry.name for entry in self.entries(axis)]
        import difflib  # noqa: PLC0415 - only for those who mistyped

        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        broken = "".join(f"; not loaded: {problem}" for problem in self.problems)
        raise ConfigError(
            f"there is no {axis} {quoted(name)}{hint}; known are: {', '.join(known)}{broken}"
        )

    def scheduler(
        self, name: str, options: Mapping[str, object] | None = None, *, text_values: bool = False
    ) -> Scheduler:
        """Return a new download strategy.

        If `text_values`, the values of `options` are text as typed (`key=value`), and are converted
        to the option's type. Raises ConfigError for an unknown name (and lists the known ones), for
        a wrong option or value (and lists the options), and for a factory that raises.
        """
        return cast("Scheduler", self._make("scheduler", name, options or {}, text_values))

    def uploader(
        self, name: str, options: Mapping[str, object] | None = None, *, text_values: bool = False
    ) -> Uploader:
        """Return a new upload strategy; arguments and errors as for `scheduler`."""
        return cast("Uploader", self._make("uploader", name, options or {}, text_values))

    def choker(
        self, name: str, options: Mapping[str, object] | None = None, *, text_values: bool = False
    ) -> Choker:
        """Return a new unchoking strategy; arguments and errors as for `scheduler`."""
        return cast("Choker", self._make("choker", name, options or {}, text_values))

    def _make(
        self,
        axis: Axis,
        name: str,
        options: Mapping[str, object],
        text_values: bool,  # noqa: FBT001 - passed on from three keyword-only parameters
    ) -> object:
        entry = self.entry(axis, name)
        where = f"{axis} {quoted(name)}"
        keywords = convert_options(entry.options, options, text_values=text_values, where=where)
        try:
            made = entry.factory(**keywords)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{where}: {error_words(error)}; {options_text(entry.options)}"
            ) from error
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"{where} of {entry.origin} failed to start: {error_text(error)}"
            ) from error
        for method in _METHODS[axis]:
            if not callable(getattr(made, method, None)):
                raise ConfigError(
                    f"{where} of {entry.origin} made a {type(made).__name__}, "
                    f"which has no method {method!r}"
                )
        return made


def load_strategies(paths: Sequence[Path] = ()) -> Strategies:
    """Find all strategies: built in, of the plugins at `paths`, and of installed packages.

    The plugins at `paths` are imported now, installed packages only when they are needed (see
    `Strategies`). A path is a `.py` file, a package (a folder with `__init__.py`), or a folder of
    files and packages, of which names that begin with `_` or `.` are ignored. Raises ConfigError,
    naming the plugin, if one at `paths` cannot be loaded or has no strategy, or if two plugins use
    one name.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    entries = _register(manager, builtin, BUILT_IN)
    for path in _plugin_files(paths):
        origin = f"file {path}"
        entries += _register(manager, _import_file(path, origin), origin)
    return Strategies(entries, functools.partial(_load_installed, manager))


def _load_installed(
    manager: pluggy.PluginManager,
) -> tuple[list[StrategyEntry], list[PluginProblem]]:
    """Return the strategies of the installed packages, and the packages that cannot be used."""
    import importlib.metadata  # noqa: PLC0415 - 12 ms, and few select a package's strategy

    entries: list[StrategyEntry] = []
    problems: list[PluginProblem] = []
    for entry_point in importlib.metadata.entry_points(group=hookspecs.PROJECT):
        origin = _package_origin(entry_point)
        try:
            plugin = _import_entry_point(entry_point, origin)
            entries += _register(manager, plugin, origin, entry_point.name)
        except ConfigError as error:
            problems.append(PluginProblem(origin, str(error).removeprefix(f"{origin}: ")))
    return entries, problems


def _register(
    manager: pluggy.PluginManager, plugin: object, origin: str, part: str = ""
) -> list[StrategyEntry]:
    """Register one plugin and return its strategies.

    Raises ConfigError, naming `origin`, if the plugin is wrong. `part` tells the entry points of
    one package apart.
    """
    try:
        name = manager.register(plugin, name=f"{origin} {part}")
        manager.check_pending()
    except (ValueError, pluggy.PluginValidationError) as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise ConfigError(f"{origin}: {' '.join(str(error).split())}") from error
    entries: list[StrategyEntry] = []
    implemented = False
    for axis, hook in _HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin_name == name:
                implemented = True
                entries += _entries(axis, hook, implementation.function, origin)
    if not implemented:
        raise ConfigError(
            f"{origin}: has no strategies: no function marked with @hookimpl is called "
            f"{' or '.join(_HOOKS.values())}"
        )
    return entries


def _entries(
    axis: Axis, hook: str, function: Callable[[], Any], origin: str
) -> Iterator[StrategyEntry]:
    """Yield the strategies that a plugin's hook returns; raises ConfigError if it is wrong."""
    try:
        factories = function()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{origin}: {hook} failed: {error_text(error)}") from error
    if not isinstance(factories, Mapping):
        raise ConfigError(
            f"{origin}: {hook} must return a mapping of names to factories, "
            f"not {type(factories).__name__}"
        )
    for name, factory in factories.items():
        if not isinstance(name, str) or not name or not callable(factory):
            raise ConfigError(
                f"{origin}: {hook} must map names to callables, "
                f"not {quoted(name)} to {quoted(factory)}"
            )
        entry = StrategyEntry(name, axis, origin, factory)
        if origin != BUILT_IN:
            _check_options(entry)
        yield entry


def _check_options(entry: StrategyEntry) -> None:
    """Raise ConfigError if the options of a plugin's strategy cannot be read."""
    try:
        _ = entry.options
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{entry.origin}: the options of {quoted(entry.name)}: {error_words(error)}"
        ) from error


def _package_origin(entry_point: "EntryPoint") -> str:
    package = entry_point.dist
    if package is None:
        return f"package {entry_point.value}"
    return f"package {package.name} {package.version}"


def _import_entry_point(entry_point: "EntryPoint", origin: str) -> object:
    try:
        return entry_point.load()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{origin}: cannot be imported: {error_text(error)}") from error


def _plugin_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files and packages to import for `paths`, each once, in the order of `paths`."""
    found: dict[Path, None] = {}
    for given in paths:
        try:
            found |= dict.fromkeys(_plugin_files_at(given))
        except OSError as error:  # a folder that is closed to us or gone, a name that is too long
            reason = error.strerror or error
            raise ConfigError(f"plugin {given} cannot be read: {reason}") from error
    return list(found)


def _plugin_files_at(given: Path) -> list[Path]:
    path = given.absolute()
    if path.is_file():
        if path.suffix != ".py":
            raise ConfigError(f"plugin {given} is not a .py file")
        return [path]
    if (path / "__init__.py").is_file():
        return [path]
    if not path.is_dir():
        fault = "is neither a file nor a folder" if path.exists() else "does not exist"
        raise ConfigError(f"plugin {given} {fault}")
    inside = [each for each in sorted(path.iterdir()) if _is_plugin(each)]
    if not inside:
        raise ConfigError(f"plugin folder {given} holds no .py file and no package")
    return inside


def _is_plugin(path: Path) -> bool:
    if path.name.startswith(("_", ".")):
        return False
    return (path.suffix == ".py" and path.is_file()) or (path / "__init__.py").is_file()


def _import_file(path: Path, origin: str) -> ModuleType:
    """Import a file or package by its path, under a name that no installed module can have."""
    is_package = path.is_dir()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"trio_swarm_plugin_{path.stem.replace('-', '_')}_{digest}"
    spec = importlib.util.spec_from_file_location(
        name,
        path / "__init__.py" if is_package else path,
        submodule_search_locations=[str(path)] if is_package else None,
    )
    if spec is None or spec.loader is None:
        raise ConfigError(f"{origin}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and relative imports look up the module by its name while its code is running.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise  # a person's
    except BaseException as error:
        del sys.modules[name]
        raise ConfigError(f"{origin}: cannot be imported: {error_text(error)}") from error
    return module
