"""`trio-swarm run`: a whole peer from one TOML file."""

import time
from collections.abc import Callable
from pathlib import Path

import trio

from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import OutputOptions, trackers_given
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.model import PeerConfig, settings_in
from trio_swarm.config.reading import (
    check_strategies,
    read_config,
    require_own_words,
    require_task,
)
from trio_swarm.control.context import ControlContext
from trio_swarm.control.serving import serve_control
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.settings import ControlSettings, default_state_folder

INTERRUPTED = 0
"""Exit code of a peer that was told to stop, once its shares are hashed and offered, and unless
something failed. A fetch waits without end and goes on at the next start: it is no failure."""


async def run(config: Path, /, *, output: OutputOptions | None = None) -> int:
    """Run what a configuration file describes: a tracker, shares and fetches, all at once.

    A share or fetch that fails ends no other. Runs until stopped, or until everything has ended;
    the exit code is 1 if anything failed, or was still being hashed. A fetch that was not complete
    goes on at the next start. The file is never written to.

    Parameters
    ----------
    config
        The TOML file.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    described = read_config(config)
    check_strategies(described, file=config)
    require_task(described, file=config)
    require_own_words(described, file=config)
    given = trackers_given(())
    is_default = not (described.trackers or described.tracker or given)
    peer = ConfiguredPeer(
        described,
        config,
        trackers=given,
        on_event=DefaultTracker(is_used=is_default).after(reporter.event),
        on_hashing=reporter.hashing,
    )

    async def body() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reporter.follow, lambda: peer.torrents)
            await nursery.start(
                serve_control, _context(peer, described, config, nursery.cancel_scope.cancel)
            )
            await peer.run()
            nursery.cancel_scope.cancel()
        return FAILED if peer.has_failed else 0

    return await run_until_interrupted(
        body,
        reporter,
        interrupted=lambda: FAILED if peer.is_hashing or peer.has_failed else INTERRUPTED,
    )


def _context(
    peer: ConfiguredPeer, config: PeerConfig, file: Path, stop: Callable[[], None]
) -> ControlContext:
    node = config.node
    return ControlContext(
        peer=peer,
        settings=ControlSettings(**settings_in(config.control)),
        config_file=file,
        state_folder=node.state_folder or default_state_folder(),
        download_folder=node.download_folder,
        started_at=time.time(),
        stop=stop,
    )
