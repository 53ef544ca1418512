"""`trio-swarm get`: fetch something and share it."""

import glob
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
from cyclopts import Parameter
from msgspec.structs import replace

import trio_swarm
from trio_swarm import events
from trio_swarm.cli.early_questions import service_with_questions
from trio_swarm.cli.failures import FAILED
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
from trio_swarm.cli.output.text import count_text, percent_text, safe_text, size_text
from trio_swarm.cli.prompts import ask_line, can_ask, choose_match
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.values import parse_glob, parse_hash_or_prefix, parse_peer
from trio_swarm.errors import (
    ConfigError,
    DiskFullError,
    NameAmbiguousError,
    StalledError,
)
from trio_swarm.named_paths import is_there
from trio_swarm.service.trackers import trackers_for
from trio_swarm.settings import FetchSettings, NodeSettings
from trio_swarm.wanted import WantedName, WantedTorrent, parse_wanted

if TYPE_CHECKING:
    from trio_swarm.protocol.metainfo.selection import Selection
    from trio_swarm.protocol.metainfo.torrent import Metainfo
    from trio_swarm.service.fetches import Fetch

_NODE = NodeSettings()
_FETCH = FetchSettings(what="")


async def get(
    what: str | None = None,
    /,
    *,
    folder: Annotated[Path, Parameter(name=("--dir", "-d", "-o"))] = Path(),
    tracker: Trackers = (),
    peer: Words = (),
    scheduler: Annotated[str, Parameter(name=("--scheduler", "-s"))] = _NODE.scheduler,
    option: Words = (),
    info_hash: str | None = None,
    only: Words = (),
    skip: Words = (),
    list_files: Annotated[bool, Parameter(name="--list", negative="", show_default=False)] = False,
    wait: Flag = False,
    timeout: float | None = None,  # noqa: ASYNC109  a flag: nothing is cancelled by it
    seed: bool = _FETCH.seed,
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
    only
        GLOB of the files that are wanted, compared with paths inside the torrent; may be given
        several times. Without `/` it matches a file or folder of that name at any depth, else a
        path from the top (`**` stands for any folders); a folder selects all that is below it.
        Nothing else is fetched, but for pieces that wanted files share with others.
    skip
        GLOB of files that are not wanted; may be given several times.
    list_files
        Print paths and sizes of the files, and end: nothing else is fetched.
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
    peers = [flagged("--peer", parse_peer, each) for each in peer]
    given = trackers_given(tracker)
    trackers = trackers_for(what, given, has_peers=bool(peers))
    default = DefaultTracker(is_used=bool(trackers) and not given)
    settings = node_settings(
        node,
        trackers=trackers,
        on_event=default.after(_without_failures(reporter, is_json=output.json)),
        scheduler=scheduler,
        options=option,
    )
    wanted = FetchSettings(
        what=what,
        folder=expanded(folder) or Path(),
        trackers=trackers,
        peers=tuple(peers),
        info_hash=flagged("--info-hash", parse_hash_or_prefix, info_hash) if info_hash else None,
        only=tuple(flagged("--only", parse_glob, each) for each in only),
        skip=tuple(flagged("--skip", parse_glob, each) for each in skip),
        metadata_only=list_files,
        wait=wait,
        timeout=timeout,
        record=_new_file(expanded(record)),
        seed_for=seed_for,
        seed_ratio=seed_ratio,
    )
    is_complete = False
    fetch: Fetch | None = None

    async def choose(error: NameAmbiguousError) -> bytes:
        return await _choose(what, trackers, error)

    async def body() -> int:
        nonlocal is_complete, fetch
        async with _open_service(settings, what) as service, trio.open_nursery() as nursery:
            fetch = service.fetch(wanted, choose=choose if can_ask(output) else None)
            torrent = await default.asked(fetch.wait_known())
            if list_files:
                nursery.start_soon(_complete, fetch)  # raises what keeps the metadata away
                _print_files(await torrent.wait_metadata(), torrent.selection, reporter)
                nursery.cancel_scope.cancel()
                return 0
            # Only now: a question may have been asked on the terminal.
            nursery.start_soon(reporter.follow, lambda: service.torrents)
            await _complete(fetch)
            is_complete = True
            if seed:  # otherwise the end of the service is the end of its torrent
                reporter.say("seeding until stopped (Ctrl-C)")
                await fetch.wait_over()
                if fetch.error is not None:
                    raise fetch.error
            nursery.cancel_scope.cancel()
        return 0

    def interrupted() -> int:
        if is_complete:
            return 0
        reporter.say(_kept(fetch.torrent if fetch is not None else None, wanted.folder))
        return FAILED

    return await run_until_interrupted(body, reporter, interrupted=interrupted)


def _open_service(
    settings: NodeSettings, what: str
) -> "AbstractAsyncContextManager[trio_swarm.Service]":
    """Open a service; its trackers are asked meanwhile which torrent is meant."""
    match parse_wanted(what):
        case WantedName(name):
            return service_with_questions(settings, name=name)
        case WantedTorrent():  # it may be private, and no business of theirs
            return service_with_questions(settings, greets=False)
        case _:
            return service_with_questions(settings)


def _without_failures(reporter: Reporter, *, is_json: bool) -> Callable[[events.Event], None]:
    """Return a function that tells every event but a failure, which is told as the command ends.

    Programs get the failure of a torrent as an event as well.
    """

    def on_event(event: events.Event) -> None:
        if not isinstance(event, events.TorrentFailed) or (is_json and event.info_hash):
            reporter.event(event)

    return on_event


def _check_seeding(*, seed: bool, seed_for: float | None, seed_ratio: float | None) -> None:
    if not seed and (seed_for is not None or seed_ratio is not None):
        raise ConfigError("--no-seed cannot go with --seed-for or --seed-ratio")
    positive("--seed-for", seed_for)
    positive("--seed-ratio", seed_ratio)


def _new_file(record: Path | None) -> Path | None:
    if record is not None and is_there(record):
        raise ConfigError(f"--record: {record} is there already; name another file, or remove it")
    return record


async def _ask_what(output: OutputOptions) -> str:
    """Ask a person at the terminal what to fetch; ConfigError without a person or an answer."""
    if can_ask(output):
        question = "What to fetch: a name, a .torrent file, a magnet link or an info-hash? "
        what = ((await ask_line(question)) or "").strip().strip("'\"")
        if what:
            return what
    raise ConfigError("say what to fetch: trio-swarm get WHAT (`trio-swarm ls` lists the names)")


def _print_files(metainfo: "Metainfo", selection: "Selection", reporter: Reporter) -> None:
    """Print the files that are wanted of a torrent, with their sizes."""
    # Only here: a download describes nothing, and begins sooner without it.
    from trio_swarm.cli.commands.show import describe_torrent  # noqa: PLC0415
    from trio_swarm.protocol.metainfo.selection import unwanted_files  # noqa: PLC0415

    info = metainfo.info
    unwanted = unwanted_files(info, selection)
    files = [
        ("/".join(entry.path) or info.name, entry.length)
        for number, entry in enumerate(info.files)
        if not entry.padding and number not in unwanted
    ]
    size = sum(length for _, length in files)
    lines = [f"{size_text(length):>12}  {safe_text(path)}" for path, length in files]
    lines.append(f"{size_text(size):>12}  {count_text(len(files), 'file')}")
    described = describe_torrent(metainfo)
    above = "" if info.is_single_file else f"{info.name}/"
    told: list[dict[str, object]] = [
        {"path": f"{above}{path}", "size": length} for path, length in files
    ]
    reporter.answer(replace(described, files=told, size=size), "\n".join(lines))


def _kept(torrent: "trio_swarm.Torrent | None", folder: Path) -> str:
    """Return the line for a person who stopped a download: how much is kept, and how to go on."""
    again = f"the same command goes on: {shlex.join(['trio-swarm', *sys.argv[1:]])}"
    progress = torrent.progress() if torrent is not None else None
    if torrent is None or progress is None or not progress.have or progress.state == "checking":
        return f"stopped before anything was fetched; {again}"
    done = f"{percent_text(progress.have, progress.size)} of {size_text(progress.size)}"
    return f"stopped: {done} is verified and kept below {folder.absolute()}; {again}"


async def _choose(what: str, trackers: Sequence[str], error: NameAmbiguousError) -> bytes:
    """Ask the person at the terminal which torrent is meant; raises `error` if none is."""
    found = await trio_swarm.search_names(trackers, glob.escape(what))
    matches = [match for match in found if match.info_hash in error.info_hashes]
    matches.sort(key=lambda match: error.info_hashes.index(match.info_hash))
    choice = await choose_match(what, matches) if matches else None
    if choice is None:
        raise error
    return choice.info_hash


async def _complete(fetch: "Fetch") -> None:
    """Wait until all is here; the errors that the same command gets over say so in their notes."""
    try:
        await fetch.wait_complete()
    except DiskFullError as error:
        error.add_note("what was fetched is kept: make room, and give the same command again")
        raise
    except StalledError as error:
        error.add_note(
            "the same command goes on where this one was (with --wait it waits for peers, with "
            "--timeout SECONDS so long)"
        )
        raise
