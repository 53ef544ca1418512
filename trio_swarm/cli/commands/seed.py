"""`trio-swarm seed`: offer files and folders."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
from cyclopts import Parameter

import trio_swarm
from trio_swarm import events
from trio_swarm.cli.early_questions import service_with_questions
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.node_options import NodeOptions, node_settings
from trio_swarm.cli.options import (
    OutputOptions,
    Trackers,
    trackers_given,
)
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.elsewhere import (
    address_elsewhere,
    is_here_only,
    magnet_elsewhere,
    url_elsewhere,
    warning,
)
from trio_swarm.cli.output.json_lines import Created, ReachedHereOnly
from trio_swarm.cli.output.new_files import check_place, created_event, write_new_file
from trio_swarm.cli.output.reporting import JsonReporter, Reporter, make_reporter
from trio_swarm.cli.output.text import count_text, safe_text, size_text
from trio_swarm.cli.prompts import ask_paths, can_ask
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.errors import ConfigError
from trio_swarm.identities import DEFAULT_VERSION, TorrentVersion
from trio_swarm.protocol.trackers.url_secrets import to_give_away
from trio_swarm.protocol.trackers.urls import supports_names
from trio_swarm.settings import DEFAULT_TRACKER, ShareSettings
from trio_swarm.storage.disk_errors import require_there
from trio_swarm.wanted import WantedName, parse_wanted

if TYPE_CHECKING:
    from trio_swarm.service.shares import Share

INTERRUPTED = 0
"""Being told to stop is the normal end of a seeder, once everything is hashed and offered."""


async def seed(
    *paths: Path,
    name: Annotated[str | None, Parameter(name=("--name", "-n"))] = None,
    tracker: Trackers = (),
    format: TorrentVersion = DEFAULT_VERSION,  # noqa: A002 - the option's name
    torrent_out: Annotated[Path | None, Parameter(name=("--torrent-out", "-o"))] = None,
    node: NodeOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Share files and folders until stopped.

    Each PATH is hashed once (what has not changed is never hashed again) and registered with every
    tracker under its name. Without a PATH, on a terminal, it asks what to share.

    Parameters
    ----------
    paths
        Files and folders to share, each by itself.
    name
        The name to be found by; the name of the file or folder if not given. It is a part of the
        torrent: under another name the info-hash is another. With one PATH only.
    tracker
        URL of a tracker (udp, http, https); may be given several times. By default
        $TRIO_SWARM_TRACKER, or udp://127.0.0.1:6969.
    format
        v1, which every client reads; v2, in which each file has a hash of its own (BEP 52); or
        hybrid, which is both. With another one the info-hash is another.
    torrent_out
        Also write the .torrent file here. With one PATH only.
    node
        How the node works.
    output
        How it talks.

    """
    node = node or NodeOptions()
    output = output or OutputOptions()
    reporter = make_reporter(output)
    if len(paths) != 1 and paths and (name or torrent_out):
        raise ConfigError("--name and --torrent-out need exactly one PATH")
    if not paths and not can_ask(output):
        raise ConfigError("say what to share: trio-swarm seed PATH...")

    address = address_elsewhere()

    def on_event(event: events.Event) -> None:
        if isinstance(event, events.TorrentFailed) and not event.info_hash:
            return  # it was not offered yet: that ends the command, and is told at the end
        if isinstance(event, events.Sharing) and not isinstance(reporter, JsonReporter):
            _tell_share(reporter, event, settings.trackers, address)
        else:
            reporter.event(event)

    given = trackers_given(tracker)
    trackers = given or (DEFAULT_TRACKER,)
    default = DefaultTracker(is_used=not given)
    settings = node_settings(node, trackers=trackers, on_event=default.after(on_event))
    shares: list[Share] = []
    is_shared = False

    async def body() -> int:
        nonlocal is_shared
        chosen = list(paths) or await ask_paths()
        if not chosen:
            raise ConfigError("nothing to share was named")
        if len(chosen) > 1 and (name or torrent_out):
            raise ConfigError("--name and --torrent-out need exactly one PATH")
        _check_places(chosen, torrent_out)
        async with service_with_questions(settings) as service, trio.open_nursery() as nursery:
            nursery.start_soon(reporter.follow, lambda: service.torrents)
            for path in chosen:
                one = ShareSettings(path=path, name=name, version=format)
                shares.append(service.share(one, on_progress=reporter.hashing(path)))
                torrent = await shares[-1].wait_complete()
                if torrent_out is not None:
                    _write_torrent(torrent, torrent_out, reporter)
            is_shared = True
            _warn_of_loopback(reporter, trackers, address, has_file=torrent_out is not None)
            if name and name.rpartition("/")[2] != chosen[0].name:
                own = chosen[0].name
                reporter.say(f"note       under its own name, {own}, it has another info-hash")
            reporter.say("seeding until stopped (Ctrl-C)")
            await service.wait_idle()
            nursery.cancel_scope.cancel()
        return FAILED  # a share only ends by itself when its files cannot be read

    def interrupted() -> int:
        has_failed = any(share.state == "failed" for share in shares)
        return INTERRUPTED if is_shared and not has_failed else FAILED

    return await run_until_interrupted(body, reporter, interrupted=interrupted)


def _check_places(paths: Sequence[Path], torrent_out: Path | None) -> None:
    """Raise StorageError for a path that would fail only after hours of hashing."""
    for path in paths:
        require_there(path)
    if torrent_out is not None:
        check_place(torrent_out, may_replace=True)


def _write_torrent(torrent: "trio_swarm.Torrent", file: Path, reporter: Reporter) -> None:
    metainfo = torrent.metainfo
    assert metainfo is not None  # known from the start for what we share
    write_new_file(file, metainfo.to_bytes(), may_replace=True)
    event: Created = created_event(metainfo, file, torrent.magnet())
    if isinstance(reporter, JsonReporter):
        reporter.event(event)
    else:
        reporter.say(f"wrote {file}")


def _tell_share(
    reporter: Reporter, event: events.Sharing, trackers: Sequence[str], address: str | None
) -> None:
    """Print the lines a person needs to fetch the share on another machine."""
    has_names = any(map(supports_names, trackers))
    what = (_typeable(event.share_name) if has_names else None) or event.info_hash
    urls = [to_give_away(url_elsewhere(url, address) or "udp://HOST:6969") for url in trackers]
    flags = " ".join(f"--tracker {shlex.quote(url)}" for url in urls)
    size = f"{size_text(event.size)} in {count_text(event.pieces, 'piece')}"
    reporter.say(f"sharing    {event.share_name}")
    reporter.say(f"size       {size}")
    reporter.say(f"info-hash  {event.info_hash}")
    reporter.say(f"magnet     {magnet_elsewhere(event.magnet, address)}")
    reporter.say(f"elsewhere  trio-swarm get {what} {flags}")


def _warn_of_loopback(
    reporter: Reporter, trackers: Sequence[str], address: str | None, *, has_file: bool
) -> None:
    """Tell of trackers that only this machine reaches, if there are any."""
    told = warning(trackers, address, has_file=has_file)
    if told is not None and isinstance(reporter, JsonReporter):
        here = [url for url in trackers if is_here_only(url)]
        reporter.event(ReachedHereOnly(trackers=here, message=told))
    elif told is not None:
        reporter.say(f"warning    {told}")


def _typeable(name: str) -> str | None:
    """Return `name` as typed in a shell; None if it would be taken for something else."""
    is_name = isinstance(parse_wanted(name), WantedName) and not name.startswith("-")
    return shlex.quote(name) if is_name and safe_text(name) == name else None
