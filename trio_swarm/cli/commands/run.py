"""`trio-swarm run`: a whole peer from one TOML file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import trio

from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import OutputOptions, trackers_given
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.event_lines import EventLines
from trio_swarm.cli.output.log_lines import log_from
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.model import PeerConfig, settings_in
from trio_swarm.config.reading import checked_config
from trio_swarm.control.context import ControlContext
from trio_swarm.control.serving import serve_control
from trio_swarm.errors import ConfigError
from trio_swarm.events import ControlListening, Event
from trio_swarm.logs import ROOT, logger_of
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.notify import open_supervisor
from trio_swarm.settings import ControlSettings, default_state_folder

log = logger_of(__name__)

EVENTS = f"{ROOT}.events"
"""What the log calls the logger of lines about events."""

INTERRUPTED = 0
"""Exit code of a peer that was told to stop, once its shares are hashed and offered, and unless
something failed. A fetch waits without end and goes on at the next start: it is no failure."""


async def run(config: Path, /, *, output: OutputOptions | None = None) -> int:
    """Run what a configuration file describes: a tracker, shares and fetches, all at once.

    A share or fetch that fails ends no other. Runs until stopped, or until everything has ended:
    the latter only if it runs no tracker, listens for control by HTTP nowhere, and had something
    to do. `trio-swarm status`, `add` and others control it meanwhile; what they added comes back
    at the next start. The exit code is 1 if anything failed, or was still being hashed. A fetch
    that was not complete goes on at the next start. The file is never written to; SIGHUP has it
    read again, and applies what differs.

    Parameters
    ----------
    config
        The TOML file.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    told = _Told(reporter)
    described = checked_config(config)
    given = trackers_given(())
    is_default = not (described.trackers or described.tracker or given)
    with open_supervisor() as supervisor:
        peer = ConfiguredPeer(
            described,
            config,
            trackers=given,
            on_event=DefaultTracker(is_used=is_default).after(told.event),
            on_hashing=reporter.hashing,
            on_log_level=lambda level: log_from(level, reporter),
            supervisor=supervisor,
            stays=_stays(described),
        )

        hangup = Wakeup()

        async def body() -> int:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reporter.follow, lambda: peer.torrents)
                nursery.start_soon(_reload_at, hangup, peer)
                stop = nursery.cancel_scope.cancel
                context = told.context = _context(peer, described, config, stop)
                for door in await nursery.start(serve_control, context):
                    if door.address is not None:
                        host, port = door.address
                        reporter.event(ControlListening(host=host, port=port))
                await peer.run()
                nursery.cancel_scope.cancel()
            return FAILED if peer.has_failed else 0

        return await run_until_interrupted(
            body,
            reporter,
            interrupted=lambda: FAILED if peer.is_hashing or peer.has_failed else INTERRUPTED,
            reload=hangup.set,
        )


class _Told:
    """Those who are told what happens: whoever started the node, and whoever asks for its log."""

    def __init__(self, reporter: Reporter) -> None:
        self.context: ControlContext | None = None
        self._reporter = reporter
        self._lines = EventLines(is_verbose=False)

    def event(self, event: Event) -> None:
        """Tell of something that happened in the node."""
        self._reporter.event(event)
        log_lines = None if self.context is None else self.context.lines
        if log_lines is not None:
            for level, text in self._lines.of(event):
                log_lines.note(level, EVENTS, text)


def _stays(config: PeerConfig) -> bool:
    """Whether it goes on once everything has ended: somebody may add something.

    A file with something to do, and nothing else, ends with it: scripts wait for that.
    """
    has_tasks = bool(config.share or config.fetch or config.watch)
    return config.control.listen is not None or config.tracker is not None or not has_tasks


async def _reload_at(hangup: Wakeup, peer: ConfiguredPeer) -> NoReturn:
    """Read the file again at each SIGHUP; one that is wrong is a warning, and changes nothing."""
    while True:
        await hangup.wait()
        try:
            await peer.reload()
        except ConfigError as error:
            log.warning("%s; nothing was changed", error)


def _context(
    peer: ConfiguredPeer, config: PeerConfig, file: Path, stop: Callable[[], None]
) -> ControlContext:
    node = config.node
    return ControlContext(
        peer=peer,
        settings=ControlSettings(**settings_in(config.control)),
        config_file=file,
        state_folder=node.state_folder or default_state_folder(),
        started_at=time.time(),
        stop=stop,
    )
