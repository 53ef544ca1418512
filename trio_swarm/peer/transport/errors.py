"""What may end one peer, in either direction, during its handshake or after: the one list of it."""

import os
from typing import Final

import trio

from trio_swarm.errors import BencodeError, RemoteProtocolError
from trio_swarm.foreign_text import shown


class PeerClosedError(Exception):
    """The connection ended for a reason that is nobody's fault; `str` says which."""


PEER_ERRORS: Final = (
    RemoteProtocolError,
    BencodeError,
    PeerClosedError,
    OSError,
    trio.BrokenResourceError,
    trio.TooSlowError,
)
"""What may end one peer; anything else is a bug, or the torrent's own failure."""

LEAVING: Final = (PeerClosedError, OSError, trio.BrokenResourceError)
"""Those of them that a peer may leave by without a fault: some close with our bytes unread, and
then we hear of a reset."""


def first_leaf(group: BaseException) -> BaseException:
    """Return the first exception inside nested groups."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def describe(error: BaseException) -> str:
    """Return one line for people about what ended a peer."""
    if isinstance(error, trio.TooSlowError):
        return "no answer"
    if isinstance(error, OSError):
        # Trio's own text names the address again. Errors of name servers have numbers of their own.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror
        return shown(reason or str(error))
    return shown(str(error)) or "the connection broke"
