"""Find strategies and make them: built in, from installed packages, from files and folders.

All come through the same door: the pluggy plugin manager of one `load_strategies` call. What was
asked for by path must load, or it is a ConfigError that names it. An *installed* package that does
not load must not take the program down with it: it becomes a `Problem`, and is spoken of when a
name is selected that nobody offers.

Installed packages are looked at only when a name is selected that nobody else offers, or all are
listed: reading what every package of the environment says takes a tenth of a command's start.
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
"""The origin of our own offers."""

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


class Offer(Struct, frozen=True):
    """One strategy that can be selected by name."""

    name: str
    axis: Axis
    origin: str
    """`built in`, `package NAME VERSION` or `file PATH`."""
    summary: str
    """The first line of its docstring."""
    options: tuple[Option, ...]
    factory: Callable[..., object]


class Problem(Struct, frozen=True):
    """An installed package that wanted to offer strategies and could not be used."""

    origin: str
    reason: str

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.origin}: {self.reason}"


FindMore = Callable[[], tuple[Sequence[Offer], Sequence[Problem]]]


class Strategies:
    """Every strategy that was found, by axis and name, and the way to make one.

    `find_more` is called once, when what `offers` holds is not enough. Blocking then, and a
    ConfigError if it finds a name that is offered already.
    """

    def __init__(self, offers: Sequence[Offer], find_more: FindMore | None = None) -> None:
        self._offers: dict[tuple[Axis, str], Offer] = {}
        self._problems: tuple[Problem, ...] = ()
        self._find_more = find_more
        self._add(offers)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Installed packages that could not be used."""
        self._look_further()
        return self._problems

    def _look_further(self) -> None:
        if self._find_more is not None:
            more, problems = self._find_more()
            self._find_more = None
            self._problems = tuple(problems)
            self._add(more)

    def _add(self, offers: Sequence[Offer]) -> None:
        for offer in offers:
            other = self._offers.setdefault((offer.axis, offer.name), offer)
            if other is not offer:
                raise ConfigError(
                    f"two {offer.axis}s are called {offer.name!r}: "
                    f"one from {other.origin}, one from {offer.origin}"
                )

    def offers(self, axis: Axis) -> list[Offer]:
        """Return all offers of `axis`: built-in ones first, each part by name."""
        self._look_further()
        found = [offer for offer in self._offers.values() if offer.axis == axis]
        return sorted(found, key=lambda offer: (offer.origin != BUILT_IN, offer.name))

    def offer(self, axis: Axis, name: str) -> Offer:
        """Return the offer called `name`; ConfigError lists the known ones if there is none."""
        if (axis, name) not in self._offers:
            self._look_further()
        found = self._offers.get((axis, name))
        if found is not None:
            return found
        known = [offer.name for offer in self.offers(axis)]
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

        `text_values`: the values are text as typed (`key=value`), converted by the option's type.
        Raises ConfigError: no such name (lists the known ones), a wrong option or value (lists the
        options), or a factory that fails.
        """
        return cast("Scheduler", self._make("scheduler", name, options or {}, text_values))

    def uploader(
        self, name: str, options: Mapping[str, object] | None = None, *, text_values: bool = False
    ) -> Uploader:
        """Return a new seeding-order strategy; arguments and errors as for `scheduler`."""
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
        offer = self.offer(axis, name)
        where = f"{axis} {quoted(name)}"
        keywords = convert_options(offer.options, options, text_values=text_values, where=where)
        try:
            made = offer.factory(**keywords)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{where}: {error_words(error)}; {options_text(offer.options)}"
            ) from error
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"{where} of {offer.origin} failed to start: {error_text(error)}"
            ) from error
        for method in _METHODS[axis]:
            if not callable(getattr(made, method, None)):
                raise ConfigError(
                    f"{where} of {offer.origin} made a {type(made).__name__}, "
                    f"which has no method {method!r}"
                )
        return made


def load_strategies(paths: Sequence[Path] = ()) -> Strategies:
    """Find all strategies: built in, of the plugins at `paths`, and of installed packages.

    The last are looked for when they are needed (see `Strategies`), those at `paths` now. A path
    is a `.py` file, a package (a folder with `__init__.py`), or a folder of such files and
    packages, where names that begin with `_` or `.` are passed over. Imports their code. Raises
    ConfigError, naming the plugin, if one at `paths` cannot be loaded or offers nothing, or if two
    plugins offer one name.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    offers = _register(manager, builtin, BUILT_IN)
    for path in _plugin_files(paths):
        origin = f"file {path}"
        offers += _register(manager, _import_file(path, origin), origin)
    return Strategies(offers, functools.partial(_load_installed, manager))


def _load_installed(manager: pluggy.PluginManager) -> tuple[list[Offer], list[Problem]]:
    """Return what the installed packages offer, and which cannot be used."""
    import importlib.metadata  # noqa: PLC0415 - 12 ms, and few select what a package offers

    offers: list[Offer] = []
    problems: list[Problem] = []
    for entry_point in importlib.metadata.entry_points(group=hookspecs.PROJECT):
        origin = _package_origin(entry_point)
        try:
            plugin = _import_entry_point(entry_point, origin)
            offers += _register(manager, plugin, origin, entry_point.name)
        except ConfigError as error:
            problems.append(Problem(origin, str(error).removeprefix(f"{origin}: ")))
    return offers, problems


def _register(
    manager: pluggy.PluginManager, plugin: object, origin: str, part: str = ""
) -> list[Offer]:
    """Register one plugin and return what it offers; ConfigError names it if it is wrong.

    `part` tells the entry points of one package apart.
    """
    try:
        name = manager.register(plugin, name=f"{origin} {part}")
        manager.check_pending()
    except (ValueError, pluggy.PluginValidationError) as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise ConfigError(f"{origin}: {' '.join(str(error).split())}") from error
    offers: list[Offer] = []
    implemented = False
    for axis, hook in _HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin_name == name:
                implemented = True
                offers += _offers(axis, hook, implementation.function, origin)
    if not implemented:
        raise ConfigError(
            f"{origin}: offers nothing: no function marked with @hookimpl is called "
            f"{' or '.join(_HOOKS.values())}"
        )
    return offers


def _offers(axis: Axis, hook: str, function: Callable[[], Any], origin: str) -> Iterator[Offer]:
    """Yield what one hook of one plugin returns."""
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
        try:
            options = read_options(factory)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{origin}: the options of {quoted(name)}: {error_words(error)}"
            ) from error
        summary = (inspect.getdoc(factory) or "").partition("\n")[0].strip()
        yield Offer(name, axis, origin, summary, options, factory)


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
    """Return the files and packages to import for `paths`, each once, in their order."""
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
    """Import a file or package by its path, under a name no installed module can have."""
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
    # Dataclasses and relative imports look the module up by its name while it is being executed.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise  # a person's
    except BaseException as error:
        del sys.modules[name]
        raise ConfigError(f"{origin}: cannot be imported: {error_text(error)}") from error
    return module
