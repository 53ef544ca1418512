"""What a person reads about each event: one line, or nothing."""

from trio_swarm import events
from trio_swarm.cli.text import count_text, duration_text, percent_text, rate_text, size_text

_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def describe(event: events.Event) -> str:  # noqa: PLR0911 - one sentence per event
    """Return the line for `event`; empty for those that say nothing new to a person.

    The text may hold strangers' words as they came: whoever prints it makes it safe.
    """
    match event:
        case events.Listening():
            where = "" if event.host in _EVERYWHERE else f" at {event.host}"
            return f"accepting peers{where}, port {event.port}"
        case events.TrackerListening():
            return (
                f"tracker at {_address(event.host, event.port)} (UDP): heartbeat every "
                f"{event.interval:g} s, lease {event.lease:g} s"
            )
        case events.Sharing():
            size = f"{size_text(event.size)}, {count_text(event.pieces, 'piece')}"
            return f"{event.share_name}: sharing {event.path} ({size})"
        case events.Resolved():
            who = f"{count_text(event.seeders, 'seeder')}, {count_text(event.leechers, 'leecher')}"
            known = f"{event.info_hash}, {size_text(event.size)}, {who}"
            return f"{event.share_name}: found at {event.tracker} ({known})"
        case events.Waiting():
            return f"{event.share_name or event.info_hash}: waiting: {event.reason}"
        case events.MetadataReceived():
            what = f"{size_text(event.size)} in {count_text(event.files, 'file')}"
            return f"{event.share_name}: {what}, {count_text(event.pieces, 'piece')}"
        case events.Checked():
            if not event.have or event.have == event.size:  # for all of it, see Completed
                return ""
            return (
                f"{event.share_name}: {percent_text(event.have, event.size)} was here already "
                f"({size_text(event.have)}, of which {size_text(event.hashed)} had to be hashed)"
            )
        case events.Completed():
            if not event.downloaded:
                return f"{event.share_name}: complete: {event.path}"
            speed = rate_text(event.downloaded / max(event.seconds, 1e-3))
            return (
                f"{event.share_name}: complete in {duration_text(event.seconds)} ({speed}, from "
                f"{count_text(len(event.sources), 'peer')}): {event.path}"
            )
        case _:
            return _describe_detail(event)


def _describe_detail(event: events.Event) -> str:  # noqa: PLR0911 - one sentence per event
    match event:
        case events.PeerConnected():
            way = "connected to" if event.outgoing else "connection from"
            return f"{way} {event.address} ({event.client or 'unknown client'})"
        case events.PeerLost():
            return f"lost {event.address}: {event.reason}"
        case events.PeerBanned():
            return f"banned {event.address} ({event.client}): {event.reason}"
        case events.PieceFailed():
            who = ", ".join(event.peers) or "nobody"
            return f"piece {event.piece} did not match its hash and is fetched again (from {who})"
        case events.PieceVerified():
            return f"piece {event.piece} verified"
        case events.StrategyFault():
            then = f"; replaced by {event.replaced_by}" if event.replaced_by else ""
            return f"strategy {event.plugin}: {event.reason} (fault {event.faults}){then}"
        case events.FilesChanged():
            return _describe_change(event)
        case events.StateNotKept():
            return (
                f"{event.path}: {event.reason}: what was verified is not remembered; another "
                "folder can be named with --state-dir"
            )
        case events.RecordingStopped():
            return f"{event.path}: cannot be written, and the recording ends: {event.reason}"
        case events.TorrentFailed():
            return f"{event.share_name or event.info_hash}: failed: {event.reason}"
        case _:
            return _describe_tracker(event)


def _describe_tracker(event: events.Event) -> str:  # noqa: PLR0911 - one sentence per event
    match event:
        case events.Announced():
            who = f"{count_text(event.seeders, 'seeder')}, {count_text(event.leechers, 'leecher')}"
            return f"announced to {event.tracker}: {who}; next in {event.interval:g} s"
        case events.TrackerFailed():
            if event.retry_in is None:
                return event.reason
            return f"{event.reason}; trying again in {duration_text(event.retry_in)}"
        case events.TrackerSilent():
            carrier = "UDP" if event.tracker.startswith("udp:") else "TCP"
            return (
                f"{event.tracker}: no answer for {event.seconds:g} s; does it run at this port, "
                f"and does every firewall on the way let {carrier} through?"
            )
        case events.TrackerWarning():
            return f"{event.tracker} warns: {event.text}"
        case events.PrivateTorrent():
            left_out = ", ".join(event.left_out)
            return f"{event.share_name}: private, so {left_out} is not told of it"
        case events.PrivacyOverruled():
            trackers = ", ".join(event.trackers)
            return f"{event.share_name}: private, and {trackers} is told of it all the same"
        case _:
            return event.name.replace("_", " ")


def _describe_change(event: events.FilesChanged) -> str:
    more = f" and {event.count - 1} more" if event.count > 1 else ""
    what = f"{event.files[0]}{more} changed on the disk" + (
        f" ({event.reason})" if event.reason else ""
    )
    if not event.lost:
        then = "verified again, all of it right"
    elif event.fetched_again:
        then = f"verified again, {count_text(event.lost, 'piece')} to be fetched again"
    else:
        left = f"{event.have} of {count_text(event.pieces, 'piece')}"
        then = f"verified again, {left} still shared"
    return f"{event.share_name}: {what}: {then}"


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host or "*"
    return f"{shown}:{port}"
