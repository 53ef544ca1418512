"""The sockets at which a node is controlled: a Unix socket in its state folder, and TCP."""

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.protocol.addresses import Address, format_address, is_loopback

SOCKET_NAME = "control.sock"
"""Of the Unix socket, in the state folder."""

BACKLOG = 128
"""Connections that the kernel holds while the node is busy: more than are let in at one door. A
Unix socket refuses others at once, and clients that do not know it take them for connected."""

_LONGEST_PATH = 100
"""Bytes of a path that every system takes for a Unix socket; Linux takes 107."""


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket."""

    listener: trio.SocketListener
    name: str
    """Its path, or HOST:PORT."""
    address: Address | None
    """Of a TCP socket; to a Unix socket the kernel lets only the user who runs the node."""

    @property
    def is_local(self) -> bool:
        """Whether only the user who runs the node gets in."""
        return self.address is None


@contextmanager
def local_door(state_folder: Path) -> Iterator[Door]:
    """Listen at the Unix socket of a state folder, mode 0600; it is removed at the end. Blocking.

    A socket that a killed node left is replaced. Raises ConfigError if another node listens there,
    StorageError if there can be no socket.
    """
    path = state_folder / SOCKET_NAME
    try:
        state_folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(state_folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            sock = _bound(folder, path)
            made = os.stat(SOCKET_NAME, dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"there can be no control socket: {reason}", path=path) from error
    try:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        yield Door(listener, str(path), address=None)
    finally:
        sock.close()
        with suppress(OSError):
            found = path.lstat()
            if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
                path.unlink()


def _bound(folder: int, path: Path) -> socket.socket:
    # Two nodes that start at once must not both find nobody there.
    with suppress(OSError):  # some network file systems cannot lock folders
        fcntl.flock(folder, fcntl.LOCK_EX)
    address = address_of_local(path, folder)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(SOCKET_NAME, dir_fd=folder, follow_symlinks=False).st_mode):
            raise FileExistsError(None, "another file has its name")
        if (holder := _holder(address)) is not None:
            raise ConfigError(
                f"{path} is the control socket of another node ({holder}); "
                "give this one another state_folder, below [node]"
            )
        os.unlink(SOCKET_NAME, dir_fd=folder)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(0)
        # Nobody can connect before `listen`, and Linux makes the file with the mode of the socket.
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(address)
        os.chmod(SOCKET_NAME, 0o600, dir_fd=folder)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def address_of_local(path: Path, folder: int) -> str:
    """Return an address for a socket in an open folder; paths of sockets must be short."""
    whole = os.path.abspath(path)  # noqa: PTH100 - a link in it stays one
    if len(os.fsencode(whole)) <= _LONGEST_PATH:
        return whole
    return f"/proc/self/fd/{folder}/{path.name}"


def _holder(address: str) -> str | None:
    """Return who listens at a Unix socket; None if nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(address)
        except BlockingIOError:  # so many wait there that there is no room for one more
            return "which is busy"
        except ConnectionRefusedError:
            return None
        found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return f"process {struct.unpack('3i', found)[0]}"


async def open_tcp_doors(address: Address, *, is_guarded: bool) -> list[Door]:
    """Listen at a TCP address; where its host has several addresses, at each.

    Raises ConfigError if it cannot be used, or is more than this machine and not `is_guarded` by a
    token or password.
    """
    host, port = address
    try:
        listeners = await trio.open_tcp_listeners(port, host=host or None, backlog=BACKLOG)
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot listen at {format_address(address)}: {reason}") from None
    doors = []
    for listener in listeners:
        found = _name_of(listener)
        if not is_guarded and not is_loopback(found[0]):
            for each in listeners:
                each.socket.close()
            raise ConfigError(needs_token(address))
        doors.append(Door(listener, format_address(found), found))
    return doors


def _name_of(listener: trio.SocketListener) -> Address:
    host, port = listener.socket.getsockname()[:2]
    return str(host), int(port)


def needs_token(address: Address) -> str:
    """Return the line about an address that others can reach without a token."""
    return (
        f"{format_address(address)} can be reached from other machines: "
        "add token_file or password_file, or listen at 127.0.0.1"
    )
