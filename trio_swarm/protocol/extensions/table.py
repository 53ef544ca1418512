"""The table of extended messages that we understand (BEP 10): number, name and handler of each.

A new extension is a line here and a module in this package. The module has its name, its messages
as values, their encoding and decoding, the methods it needs of a connection (a Protocol), and the
handling of a message.
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
    """A connection that handles extended messages."""


class Extension(NamedTuple):
    """One kind of extended message."""

    number: int
    """The number under which a peer sends it to us; we send it under the peer's number."""
    name: str
    hear: Callable[[ExtensionListener, bytes], int]


EXTENSIONS: Final = (
    Extension(1, UT_METADATA, hear_metadata),
    Extension(2, LT_DONTHAVE, hear_dont_have),
)

OUR_MESSAGE_IDS: Final[Mapping[str, int]] = {each.name: each.number for each in EXTENSIONS}
"""The value of "m" in our extension handshake."""

_HEARD_BY: Final = {each.number: each.hear for each in EXTENSIONS}


def hear_extended(listener: ExtensionListener, number: int, payload: bytes) -> int:
    """Handle an extended message of a peer; return how many useless messages it counts as.

    At least 1, and 1 for each KiB: unknown messages are skipped, but must be read. Raises
    RemoteProtocolError for a message that its extension does not allow.
    """
    hear = _HEARD_BY.get(number)
    least = 1 + (len(payload) >> 10)
    return least if hear is None else max(least, hear(listener, payload))
