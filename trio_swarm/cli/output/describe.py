"""The line that a person reads about each event."""

from typing import Protocol

from trio_swarm import events
from trio_swarm.cli.output.text import count_text, duration_text, percent_text, rate_text, size_text
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.trackers.urls import what_to_check

_MAX_SHOWN = 80
"""Characters of a file's name in a line."""

_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound

NAME_LENGTH = 255
"""Characters of a name in a line: as many as Linux allows in the name of a file."""
REASON_LENGTH = 600
"""Characters of a reason, which may quote a stranger."""
PATH_LENGTH = 4096
"""Characters of a path: Linux takes no longer ones (PATH_MAX)."""


class _OfTorrent(Protocol):
    """An event of one torrent."""

    @property
    def share_name(self) -> str: ...
    @property
    def info_hash(self) -> str: ...


def _name(event: _OfTorrent) -> str:
    return shown(event.share_name or event.info_hash, NAME_LENGTH)


def _reason(reason: str) -> str:
    return shown(reason, REASON_LENGTH)


def describe(event: events.Event) -> str:  # noqa: PLR0911 - one sentence per event
    """Return the line for `event`; empty if the event is no news to a person.

    Strangers' words in it are escaped and bounded.
    """
    match event:
        case events.Listening():
            where = "" if event.host in _EVERYWHERE else f" at {shown(event.host)}"
            return f"accepting peers{where}, port {event.port}"
        case events.TrackerListening():
            where = _address(shown(event.host), event.port)
            return (
                f"tracker at {where} ({'UDP, HTTP' if event.http else 'UDP'}): heartbeat every "
                f"{event.interval:g} s, lease {event.lease:g} s"
            )
        case events.ControlListening():
            return _describe_door(event)
        case events.Sharing():
            size = f"{size_text(event.size)}, {count_text(event.pieces, 'piece')}"
            return f"{_name(event)}: sharing {shown(event.path, PATH_LENGTH)} ({size})"
        case events.Resolved():
            who = f"{count_text(event.seeders, 'seeder')}, {count_text(event.leechers, 'leecher')}"
            size = size_text(event.size) if event.size else "size unknown"
            known = f"{shown(event.info_hash)}, {size}, {who}"
            return f"{_name(event)}: found at {shown(event.tracker)} ({known})"
        case events.Waiting():
            return f"{_name(event)}: waiting: {_reason(event.reason)}"
        case events.MetadataReceived():
            what = f"{size_text(event.size)} in {count_text(event.files, 'file')}"
            return f"{_name(event)}: {what}, {count_text(event.pieces, 'piece')}"
        case events.Checked():
            if not event.have or event.have == event.size:  # for all of it, see Completed
                return ""
            return (
                f"{_name(event)}: {percent_text(event.have, event.size)} was here already "
                f"({size_text(event.have)}, {size_text(event.hashed)} had to be hashed)"
            )
        case events.Completed():
            if not event.downloaded:
                return f"{_name(event)}: complete: {shown(event.path, PATH_LENGTH)}"
            speed = rate_text(event.downloaded / max(event.seconds, 1e-3))
            return (
                f"{_name(event)}: complete in {duration_text(event.seconds)} ({speed}, from "
                f"{count_text(len(event.sources), 'peer')}): {shown(event.path, PATH_LENGTH)}"
            )
        case _:
            return _describe_files(event) or _describe_detail(event)


def _describe_detail(event: events.Event) -> str:  # noqa: PLR0911 - one sentence per event
    match event:
        case events.PeerConnected():
            way = "connected to" if event.outgoing else "connection from"
            return f"{way} {shown(event.address)} ({shown(event.client) or 'unknown client'})"
        case events.PeerLost():
            return f"lost {shown(event.address)}: {_reason(event.reason)}"
        case events.PeerBanned():
            return f"banned {shown(event.address)} ({shown(event.client)}): {_reason(event.reason)}"
        case events.PieceFailed():
            who = shown(", ".join(event.peers), REASON_LENGTH) or "nobody"
            return f"piece {event.piece} did not match its hash and is fetched again (from {who})"
        case events.PieceVerified():
            return f"piece {event.piece} verified"
        case events.StrategyFault():
            then = f"; replaced by {shown(event.replaced_by)}" if event.replaced_by else ""
            what = f"{_reason(event.reason)} (fault {event.faults})"
            return f"strategy {shown(event.plugin)}: {what}{then}"
        case _:
            return _describe_end(event)


def _describe_end(event: events.Event) -> str:
    match event:
        case events.FilesChanged():
            return _describe_files_changed(event)
        case events.StateNotKept():
            where = shown(event.path, PATH_LENGTH)
            return (
                f"{where}: {_reason(event.reason)}: what was verified is not remembered; another "
                "folder can be named with --state-dir"
            )
        case events.RecordingStopped():
            path = shown(event.path, PATH_LENGTH)
            return f"{path}: cannot be written, and the recording ends: {_reason(event.reason)}"
        case events.TorrentFailed():
            return f"{_name(event)}: failed: {_reason(event.reason)}"
        case _:
            return _describe_tracker(event)


def _describe_tracker(event: events.Event) -> str:  # noqa: PLR0911 - one sentence per event
    match event:
        case events.Announced():
            who = f"{count_text(event.seeders, 'seeder')}, {count_text(event.leechers, 'leecher')}"
            return f"announced to {shown(event.tracker)}: {who}; next in {event.interval:g} s"
        case events.TrackerFailed():
            if event.retry_in is None:
                return _reason(event.reason)
            return f"{_reason(event.reason)}; trying again in {duration_text(event.retry_in)}"
        case events.TrackerSilent():
            advice = what_to_check(event.tracker.partition(":")[0])
            return f"{shown(event.tracker)}: no answer for {event.seconds:g} s; {advice}"
        case events.NameRefused():
            return (
                f"{_name(event)}: cannot be found by its name at {shown(event.tracker)}: "
                f"{_reason(event.reason)}; by its info-hash or magnet link it can"
            )
        case events.TrackerWarning():
            return f"{shown(event.tracker)} warns: {_reason(event.text)}"
        case events.PrivateTorrent():
            left_out = _reason(", ".join(event.left_out))
            return f"{_name(event)}: private, so {left_out} is not told of it"
        case events.PrivacyOverruled():
            trackers = _reason(", ".join(event.trackers))
            return f"{_name(event)}: private, and {trackers} is told of it all the same"
        case _:
            return _describe_served(event)


def _describe_served(event: events.Event) -> str:
    match event:
        case events.TrackerChange():
            return _describe_change(event)
        case events.TrackerSummary():
            return _describe_summary(event)
        case events.TrackerShared():
            others = f"{count_text(event.trackers, 'other tracker')} ({shown(event.engine)})"
            theirs = f"{event.complete:.0%} of their {count_text(event.peers, 'peer')}"
            return f"sharing with {others}, {theirs} listed"
        case events.TrackerSharedAlone():
            where = shown(event.engine)
            return f"not sharing with other trackers now ({where}): {_reason(event.reason)}"
        case _:
            return _describe_entry(event)


def _describe_entry(event: events.Event) -> str:
    match event:
        case events.EntryAdded():
            return f"{_name(event)}: number {event.id} of the list, {shown(event.state)}"
        case events.EntryChanged():
            why = f": {_reason(event.error)}" if event.error else ""
            return f"{_name(event)}: {shown(event.state)} now{why}"
        case events.EntryCompleted():
            return f"{_name(event)}: in its place: {shown(event.path, PATH_LENGTH)}"
        case events.EntryRemoved():
            return f"{_name(event)}: taken out of the list"
        case events.EventsLost():
            return f"{count_text(event.count, 'event')} lost: who listened was too slow"
        case _:
            return event.name.replace("_", " ")


def _describe_door(event: events.ControlListening) -> str:
    if event.host in _EVERYWHERE:
        return f"page and remote control by HTTP at each address, port {event.port}"
    return f"page and remote control at http://{_address(shown(event.host), event.port)}/"


def _describe_change(event: events.TrackerChange) -> str:
    name = f" {shown(event.share_name, NAME_LENGTH)!r}" if event.share_name else ""
    why = f": {_reason(event.reason)}" if event.reason else ""
    who = f"{shown(event.address)} {shown(event.info_hash)}"
    return f"{shown(event.change.replace('_', ' '))}{name} {who}{why}"


def _describe_summary(event: events.TrackerSummary) -> str:
    counts = {
        "registered": event.registered,
        "renewed": event.renewed,
        "completed": event.completed,
        "stopped": event.stopped,
        "expired": event.expired,
        "refused": event.refused,
        "names taken": event.names_taken,
        "names refused": event.names_refused,
        "names dropped": event.names_dropped,
        "not told": event.untold,
    }
    happened = ", ".join(f"{word} {count:,}" for word, count in counts.items() if count)
    holds = (
        f"{count_text(event.peers, 'peer')} in {count_text(event.swarms, 'torrent')}, "
        f"{count_text(event.names, 'name')}"
    )
    return f"{count_text(event.announces, 'announce')}: {happened or 'nothing new'}; {holds} now"


def _describe_files(event: events.Event) -> str:
    match event:
        case events.FilesLeftOut():
            return _describe_left_out(event)
        case events.FilesRenamed():
            return _describe_renamed(event)
        case _:
            return ""


def _describe_left_out(event: events.FilesLeftOut) -> str:
    from trio_swarm.storage.shares import LeftOut  # noqa: PLC0415 - `ls` needs no storage

    left_out = LeftOut(event.links, event.special, event.padding)
    return f"{shown(event.path, PATH_LENGTH)}: left out: {left_out}"


def _describe_renamed(event: events.FilesRenamed) -> str:
    first = event.renamed[0]
    more = f" (and {count_text(event.count - 1, 'more name')})" if event.count > 1 else ""
    here = f"{_shortened(first['name'])} is called {_shortened(first['here'])} on this disk"
    # What `seed` would make of the data has these names, so another info-hash.
    return f"{_name(event)}: {here}{more}; share it by `get`: `seed` makes another torrent of it"


def _shortened(name: str) -> str:
    """Return `name` in quotes, its middle left out if it is long."""
    short = name if len(name) <= _MAX_SHOWN else f"{name[:40]}...{name[-20:]}"
    return f"'{shown(short)}'"


def _describe_files_changed(event: events.FilesChanged) -> str:
    more = f" and {event.count - 1} more" if event.count > 1 else ""
    what = f"{shown(event.files[0], NAME_LENGTH)}{more} changed on the disk" + (
        f" ({_reason(event.reason)})" if event.reason else ""
    )
    if not event.lost:
        then = "verified again, all of it right"
    elif event.fetched_again:
        then = f"verified again, {count_text(event.lost, 'piece')} to be fetched again"
    else:
        left = f"{event.have} of {count_text(event.pieces, 'piece')}"
        then = f"verified again, {left} still shared"
    return f"{_name(event)}: {what}: {then}"


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host or "*"
    return f"{shown}:{port}"
