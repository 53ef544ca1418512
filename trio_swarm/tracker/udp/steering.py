"""Which worker of a tracker a datagram goes to: the one that owns its swarm.

The workers' sockets share one address and port (SO_REUSEPORT, socket(7)), and the kernel asks a
classic BPF program which of them gets a datagram. The program sees the datagram from its first byte
on, without the UDP header (measured, IPv4 and IPv6). The sockets are numbered in the order in which
they were bound.
"""

import ctypes
import errno
import socket
import struct
import sys
from typing import Final

SO_ATTACH_REUSEPORT_CBPF: Final = 51
"""Linux; the socket module has no name for it."""

_HASH_AT: Final = 16
"""Where an announce and a scrape have their first info-hash (BEP 15)."""

_TRANSACTION_AT: Final = 12
"""Where each request has its transaction id, which spreads what is not about one swarm."""

_WITH_HASH: Final = _HASH_AT + 20
"""Bytes of the shortest datagram with an info-hash."""

# Instructions of classic BPF (linux/bpf_common.h): load the length; jump if greater or equal; load
# a big-endian word; modulo; return.
_LOAD_LENGTH: Final = 0x80
_JUMP_GE: Final = 0x35
_LOAD_WORD: Final = 0x20
_MODULO: Final = 0x94
_RETURN: Final = 0x16
_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("@HP")


def owner_of(info_hash: bytes, workers: int) -> int:
    """Return the number of the worker that owns a swarm, as the program has it."""
    return int.from_bytes(info_hash[:4], "big") % workers


def steering_program(workers: int) -> bytes:
    """Return the instructions that choose among so many workers."""
    # The jump leaves out three instructions for a short datagram, none for another.
    instructions = (
        (_LOAD_LENGTH, 0, 0, 0),
        (_JUMP_GE, 0, 3, _WITH_HASH),
        (_LOAD_WORD, 0, 0, _HASH_AT),
        (_MODULO, 0, 0, workers),
        (_RETURN, 0, 0, 0),
        (_LOAD_WORD, 0, 0, _TRANSACTION_AT),
        (_MODULO, 0, 0, workers),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*each) for each in instructions)


def steer(unbound: socket.socket, workers: int) -> None:
    """Share the port of a socket that is to be bound first among `workers`; raises OSError."""
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, "this system cannot steer datagrams")
    share_port(unbound)
    instructions = steering_program(workers)
    memory = ctypes.create_string_buffer(instructions, len(instructions))
    count = len(instructions) // _INSTRUCTION.size
    program = _PROGRAM.pack(count, ctypes.addressof(memory))
    unbound.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)


def share_port(unbound: socket.socket) -> None:
    """Let several sockets be bound to one address and port; raises OSError."""
    unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def steering_fault() -> str | None:
    """Return why datagrams cannot be steered here, None if they can."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            steer(tried, 2)
    except OSError as error:
        return error.strerror or str(error)
    return None
