"""What differs between two configurations, for people and for a node that takes it over.

Pure. A key is named as in the file; a share by its path, a fetch by what is fetched and where to.
Values are shown without secrets: trackers without keys of accounts, programs without arguments.
"""

import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from trio_swarm.config.model import (
    FetchConfig,
    Parsed,
    PeerConfig,
    ShareConfig,
    StrategyConfig,
    WatchConfig,
    as_strategy,
    keys_of,
)
from trio_swarm.errors import MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.metainfo.magnet import parse_magnet

How = Literal["live", "restart", "added", "removed"]
"""A running node takes a new value over (`live`) or needs a restart for it; a share or fetch is
added or removed, which it does while it runs."""

VALUE_LENGTH = 300
"""Characters of a value that are shown."""

_LISTS = ("share", "fetch", "watch")
T = TypeVar("T", bound=Struct)


class Change(Struct, frozen=True, kw_only=True):
    """One difference, for people."""

    key: str
    """The dotted key; for those of shares and fetches, `share PATH: key`."""
    was: str | None
    """None: it was left out."""
    will_be: str | None
    how: How

    def __str__(self) -> str:
        """Return it in one line."""
        match self.how:
            case "added":
                return f"{self.key} {self.will_be}: added"
            case "removed":
                return f"{self.key} {self.was}: removed"
        when = "at once" if self.how == "live" else "needs a restart"
        return f"{self.key}: {self.was or 'nothing'} → {self.will_be or 'nothing'} ({when})"


class Matched(Struct, Generic[T], frozen=True, kw_only=True):
    """The items of two lists: those of both (with what they were and will be), and the others."""

    both: list[tuple[T, T]]
    removed: list[T]
    added: list[T]


def changes_between(was: PeerConfig, will_be: PeerConfig) -> list[Change]:
    """Return what differs, in the order of the file's tables."""
    return [
        *_of_table(was, will_be, ""),
        *_of_items("share", shares_between(was, will_be), _share_name),
        *_of_items("fetch", fetches_between(was, will_be), _fetch_name),
        *_of_items("watch", watches_between(was, will_be), lambda each: str(each.folder)),
    ]


def taken_over(was: PeerConfig, will_be: PeerConfig) -> PeerConfig:
    """Return what a peer that runs by `was` runs by after `will_be` was read.

    That is `will_be`, but for keys that need a restart.
    """
    lists = {name: getattr(will_be, name) for name in _LISTS}
    return msgspec.structs.replace(_with_live(was, will_be), **lists)


def _with_live(was: T, will_be: T) -> T:
    """Return a table with its live keys as they will be, and the others as they were."""
    values = {}
    for name, (hint, key) in keys_of(type(will_be)).items():
        before, after = getattr(was, name), getattr(will_be, name)
        is_table = isinstance(before, Struct) and isinstance(after, Struct)
        if is_table and StrategyConfig not in _members(hint):
            values[name] = _with_live(before, after)
        else:
            values[name] = after if key.live else before
    return msgspec.structs.replace(was, **values)


def shares_between(was: PeerConfig, will_be: PeerConfig) -> Matched[ShareConfig]:
    """Return which shares stay, come and go: by another name or format, it is another."""
    return _matched(
        was.share,
        will_be.share,
        lambda each: (each.path, each.name, each.piece_length, each.format),
    )


def fetches_between(was: PeerConfig, will_be: PeerConfig) -> Matched[FetchConfig]:
    """Return which fetches stay, come and go; each with its folder.

    What is to go to another folder, or another info-hash of the name, is another fetch.
    """
    return _matched(
        fetches_of(was), fetches_of(will_be), lambda each: (each.what, each.folder, each.info_hash)
    )


def watches_between(was: PeerConfig, will_be: PeerConfig) -> Matched[WatchConfig]:
    """Return which folders stay watched, and which come and go."""
    return _matched(was.watch, will_be.watch, lambda each: each.folder)


def fetches_of(config: PeerConfig) -> list[FetchConfig]:
    """Return the fetches of a configuration, each with the folder that it goes to."""
    default = config.node.download_folder
    return [
        each if each.folder is not None else msgspec.structs.replace(each, folder=default)
        for each in config.fetch
    ]


def _matched(was: Sequence[T], will_be: Sequence[T], identity: Callable[[T], object]) -> Matched[T]:
    """Match items of one identity, one to one; of several the first with the first."""
    left: dict[object, list[T]] = {}
    for each in was:
        left.setdefault(identity(each), []).append(each)
    both: list[tuple[T, T]] = []
    added: list[T] = []
    for each in will_be:
        same = left.get(identity(each))
        if same:
            both.append((same.pop(0), each))
        else:
            added.append(each)
    removed = [each for each in was if any(each is one for one in left.get(identity(each), ()))]
    return Matched(both=both, removed=removed, added=added)


# --- in words -------------------------------------------------------------------------------------


def _of_table(was: Struct, will_be: Struct, above: str) -> Iterator[Change]:
    for name, (hint, key) in keys_of(type(will_be)).items():
        if not above and name in _LISTS:
            continue
        before, after = getattr(was, name), getattr(will_be, name)
        if StrategyConfig in _members(hint):
            before, after = _as_strategy(before), _as_strategy(after)
        elif isinstance(before, Struct) and isinstance(after, Struct):
            yield from _of_table(before, after, f"{above}{name}.")
            continue
        if before != after:
            yield Change(
                key=f"{above}{name}",
                was=_text(before, hint),
                will_be=_text(after, hint),
                how="live" if key.live else "restart",
            )


def _of_items(name: str, matched: Matched[T], describe: Callable[[T], str]) -> Iterator[Change]:
    for each in matched.removed:
        yield Change(key=name, was=describe(each), will_be=None, how="removed")
    for before, after in matched.both:
        yield from _of_table(before, after, f"{name} {describe(after)}: ")
    for each in matched.added:
        yield Change(key=name, was=None, will_be=describe(each), how="added")


def _share_name(share: ShareConfig) -> str:
    name = f" as {share.name}" if share.name else ""
    return shown(f"{share.path}{name}", VALUE_LENGTH)


def _fetch_name(fetch: FetchConfig) -> str:
    return shown(f"{_what(fetch.what)} to {fetch.folder}", VALUE_LENGTH)


def _what(what: str) -> str:
    """Return what is fetched; the trackers of a link may hold keys of accounts."""
    if what[:7].lower() != "magnet:":
        return what
    try:
        magnet = parse_magnet(what)
    except MetainfoError:
        return "a magnet link"
    return magnet.name or magnet.info_hash.hex()


def _as_strategy(value: StrategyConfig | str | None) -> StrategyConfig | None:
    return None if value is None else as_strategy(value)


def _text(value: Any, hint: Any) -> str | None:
    """Return a value for people, without secrets; None: there is none."""
    match value:
        case StrategyConfig():
            options = [f"{name}={shown(str(option))}" for name, option in value.options.items()]
            return shown(" ".join([value.name, *options]), VALUE_LENGTH)
        case Struct():
            said = [
                f"{each.name} {_text(now, keys_of(type(value))[each.name][0])}"
                for each in msgspec.structs.fields(value)
                if (now := getattr(value, each.name)) != each.default
            ]
            return shown(", ".join(said) or "as by default", VALUE_LENGTH)
        case bool():
            return str(value).lower()
    # Where a key may be left out, what writes its values was not made for none.
    is_left_out = value is None and types.NoneType in _members(hint)
    for mark in [] if is_left_out else _marks(hint):
        way = mark.show or mark.write
        if way is not None:
            written = way(value)
            text = ", ".join(map(str, written)) if isinstance(written, list) else str(written)
            return None if written is None else shown(text, VALUE_LENGTH)
    if value in (None, (), {}):
        return None
    match value:
        case tuple():
            inner = next(typing.get_args(each)[0] for each in _members(hint) if _is_list(each))
            text = ", ".join(str(_text(each, inner)) for each in value)
        case bytes():
            text = value.hex()
        case dict():
            text = msgspec.json.encode(value).decode()
        case _:
            text = str(value)
    return shown(text, VALUE_LENGTH)


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the types that a type stands for."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return typing.get_args(hint)
    return (hint,)


def _marks(hint: Any) -> list[Parsed]:
    """Return the ways in which values of a type are read and written."""
    return [
        mark
        for member in _members(hint)
        if typing.get_origin(member) is Annotated
        for mark in member.__metadata__
        if isinstance(mark, Parsed)
    ]
