"""Strategies as they are typed where several are compared: `NAME` or `NAME:KEY=VALUE,KEY=VALUE`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trio_swarm.cli.options import flagged
from trio_swarm.config.values import parse_option
from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import quoted
from trio_swarm.schedulers.loading import Axis, Strategies
from trio_swarm.schedulers.options import Option, convert_options

_NEXT_OPTION = re.compile(r""",(?=\s*\w+\s*=)(?=(?:[^"]*"[^"]*")*[^"]*$)""")
"""A comma that begins another option; any other one belongs to a value: `near=a,b`, `"a,b=c"`."""

_TOML_ONLY = ("[", "{", '"', "'")
"""Beginnings of values that are surely TOML, and not the text itself."""


class Variant(NamedTuple):
    """A strategy with options of the types that it wants; it can be sent to another process."""

    name: str
    options: Mapping[str, object]
    texts: Mapping[str, str]
    """The options as they were typed."""

    @property
    def label(self) -> str:
        """The options in which it differs from other variants of the same strategy."""
        options = ",".join(f"{key}={text}" for key, text in self.texts.items())
        return f"{self.name}:{options}" if options else self.name


def read_variant(
    axis: Axis, typed: str, strategies: Strategies, extra: Sequence[str] = ()
) -> Variant:
    """Return what `typed` and the `--option` texts in `extra` mean; the former decides if both do.

    A value is read as TOML if it is TOML, else it is the text itself: `rarest`, `"rarest"`, `0.5`,
    `[1, 2]`. Raises ConfigError: no such strategy, or an option that it does not take, by name.
    """
    flag = f"--{axis}"
    name, _, inline = typed.partition(":")
    name = name.strip()
    entry = strategies.entry(axis, name)
    by_name = {option.name: option for option in entry.options}
    where = f"{axis} {quoted(name)}"
    texts = dict(_pair("--option", each) for each in extra)
    if inline.strip():
        texts |= dict(_pair(flag, each) for each in _NEXT_OPTION.split(inline))
    options: dict[str, object] = {}
    for key, text in texts.items():
        option = by_name.get(key)
        if option is None:  # says that there is none, and which there are
            convert_options(entry.options, {key: text}, text_values=True, where=where)
        else:
            options[key] = _value(option, text, where)
    make = {
        "scheduler": strategies.scheduler,
        "uploader": strategies.uploader,
        "choker": strategies.choker,
    }
    make[axis](name, options)
    return Variant(name, options, texts)


def _pair(flag: str, text: str) -> tuple[str, str]:
    key, value = flagged(flag, lambda given: parse_option(str(given)), text)
    return key, value.strip()


def _value(option: Option, text: str, where: str) -> object:
    """Return a value of the option's type, from TOML if the text is TOML, else from the text."""
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        read = {}
    if read.keys() == {"value"}:  # a line break could smuggle in more
        try:
            return _converted(option, read["value"], where)
        except ConfigError:
            if text.startswith(_TOML_ONLY):
                raise
    elif text.startswith(_TOML_ONLY):
        raise ConfigError(f"{where}: option {option.name!r} is no TOML value: {text!r}")
    return _converted(option, text, where)


def _converted(option: Option, value: object, where: str) -> object:
    options = convert_options((option,), {option.name: value}, text_values=True, where=where)
    return options[option.name]
