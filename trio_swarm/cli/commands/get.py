"""`trio-swarm get`: fetch something and share it."""

import glob
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter

import trio_swarm
from trio_swarm import events
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.fetching import (
    Patience,
    complete_or_stalled,
    complete_when_room,
    fetch_when_known,
    make_folder,
    seed_until,
    trackers_for,
)
from trio_swarm.cli.node_options import NodeOptions, node_settings
from trio_swarm.cli.options import (
    Flag,
    OutputOptions,
    Trackers,
    Words,
    expanded,
    flagged,
    positive,
    trackers_given,
)
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.text import percent_text, size_text
from trio_swarm.cli.prompts import ask_line, can_ask, choose_match
from trio_swarm.cli.resolving import chosen_hash, whole_hash
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.values import parse_hash_or_prefix, parse_peer
from trio_swarm.errors import (
    ConfigError,
    DiskFullError,
    NameAmbiguousError,
    NameUnknownError,
    StalledError,
)
from trio_swarm.named_paths import is_there


async def get(
    what: str | None = None,
    /,
    *,
    folder: Annotated[Path, Parameter(name=("--dir", "-d", "-o"))] = Path(),
    tracker: Trackers = (),
    peer: Words = (),
    scheduler: Annotated[str, Parameter(name=("--scheduler", "-s"))] = "rarest-first",
    option: Words = (),
    info_hash: str | None = None,
    wait: Flag = False,
    timeout: float | None = None,  # noqa: ASYNC109  a flag: nothing is cancelled by it
    seed: bool = True,
    seed_for: float | None = None,
    seed_ratio: float | None = None,
    record: Path | None = None,
    node: NodeOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Fetch a name, a .torrent file, a magnet link or an info-hash; then go on sharing it.

    What the folder holds already is verified and used. The data is called NAME.part until its last
    byte is verified. After a stop or a crash, the same command goes on where it was. Exit code 0
    once everything was fetched, even if seeding is interrupted; 1 if it was not.

    Parameters
    ----------
    what
        A name on a tracker, a .torrent file, a magnet link, or an info-hash: 40 hex digits, or the
        first of them. Without it, on a terminal, it asks.
    folder
        The folder to put it in; made if it does not exist.
    tracker
        URL of a tracker, asked besides those that WHAT names; may be given several times. By
        default $TRIO_SWARM_TRACKER; udp://127.0.0.1:6969 if nothing else is known.
    peer
        HOST:PORT of a peer to connect to at once; may be given several times.
    scheduler
        The strategy that decides what to fetch from whom, see `trio-swarm schedulers`.
    option
        KEY=VALUE for the strategy; may be given several times.
    info_hash
        Which torrent is meant, where a name stands for several; its first digits will do.
    wait
        Wait until somebody shares the name, for peers and for room on a full disk, instead of
        failing. Otherwise it ends when nothing came for 30 s and no peer is left, or for 120 s from
        those that are connected.
    timeout
        End when nothing came for so many seconds, with --wait as well.
    seed
        Go on as a seeder when everything is there, or end.
    seed_for
        End after so many seconds of seeding.
    seed_ratio
        End when so many times the size was given to others.
    record
        A new file to write to what happens and why, for `trio-swarm explain` and `replay`. If a
        full disk makes it begin anew (--wait), that is in FILE.2.
    node
        How the node works.
    output
        How it talks.

    """
    node = node or NodeOptions()
    output = output or OutputOptions()
    reporter = make_reporter(output)
    if what is None:
        what = await _ask_what(output)
    _check_seeding(seed=seed, seed_for=seed_for, seed_ratio=seed_ratio)
    positive("--timeout", timeout)
    patience = Patience.of(timeout, waits=wait)
    chosen = flagged("--info-hash", parse_hash_or_prefix, info_hash) if info_hash else None
    peers = [flagged("--peer", parse_peer, each) for each in peer]
    given = trackers_given(tracker)
    trackers = trackers_for(what, given, has_peers=bool(peers))
    default = DefaultTracker(is_used=bool(trackers) and not given)
    settings = node_settings(
        node,
        trackers=trackers,
        on_event=default.after(reporter.event if output.json else _without_failures(reporter)),
        scheduler=scheduler,
        options=option,
    )
    folder = expanded(folder) or Path()
    record = _new_file(expanded(record))
    is_complete = False
    torrent: trio_swarm.Torrent | None = None

    async def body() -> int:
        nonlocal is_complete, torrent
        make_folder(folder)
        async with trio_swarm.open_node(settings) as running, trio.open_nursery() as nursery:

            async def fetch(wanted: str, info_hash: bytes | None) -> trio_swarm.Torrent:
                return await running.fetch(
                    wanted, folder=folder, peers=peers, info_hash=info_hash, record=_unused(record)
                )

            async def start() -> trio_swarm.Torrent:
                try:
                    return await fetch(what, await chosen_hash(chosen, what, trackers))
                except NameUnknownError as error:
                    return await fetch(await whole_hash(what, error, trackers), None)
                except NameAmbiguousError as error:
                    if not can_ask(output):
                        raise
                    meant = await _choose(what, trackers, error)
                return await fetch(what, meant)

            if wait:
                known = fetch_when_known(start, what, on_event=reporter.event)
            else:
                known = default.asked(start())
            torrent = await _within(timeout, known, what)
            # Only now: a question may have been asked on the terminal.
            nursery.start_soon(reporter.follow, lambda: running.torrents)
            if wait:
                torrent = await complete_when_room(
                    torrent, start, folder, on_event=reporter.event, patience=patience
                )
            else:
                await _complete(torrent, patience)
            is_complete = True
            if seed:
                reporter.say("seeding until stopped (Ctrl-C)")
                await seed_until(torrent, seconds=seed_for, ratio=seed_ratio)
            nursery.cancel_scope.cancel()
        return 0

    def interrupted() -> int:
        if is_complete:
            return 0
        reporter.say(_kept(torrent, folder))
        return FAILED

    return await run_until_interrupted(body, reporter, interrupted=interrupted)


def _without_failures(reporter: Reporter) -> Callable[[events.Event], None]:
    """Return what tells people everything but what ends the command, which is told at the end."""

    def on_event(event: events.Event) -> None:
        if not isinstance(event, events.TorrentFailed):
            reporter.event(event)

    return on_event


def _check_seeding(*, seed: bool, seed_for: float | None, seed_ratio: float | None) -> None:
    if not seed and (seed_for is not None or seed_ratio is not None):
        raise ConfigError("--no-seed cannot go with --seed-for or --seed-ratio")
    positive("--seed-for", seed_for)
    positive("--seed-ratio", seed_ratio)


async def _within(
    seconds: float | None, known: Awaitable[trio_swarm.Torrent], what: str
) -> trio_swarm.Torrent:
    """Return what is to be fetched, once it is known; StalledError after `seconds`, if given."""
    if seconds is None:
        return await known
    with trio.move_on_after(seconds):
        return await known
    raise StalledError(f"{what}: nobody told within {seconds:g} s what that is")


def _new_file(record: Path | None) -> Path | None:
    if record is not None and is_there(record):
        raise ConfigError(f"--record: {record} is there already; name another file, or remove it")
    return record


async def _ask_what(output: OutputOptions) -> str:
    """Return what a person at the terminal wants; ConfigError if there is none, or nothing."""
    if can_ask(output):
        question = "What to fetch: a name, a .torrent file, a magnet link or an info-hash? "
        what = ((await ask_line(question)) or "").strip().strip("'\"")
        if what:
            return what
    raise ConfigError("say what to fetch: trio-swarm get WHAT (`trio-swarm ls` lists the names)")


def _kept(torrent: trio_swarm.Torrent | None, folder: Path) -> str:
    """Return what a person who stopped a download should know."""
    again = f"the same command goes on: {shlex.join(['trio-swarm', *sys.argv[1:]])}"
    progress = torrent.progress() if torrent is not None else None
    if torrent is None or progress is None or not progress.have or progress.state == "checking":
        return f"stopped before anything was fetched; {again}"
    done = f"{percent_text(progress.have, progress.size)} of {size_text(progress.size)}"
    return f"stopped: {done} is verified and kept below {folder.absolute()}; {again}"


def _unused(record: Path | None) -> Path | None:
    """Return where to record to: after a wait for room the download is another, and begins anew."""
    number = 1
    path = record
    while path is not None and record is not None and is_there(path):
        number += 1
        path = record.with_name(f"{record.name}.{number}")
    return path


async def _choose(what: str, trackers: Sequence[str], error: NameAmbiguousError) -> bytes:
    """Ask the person at the terminal which torrent is meant; raises `error` if none is."""
    found = await trio_swarm.search_names(trackers, glob.escape(what))
    matches = [match for match in found if match.info_hash in error.info_hashes]
    matches.sort(key=lambda match: error.info_hashes.index(match.info_hash))
    choice = await choose_match(what, matches) if matches else None
    if choice is None:
        raise error
    return choice.info_hash


async def _complete(torrent: trio_swarm.Torrent, patience: Patience) -> None:
    try:
        await complete_or_stalled(torrent, patience)
    except DiskFullError as error:
        error.add_note("what was fetched is kept: make room, and give the same command again")
        raise
