"""The configuration file to start from: every key with its default, explained.

Written once, for a person to edit; the program never writes to a person's file again. Its words and
values are those of `model.py`.
"""

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec.structs import FieldInfo

from trio_swarm.config.model import (
    NAME_PLACEHOLDER,
    PATH_PLACEHOLDER,
    Key,
    Parsed,
    PeerConfig,
    StrategyConfig,
    keys_of,
)

Role = Literal["tracker", "seeder", "leecher"]

_OWN_TABLE = {"tracker": "tracker", "seeder": "share", "leecher": "fetch"}
"""The table that a role begins with; the two others are examples in its file."""
_PLACEHOLDERS = {"path": PATH_PLACEHOLDER, "what": NAME_PLACEHOLDER}
"""Values of the keys that have no default."""

_HEAD = """\
# A trio-swarm {role}. Start it:    trio-swarm run FILE
# Look for mistakes in this file:     trio-swarm check FILE
# Sizes and rates are bytes, or text such as "10MiB", "500k" and, for rates, "20Mbit".
# Relative paths start at the folder of this file. Every key may be left out.
# A line that begins with # and no blank is an example: take the # away to use it.
"""


def starting_file(role: Role) -> str:
    """Return the text of a complete configuration for `role`: every key there is.

    What only its owner can know is a placeholder, which `check` and `run` ask to be replaced. The
    tables of the other roles are there, too, commented out.
    """
    return "\n".join([_HEAD.format(role=role), *_tables(role)])


def _tables(role: Role) -> Iterator[str]:
    defaults = {each.name: each.default for each in msgspec.structs.fields(PeerConfig)}
    own = _OWN_TABLE[role]
    examples = {table for table in _OWN_TABLE.values() if table != own}
    examples |= {name for name, value in defaults.items() if value in (None, ()) and name != own}
    for name, (hint, key) in keys_of(PeerConfig).items():
        structs = list(_structs_in(hint))
        if name == "trackers":  # everybody else needs one, and who runs one has it
            yield _text(_pair(name, key.example), key.comment, is_example=role == "tracker")
        elif StrategyConfig in structs:
            yield from _strategy(name, key)
        elif structs:
            heading = f"[[{name}]]" if typing.get_origin(hint) is tuple else f"[{name}]"
            yield _table(heading, key.comment, structs[0], is_example=name in examples)
        else:
            yield _text(_pair(name, key.example), key.comment, is_example=True)


def _table(heading: str, comment: str, struct: type[msgspec.Struct], *, is_example: bool) -> str:
    parts = [_text(heading, comment, is_example=is_example)]
    inner = ""
    for info in sorted(msgspec.structs.fields(struct), key=_own_first(struct)):
        hint, key = keys_of(struct)[info.name]
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            below = f"{heading[:-1]}.{info.name}]"
            inner += "\n" + _table(below, key.comment, hint, is_example=is_example)
            continue
        value = _PLACEHOLDERS.get(info.name) if info.required else _written(info.default, hint)
        shown = value if key.example is None else key.example
        is_commented = is_example or key.example is not None
        parts.append(_text(_pair(info.name, shown), key.comment, is_example=is_commented))
    return "".join(parts) + inner


def _own_first(struct: type[msgspec.Struct]) -> Callable[[FieldInfo], int]:
    """Return an order: the keys that a table names itself come before the ones it inherits."""
    own = list(struct.__annotations__)
    return lambda info: own.index(info.name) if info.name in own else len(own)


def _strategy(axis: str, key: Key) -> Iterator[str]:
    (default,) = (each.default for each in msgspec.structs.fields(PeerConfig) if each.name == axis)
    name = _pair("name", default.name)
    yield _text(f"[{axis}]", key.comment, is_example=False) + _text(name, "", is_example=False)
    assert isinstance(key.example, Mapping)  # options
    options = tomli_w.dumps({axis: {"options": key.example}})
    yield _text(options, "What it takes, see there.", is_example=True)


def _text(lines: str, comment: str, *, is_example: bool) -> str:
    """Return lines of TOML below their comment; an example is commented out."""
    mark = "#" if is_example else ""
    said = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*said, *(f"{mark}{line}" for line in lines.strip().splitlines())]) + "\n"


def _pair(name: str, value: object) -> str:
    return tomli_w.dumps({name: value})


def _structs_in(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    elif typing.get_origin(hint) in {tuple, typing.Union, types.UnionType}:
        for each in typing.get_args(hint):
            yield from _structs_in(each)


def _written(value: object, hint: Any) -> object:
    """Return a default as TOML has it."""
    if typing.get_origin(hint) is Annotated:
        for mark in hint.__metadata__:
            if isinstance(mark, Parsed) and mark.write is not None:
                return mark.write(value)
    return str(value) if isinstance(value, Path) else value
