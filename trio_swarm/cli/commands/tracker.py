"""`trio-swarm tracker`: the meeting point of seeders and leechers."""

from pathlib import Path

import trio

import trio_swarm
from trio_swarm.cli.options import OutputOptions, Words, flagged, state_folder
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.values import (
    ANYONE,
    parse_engine,
    parse_listen,
    parse_network,
    parse_networks,
)
from trio_swarm.errors import ConfigError
from trio_swarm.tracker.collecting import collect_seldom
from trio_swarm.tracker.settings import TrackerSettings

INTERRUPTED = 0
"""Exit code of a tracker that was told to stop, which is its normal end."""
_DEFAULT = TrackerSettings()


async def tracker(
    *,
    listen: str = f":{_DEFAULT.port}",
    interval: float = _DEFAULT.interval,
    lease: float | None = None,
    http: bool = _DEFAULT.http,
    proxy: Words = (),
    status_from: Words = (),
    allow: Path | None = None,
    deny: Path | None = None,
    names_allow: Path | None = None,
    names_deny: Path | None = None,
    register: Words = (),
    register_tokens: Path | None = None,
    workers: int = _DEFAULT.workers,
    state_dir: Path | None = None,
    shared: str | None = None,
    shared_prefix: str = _DEFAULT.shared_prefix,
    output: OutputOptions | None = None,
) -> int:
    """Run a tracker, where seeders register names and leechers find them.

    It keeps peers and names in memory: after a restart the heartbeats of the peers fill it again,
    or other trackers, if it shares with some. Any BitTorrent client can use it, over UDP or HTTP.

    Parameters
    ----------
    listen
        Where to serve (UDP, TCP): HOST:PORT, :PORT or PORT, on every address unless HOST is given.
    interval
        Seconds between the heartbeats that peers are asked for.
    lease
        Seconds after its last heartbeat that a peer is forgotten; 2.5 intervals if not given. Other
        clients that announce less often than they are asked to have longer.
    http
        Answer over HTTP as well, at the same address and port.
    proxy
        A network (10.0.0.0/8, ::1) of reverse proxies, whose X-Forwarded-For says who asks.
    status_from
        A network whose users may look at /status and /metrics over HTTP, besides this machine.
    allow
        A file of the info-hashes that alone are tracked, one a line. This and the other files are
        read again when they change, and at SIGHUP.
    deny
        A file of info-hashes that are not tracked.
    names_allow
        A file of names, or patterns of them, that alone are registered, one a line.
    names_deny
        A file of names, or patterns such as *.exe, that are not registered.
    register
        A network (192.168.0.0/16) from which names are registered, or "anyone". If not given:
        anyone, or with --register-tokens nobody without a token.
    register_tokens
        A file (mode 600) of tokens, one a line. Who has one registers names from anywhere, by the
        tracker's URL: udp://HOST:PORT/announce?token=TOKEN
    workers
        Processes that answer, on as many cores. Linux only.
    state_dir
        Where its secret is kept, so that clients go on at once after a restart; by default
        ~/.local/state/trio-swarm.
    shared
        A Redis or Valkey server (redis://HOST:PORT) by which trackers share their peers and names.
        Others on this machine see what is typed here: a password belongs into a file.
    shared_prefix
        What the keys there begin with; trackers with the same one share.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    host, port = flagged("--listen", parse_listen, listen)
    proxies = tuple(flagged("--proxy", parse_network, network) for network in proxy)
    lookers = tuple(flagged("--status-from", parse_network, network) for network in status_from)
    settings = TrackerSettings(
        host=host,
        port=port,
        interval=interval,
        lease=lease,
        http=http,
        proxies=proxies,
        status_from=lookers,
        allow=allow,
        deny=deny,
        names_allow=names_allow,
        names_deny=names_deny,
        register=_registrars(register),
        register_tokens=register_tokens,
        workers=workers,
        state_folder=state_folder(state_dir),
        shared_url=None if shared is None else flagged("--shared", parse_engine, shared),
        shared_prefix=shared_prefix,
    )
    running = _Running()
    try:
        settings.check()
    except ConfigError as error:
        text = str(error).replace("the interval (", "--interval (")
        text = text.replace("shared.prefix", "shared-prefix")
        raise ConfigError(f"--{text}") from error  # its key is the flag's name

    collect_seldom()

    async def serve() -> int:
        try:
            await trio_swarm.serve_tracker(settings, on_event=reporter.event, task_status=running)
        except ConfigError as error:
            if error.key is None:
                raise
            flag = error.key.replace("_", "-").removesuffix(".url")
            raise ConfigError(f"--{flag}{str(error).removeprefix(error.key)}") from error

    return await run_until_interrupted(
        serve,
        reporter,
        interrupted=lambda: INTERRUPTED,
        reload=running.reload if settings.is_selective else None,
    )


class _Running(trio.TaskStatus[trio_swarm.TrackerHandle]):
    """The tracker, once it runs."""

    def __init__(self) -> None:
        self._handle: trio_swarm.TrackerHandle | None = None

    def started(self, value: trio_swarm.TrackerHandle) -> None:
        """Take the handle; see trio."""
        self._handle = value

    def reload(self) -> None:
        """Have its lists read again."""
        if self._handle is not None:
            self._handle.reload_lists()


def _registrars(register: Words) -> tuple[str, ...] | None:
    if not register:
        return None
    networks = ANYONE if ANYONE in register else register
    return flagged("--register", parse_networks, networks)
