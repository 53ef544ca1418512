"""From a file or folder to the plan of a torrent that shares it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trio_swarm import events
from trio_swarm.errors import StorageError
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.torrent_plan import TorrentPlan
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import no_progress
from trio_swarm.storage.shares import LeftOut, hash_share


async def plan_share(
    context: NodeContext,
    root: Path,
    *,
    state_folder: Path,
    name: str | None,
    trackers: Sequence[str],
    piece_length: int | None,
    on_progress: Callable[[int, int], None] | None,
) -> TorrentPlan:
    """Hash what is at `root`, unless that is known, and return the plan; says what is left out.

    Raises StorageError (path missing, unreadable, changing).
    """
    left_out: list[LeftOut] = []
    state_problems: list[StorageError] = []
    info = await run_stoppable(
        lambda should_stop: hash_share(
            root,
            name=name.rsplit("/", 1)[-1] if name else None,
            piece_length=piece_length,
            state_folder=state_folder,
            on_progress=on_progress or no_progress,
            on_left_out=left_out.append,
            should_stop=should_stop,
            on_state_problem=state_problems.append,
        )
    )
    for each in left_out:
        context.emit(files_left_out(root, each))
    if state_problems:
        context.tell_state_problem(state_problems[0], info.info_hash, info.name)
    tiers = tuple((url,) for url in trackers)
    return TorrentPlan(
        info_hash=info.info_hash,
        name=name or info.name,
        size=info.length,
        metainfo=Metainfo(info=info, announce_tiers=tiers),
        open_files=lambda known: TorrentFiles.for_share(known, root, state_folder),
        tiers=tiers,
        is_share=True,
    )


def files_left_out(path: Path, left_out: LeftOut) -> events.FilesLeftOut:
    """Return the event that tells what of a folder is not shared."""
    return events.FilesLeftOut(
        path=str(path), links=left_out.links, special=left_out.special, padding=left_out.padding
    )
