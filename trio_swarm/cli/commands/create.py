"""`trio-swarm create`: write a .torrent file."""

import os
import time
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter

import trio_swarm
from trio_swarm.cli.commands.show import torrent_magnet
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import (
    Flag,
    OutputOptions,
    Trackers,
    Words,
    flagged,
    state_folder,
    trackers_given,
)
from trio_swarm.cli.output.elsewhere import address_elsewhere, magnet_elsewhere, warning
from trio_swarm.cli.output.new_files import check_place, created_event, write_new_file
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.cli.output.text import count_text, safe_text, size_text
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.values import parse_piece_length
from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.events import StateNotKept
from trio_swarm.foreign_text import shown
from trio_swarm.identities import DEFAULT_VERSION, TorrentVersion
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.protocol.metainfo.info import Info
from trio_swarm.protocol.metainfo.torrent import is_unicode, parse_web_seed_url
from trio_swarm.protocol.trackers.url_secrets import to_give_away
from trio_swarm.share_plans import files_left_out
from trio_swarm.storage.disk_errors import require_there
from trio_swarm.storage.shares import LeftOut

_HAS_KEY = (
    "a tracker's URL holds a key of yours, and so does the .torrent file: do not give it away, or "
    "name the tracker without the key. The magnet link leaves it out"
)


async def create(
    path: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    tracker: Trackers = (),
    name: Annotated[str | None, Parameter(name=("--name", "-n"))] = None,
    web_seed: Words = (),
    comment: str = "",
    date: Flag = False,
    private: Flag = False,
    source: str = "",
    format: TorrentVersion = DEFAULT_VERSION,  # noqa: A002 - the option's name
    piece_length: str | None = None,
    state_dir: Path | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Write a .torrent file for a file or folder, without sharing it.

    Parameters
    ----------
    path
        The file or folder.
    out
        Where to write it; by default NAME.torrent in this folder. Never overwrites a file.
    tracker
        URL of a tracker to name in it; may be given several times. By default
        $TRIO_SWARM_TRACKER, if set.
    name
        The name of the torrent; by default that of the file or folder. With another name the
        info-hash is another.
    web_seed
        URL of a web server that has the files, for clients that can use it (BEP 19); may be given
        several times. Of a folder: the URL of the folder that it lies in, with a slash at the end.
    comment
        A word to whoever reads it.
    date
        Write when it was made. Without it, the same files and options always make the same
        .torrent file.
    private
        Ask clients to find peers through its trackers only (BEP 27).
    source
        A word that makes another torrent of the same files, with another info-hash: some trackers
        ask for one.
    format
        v1, which every client reads; v2, in which each file has a hash of its own (BEP 52); or
        hybrid, which is both.
    piece_length
        Bytes of a piece: a power of two from 16KiB; by default chosen by size.
    state_dir
        Where hashes are kept. By default ~/.local/state/trio-swarm.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    trackers = trackers_given(tracker)
    if private and not trackers:
        reporter.warn("private, and without a tracker nobody can find it: name one by --tracker")
    elif private and not tracker:
        named = ", ".join(map(shown, trackers))
        reporter.say(f"private, to be found by TRIO_SWARM_TRACKER only: {named}")
    length = (
        None
        if piece_length is None
        else flagged("--piece-length", parse_piece_length, piece_length)
    )
    web_seeds = [flagged("--web-seed", parse_web_seed_url, url) for url in web_seed]
    for flag, text in (("--comment", comment), ("--source", source)):
        if not is_unicode(text):
            raise ConfigError(f"{flag}: is not UTF-8 text")
    state = state_folder(state_dir)
    require_there(path)
    check_place(out or _default_file(path, name))

    async def body() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reporter.follow, list)
            on_progress = reporter.hashing(path)
            left_out: list[LeftOut] = []
            problems: list[StorageError] = []
            metainfo = await run_stoppable(
                lambda should_stop: trio_swarm.create_torrent(
                    path,
                    trackers=trackers,
                    web_seeds=web_seeds,
                    comment=comment,
                    created_by=f"trio-swarm {trio_swarm.__version__}",
                    creation_date=int(time.time()) if date else None,
                    name=name,
                    piece_length=length,
                    private=private,
                    source=source,
                    version=format,
                    state_folder=state,
                    on_progress=on_progress,
                    on_left_out=left_out.append,
                    should_stop=should_stop,
                    on_state_problem=problems.append,
                )
            )
            nursery.cancel_scope.cancel()
        for each in left_out:
            reporter.event(files_left_out(path, each))
        for problem in problems[:1]:
            reporter.event(
                StateNotKept(
                    info_hash=metainfo.info.info_hash.hex(),
                    share_name=metainfo.info.name,
                    path=str(problem.path),
                    reason=problem.reason,
                )
            )
        file = out or Path(f"{metainfo.info.name}.torrent")
        content = metainfo.to_bytes()
        await trio.to_thread.run_sync(write_new_file, file, content)
        info = metainfo.info
        size = f"{size_text(info.size)} in {count_text(info.piece_count, 'piece')}"
        magnet = torrent_magnet(metainfo)
        address = address_elsewhere()
        told = warning(trackers, address, has_file=True)
        more = f"\nwarning    {told}" if told is not None else ""
        if not info.private and any(url != to_give_away(url) for url in trackers):
            more += f"\nwarning    {_HAS_KEY}"
        reporter.answer(
            created_event(metainfo, file, magnet),
            f"wrote      {safe_text(str(file))}\n"
            f"name       {safe_text(info.name)}\n"
            f"size       {size} of {size_text(info.piece_length)}\n"
            f"info-hash  {info.info_hash.hex()}\n"
            f"{_version_2_line(info)}"
            f"magnet     {magnet_elsewhere(magnet, address)}{more}",
        )
        return 0

    return await run_until_interrupted(body, reporter, interrupted=lambda: FAILED)


def _version_2_line(info: Info) -> str:
    return "" if info.v2_hash is None else f"version 2  {info.v2_hash.hex()}\n"


def _default_file(path: Path, name: str | None) -> Path:
    """Return the file to write without --out; a link keeps its own name, as when it is shared."""
    return Path(f"{name or Path(os.path.abspath(path)).name}.torrent")  # noqa: PTH100 - follows no link
