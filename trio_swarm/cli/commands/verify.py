"""Whether data on the disk is as a .torrent file says, for `trio-swarm verify`."""

from collections.abc import Iterator
from pathlib import Path

import trio

from trio_swarm import read_torrent
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.json_events import DataVerified, FileFault
from trio_swarm.cli.output.reporting import JsonReporter, make_reporter
from trio_swarm.cli.output.text import count_text, safe_text, size_text
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage import verification
from trio_swarm.storage.verification import Verification

_PATH_LENGTH = 4096


async def verify_data_of(torrent: Path, place: Path, output: OutputOptions | None) -> int:
    """Verify the data at `place`, tell what is wrong, and return 0 if nothing is."""
    reporter = make_reporter(output or OutputOptions())
    info = read_torrent(torrent).info

    async def body() -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reporter.follow, list)
            on_progress = reporter.hashing(place)
            found = await run_stoppable(
                lambda should_stop: verification.verify_data(info, place, on_progress, should_stop)
            )
            nursery.cancel_scope.cancel()
        if isinstance(reporter, JsonReporter):
            for fault in found.faults:
                reporter.answer(_fault_event(info, fault), "")
        reporter.answer(_event(info, found), "\n".join(_lines(info, found)))
        return 0 if found.is_whole else FAILED

    return await run_until_interrupted(body, reporter, interrupted=lambda: FAILED)


def _path(info: Info, fault: verification.FileFault) -> str:
    return "/".join((info.name, *fault.path))


def _fault_event(info: Info, fault: verification.FileFault) -> FileFault:
    return FileFault(
        info_hash=info.info_hash.hex(),
        share_name=info.name,
        path=_path(info, fault),
        fault=fault.kind,
        length=fault.length,
        size=fault.size,
        pieces=fault.pieces,
        pieces_wrong=fault.wrong,
        reason=fault.reason,
    )


def _fault_line(info: Info, fault: verification.FileFault) -> str:
    what = ", ".join(filter(None, (_size_words(fault), _piece_words(fault))))
    return f"{fault.kind:<10} {safe_text(_path(info, fault))}{f': {what}' if what else ''}"


def _size_words(fault: verification.FileFault) -> str:
    if fault.kind in {"shorter", "longer"} and fault.size is not None:
        return f"{fault.size:,} bytes instead of {fault.length:,}"
    return fault.reason


def _piece_words(fault: verification.FileFault) -> str:
    if not fault.wrong:
        return ""
    if fault.kind == "unproven":
        shared = count_text(fault.wrong, "piece")
        return f"{shared} of {fault.pieces:,} shared with files that are not whole"
    of = "the only piece" if fault.pieces == 1 else f"{fault.wrong:,} of {fault.pieces:,} pieces"
    return f"{of} wrong" if fault.kind != "missing" else count_text(fault.pieces, "piece")


def _event(info: Info, found: Verification) -> DataVerified:
    return DataVerified(
        info_hash=info.info_hash.hex(),
        share_name=info.name,
        path=str(found.root),
        is_whole=found.is_whole,
        size=info.length - info.padding,
        files=found.files,
        files_whole=found.files - len(found.faults),
        pieces=found.pieces,
        pieces_right=found.right,
        pieces_at_odds=found.at_odds,
    )


def _lines(info: Info, found: Verification) -> Iterator[str]:
    for fault in found.faults:
        yield _fault_line(info, fault)
    if found.at_odds:
        yield (
            f"{count_text(found.at_odds, 'piece')} right by the hashes of one version and wrong by "
            "the other's: no data can be right, the torrent is at fault"
        )
    name, where = safe_text(info.name), safe_text(str(found.root)[:_PATH_LENGTH])
    if found.is_whole:
        size = size_text(info.length - info.padding)
        pieces = count_text(found.pieces, "piece")
        yield f"{name}: whole: {count_text(found.files, 'file')}, {size} in {pieces}: {where}"
        return
    yield (
        f"{name}: not whole: {found.files - len(found.faults):,} of "
        f"{count_text(found.files, 'file')} and {found.right:,} of "
        f"{count_text(found.pieces, 'piece')} are right: {where}"
    )
