"""Limits as they are typed: rates, counts, and the word that takes a limit off."""

from collections.abc import Callable

from trio_swarm.cli.options import flagged
from trio_swarm.config.values import parse_rate
from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import quoted

NONE = "none"
"""Takes a limit off: then that of the node holds, if it has one."""


def rate(flag: str, text: str) -> int | None:
    """Return bytes/s from `10MiB`, `20Mbit`; None for `none`, `unlimited` and 0."""
    return None if text.strip().lower() == NONE else flagged(flag, parse_rate, text)


def count(flag: str, text: str) -> int | None:
    """Return a whole number above zero; None for `none`."""
    value = _number(flag, text, int, "a whole number above 0")
    return None if value is None else int(value)


def amount(flag: str, text: str) -> float | None:
    """Return a number above zero; None for `none`."""
    return _number(flag, text, float, "a number above 0")


def _number(flag: str, text: str, kind: Callable[[str], float], expected: str) -> float | None:
    if text.strip().lower() == NONE:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not 0 < value < 2**53:  # NaN neither; beyond, JSON's numbers are not exact
        raise ConfigError(f"{flag}: expected {expected}, or {NONE}, got {quoted(text)}")
    return value
