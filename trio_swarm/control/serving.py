"""Waiting at the doors, and letting a bounded number of people in.

Everything that speaks HTTP is imported when the first of them knocks, in a thread.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trio_swarm.control.access import Credentials, read_password, read_token
from trio_swarm.control.context import ControlContext
from trio_swarm.control.listening import Door, local_door, open_tcp_doors
from trio_swarm.control.logged_lines import lines_kept
from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.logs import logger_of
from trio_swarm.named_paths import read_whole
from trio_swarm.settings import ControlSettings
from trio_swarm.storage.descriptors import TOO_MANY, free_descriptors

if TYPE_CHECKING:
    from trio_swarm.control.connections import Visitors

log = logger_of(__name__)

MAX_SECRET_FILE = 4096
"""Bytes of a file with a token."""

RETRY_ACCEPT = 0.5
"""Seconds until the next try when the process has no descriptor left."""


def read_credentials(settings: ControlSettings) -> Credentials:
    """Return the tokens and the password from their files. Blocking.

    Raises ConfigError for a file that cannot be read, or that others can read.
    """
    token, reader, password = (
        read(_secret_of(path, key), what=str(path)) if path is not None else ""
        for path, key, read in (
            (settings.token_file, "token_file", read_token),
            (settings.read_token_file, "read_token_file", read_token),
            (settings.password_file, "password_file", read_password),
        )
    )
    return Credentials(token=token, read_token=reader, password=password)


def _secret_of(path: Path, key: str) -> str:
    try:
        content = read_whole(path, MAX_SECRET_FILE)
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"control.{key}: {path}: {error.strerror or error}") from error
    if mode & 0o077:
        raise ConfigError(f"control.{key}: others can read {path}: chmod 600 {path}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"control.{key}: {path} is not text") from error


async def serve_control(
    context: ControlContext,
    *,
    task_status: trio.TaskStatus[list[Door]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the doors of a node until cancelled; started once they are open.

    Without a Unix socket (another node has it, or the state folder cannot be written to) a warning
    says so. Raises ConfigError for a TCP address or a token file that cannot be used.
    """
    settings = context.settings
    credentials = await trio.to_thread.run_sync(read_credentials, settings)
    with ExitStack() as stack:
        doors = []
        try:
            doors.append(stack.enter_context(local_door(context.state_folder)))
        except (ConfigError, StorageError) as error:
            log.warning("no commands reach this node by its state folder: %s", error)
        if settings.listen is not None:
            is_guarded = not credentials.is_empty
            tcp = await open_tcp_doors(settings.listen, is_guarded=is_guarded)
            for door in tcp:
                stack.callback(door.listener.socket.close)
            doors += tcp
        for door in doors:
            log.debug("controlled at %s", door.name)
        context.lines = stack.enter_context(lines_kept())
        house = _House(context, credentials)
        async with trio.open_nursery() as nursery:
            context.nursery = nursery
            for door in doors:
                nursery.start_soon(house.watch, door, name=f"control at {door.name}")
            task_status.started(doors)


class _House:
    """Lets people in at all doors; who shows them around is imported for the first of them."""

    def __init__(self, context: ControlContext, credentials: Credentials) -> None:
        self._context = context
        self._credentials = credentials
        self._visitors: Visitors | None = None
        self._lock = trio.Lock()

    async def watch(self, door: Door) -> None:
        """Let everybody in who comes to a door, until cancelled."""
        async with trio.open_nursery() as nursery:
            visitors: Visitors | None = None
            try:
                while True:
                    stream = await _accept(door)
                    visitors = visitors or await self._open()
                    visitors.welcome(stream, door, nursery)
            finally:
                # Hypercorn shields what it sends: only a closed socket ends that.
                if visitors is not None:
                    visitors.part(door)

    async def _open(self) -> "Visitors":
        async with self._lock:
            if self._visitors is None:
                visitors = await trio.to_thread.run_sync(_load, self._context, self._credentials)
                self._visitors = visitors
            return self._visitors


def _load(context: ControlContext, credentials: Credentials) -> "Visitors":
    from trio_swarm.control.app import make_app  # noqa: PLC0415 - most nodes are asked nothing
    from trio_swarm.control.connections import Visitors  # noqa: PLC0415 - the same

    return Visitors(make_app(context, credentials))


async def _accept(door: Door) -> trio.SocketStream:
    """Return the next connection; a process without descriptors gives up files, or waits."""
    is_told = False
    while True:
        try:
            return await door.listener.accept()
        except OSError as error:
            if error.errno in TOO_MANY and free_descriptors():
                continue
            if not is_told:
                log.warning("%s: nobody can be let in: %s", door.name, error.strerror)
            is_told = True
            await trio.sleep(RETRY_ACCEPT)
