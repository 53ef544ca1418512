"""The extended messages we understand (BEP 10): by what number, by what name, and who hears them.

A new one is a line here and a module beside this one: its name, its messages as values, their bytes
both ways, what it asks of a connection (a Protocol), and what it does with a message it hears.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from trio_swarm.protocol.extensions.dont_have import (
    LT_DONTHAVE,
    DontHaveListener,
    hear_dont_have,
)
from trio_swarm.protocol.extensions.metadata import UT_METADATA, MetadataListener, hear_metadata

HANDSHAKE_ID: Final = 0
"""The extended message id of the handshake itself (BEP 10)."""


class ExtensionListener(DontHaveListener, MetadataListener, Protocol):
    """What hears extended messages: a connection."""


class Extension(NamedTuple):
    """One kind of extended messages."""

    number: int
    """Under which a peer sends them to us; we send them under the number that it tells."""
    name: str
    hear: Callable[[ExtensionListener, bytes], int]


EXTENSIONS: Final = (
    Extension(1, UT_METADATA, hear_metadata),
    Extension(2, LT_DONTHAVE, hear_dont_have),
)

OUR_MESSAGE_IDS: Final[Mapping[str, int]] = {each.name: each.number for each in EXTENSIONS}
"""What our extension handshake says under "m"."""

_HEARD_BY: Final = {each.number: each.hear for each in EXTENSIONS}


def hear_extended(listener: ExtensionListener, number: int, payload: bytes) -> int:
    """Let whoever it is for act on an extended message of a peer; returns what it is charged.

    That is at least 1, and 1 for each KiB: unknown messages are skipped, but read. Raises
    RemoteProtocolError for what the extension does not allow.
    """
    hear = _HEARD_BY.get(number)
    least = 1 + (len(payload) >> 10)
    return least if hear is None else max(least, hear(listener, payload))
