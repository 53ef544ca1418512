"""Torrents of a node in words: a table of many, the whole of one, and events for programs."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from trio_swarm.cli.control.tables import Column, table_lines
from trio_swarm.cli.output.describe import NAME_LENGTH, PATH_LENGTH, REASON_LENGTH
from trio_swarm.cli.output.json_events import NodeStatus, TorrentRemoved, TorrentStatus
from trio_swarm.cli.output.text import (
    count_text,
    duration_text,
    percent_text,
    rate_text,
    safe_text,
    size_text,
)
from trio_swarm.control.answers import (
    Alternative,
    ChosenStrategy,
    Limits,
    NodeLimits,
    Session,
    Torrent,
)
from trio_swarm.foreign_text import shown

_LONGEST_ETA = 1e8
"""Seconds. Beyond it says no more than nothing."""


def torrent_event(torrent: Torrent) -> TorrentStatus:
    """Return the event of a torrent's state."""
    values = msgspec.to_builtins(torrent)
    return TorrentStatus(share_name=values.pop("name"), **values)


def removed_event(torrent: Torrent, *, data_deleted: bool = False) -> TorrentRemoved:
    """Return the event of a torrent that the node has no more."""
    return TorrentRemoved(
        info_hash=torrent.info_hash, share_name=torrent.name, data_deleted=data_deleted
    )


def node_event(session: Session) -> NodeStatus:
    """Return the event of a node's state."""
    return NodeStatus(**msgspec.to_builtins(session))


def torrent_table(torrents: Sequence[Torrent], width: int | None) -> list[str]:
    """Return the heading and a line for each torrent."""
    return table_lines(_COLUMNS, torrents, width)


def done_text(torrent: Torrent) -> str:
    """Return how much of it is here; nothing while its size is unknown."""
    return percent_text(torrent.have, torrent.size) if torrent.size else ""


def eta_text(torrent: Torrent) -> str:
    """Return how long it takes yet, if that can be told."""
    eta = torrent.eta
    if torrent.state != "downloading" or eta is None or not 0 <= eta < _LONGEST_ETA:
        return ""
    return duration_text(eta)


_COLUMNS: tuple[Column[Torrent], ...] = (
    Column("NAME", lambda each: each.name or each.info_hash or "?", is_left=True),
    Column("STATE", lambda each: safe_text(each.state), is_left=True),
    Column("DONE", done_text, rank=1),
    Column("SIZE", lambda each: size_text(each.size) if each.size else "", rank=6),
    Column("DOWN", lambda each: rate_text(each.download_rate), rank=2),
    Column("UP", lambda each: rate_text(each.upload_rate), rank=3),
    Column("LEFT", eta_text, rank=4),
    Column("PEERS", lambda each: str(each.peers) if each.peers else "", rank=5),
    Column("RATIO", lambda each: f"{each.ratio:.2f}" if each.ratio else "", rank=7),
    Column("INFO-HASH", lambda each: (each.info_hash or "")[:12], is_left=True, rank=8),
)


def failure_lines(torrents: Sequence[Torrent]) -> Iterator[str]:
    """Yield why torrents do not go on, which has no room in the table."""
    for torrent in torrents:
        if torrent.error:
            yield f"{torrent_name(torrent)}: {shown(torrent.error, REASON_LENGTH)}"


def waiting_lines(torrents: Sequence[Torrent]) -> Iterator[str]:
    """Yield what downloads wait for to which nothing comes."""
    for torrent in torrents:
        if torrent.waits_for and not torrent.error:
            yield f"{torrent_name(torrent)}: waits: {shown(torrent.waits_for, REASON_LENGTH)}"


def node_line(session: Session, count: int) -> str:
    """Return what the node does, in one line."""
    states = [f"{number:,} {state}" for state, number in session.torrents.items() if number]
    parts = [", ".join(map(safe_text, states)) or count_text(count, "torrent")]
    parts.append(f"{rate_text(session.download_rate) or '0 B/s'} down")
    parts.append(f"{rate_text(session.upload_rate) or '0 B/s'} up")
    limits = node_limits_text(session)
    if limits:
        alternative = "alternative limits" if session.alternative_limits else "limits"
        parts.append(f"{alternative}: {limits}")
    return " · ".join(parts)


def node_limits_text(session: Session) -> str:
    """Return the limits of a node that hold now; empty if there is none."""
    limits, other = session.limits, session.alternative
    rates: NodeLimits | Alternative = limits
    if session.alternative_limits and other is not None:
        rates = other
    named = {
        "down": None if rates.download_rate is None else rate_text(rates.download_rate),
        "up": None if rates.upload_rate is None else rate_text(rates.upload_rate),
    }
    counts = {
        "active download": limits.max_active_downloads,
        "active seed": limits.max_active_seeds,
    }
    words = [f"{value} {name}" for name, value in named.items() if value is not None]
    words += [count_text(value, name) for name, value in counts.items() if value is not None]
    return ", ".join(words)


def limits_text(limits: Limits) -> str:
    """Return the limits of one torrent that are its own; empty if there is none."""
    named = {
        "down": None if limits.download_rate is None else rate_text(limits.download_rate),
        "up": None if limits.upload_rate is None else rate_text(limits.upload_rate),
    }
    parts = [f"{value} {name}" for name, value in named.items() if value is not None]
    if limits.upload_slots is not None:
        parts.append(count_text(limits.upload_slots, "upload slot"))
    if limits.seed_ratio is not None:
        parts.append(f"until ratio {limits.seed_ratio:g}")
    if limits.seed_for is not None:
        parts.append(f"for {duration_text(limits.seed_for)} of seeding")
    return ", ".join(parts)


def strategy_text(strategy: ChosenStrategy) -> str:
    """Return a scheduler and its options in one line."""
    options = ", ".join(f"{key}={value}" for key, value in strategy.options.items())
    return shown(f"{strategy.name} ({options})" if options else strategy.name, NAME_LENGTH)


def short_line(torrent: Torrent) -> str:
    """Return where a torrent is, in one line."""
    words = [_state(torrent), _rates(torrent)]
    if torrent.error:
        words.append(shown(torrent.error, REASON_LENGTH))
    return f"{torrent_name(torrent)}: {', '.join(filter(None, words))}"


def whole_lines(torrent: Torrent) -> Iterator[str]:
    """Yield all that there is to tell of one torrent."""
    yield f"name       {shown(torrent.name, NAME_LENGTH)}"
    yield f"info-hash  {safe_text(torrent.info_hash or 'not known yet')}"
    yield f"state      {_state(torrent)}"
    if reason := torrent.error or torrent.waits_for:
        yield f"{'reason' if torrent.error else 'waits':<10} {shown(reason, REASON_LENGTH)}"
    if rates := _rates(torrent):
        yield f"now        {rates}"
    seeders = f" ({count_text(torrent.seeders, 'seeder')})" if torrent.seeders else ""
    yield f"peers      {torrent.peers:,}{seeders}"
    yield (
        f"so far     {size_text(torrent.downloaded_ever)} received, "
        f"{size_text(torrent.uploaded_ever)} sent, ratio {torrent.ratio:.2f}"
    )
    if torrent.pieces:
        have = f"{torrent.pieces_have:,} of {count_text(torrent.pieces, 'piece')}"
        yield f"pieces     {have} of {size_text(torrent.piece_length)}"
    where = torrent.path or torrent.folder
    if where:
        yield f"{'path' if torrent.path else 'folder':<10} {shown(where, PATH_LENGTH)}"
    if torrent.scheduler is not None and torrent.scheduler.name:
        yield f"scheduler  {strategy_text(torrent.scheduler)}"
    limits = limits_text(torrent.limits)
    if limits:
        yield f"limits     {limits}"
    if torrent.labels:
        yield f"labels     {shown(', '.join(torrent.labels), NAME_LENGTH)}"
    if torrent.private:
        yield "private    yes: peers only from its trackers"
    origin = "the configuration file names it" if torrent.origin == "file" else ""
    added = _moment(torrent.added_at)
    if added or origin:
        yield f"added      {', '.join(filter(None, (added, origin)))}"
    if completed := _moment(torrent.completed_at):
        yield f"completed  {completed}"
    if torrent.comment:
        yield f"comment    {shown(' '.join(torrent.comment.split()), REASON_LENGTH)}"
    if torrent.magnet:
        yield f"magnet     {safe_text(torrent.magnet)}"


def torrent_name(torrent: Torrent) -> str:
    """Return what a torrent is called in a line."""
    return shown(torrent.name or torrent.info_hash or f"torrent {torrent.id}", NAME_LENGTH)


def _state(torrent: Torrent) -> str:
    words = [safe_text(torrent.state)]
    if torrent.size:
        words.append(f"{done_text(torrent)} of {size_text(torrent.size)}")
    if eta := eta_text(torrent):
        words.append(f"{eta} left")
    return ", ".join(words)


def _rates(torrent: Torrent) -> str:
    rates = {"down": rate_text(torrent.download_rate), "up": rate_text(torrent.upload_rate)}
    return ", ".join(f"{rate} {way}" for way, rate in rates.items() if rate)


def _moment(seconds: float | None) -> str:
    if not seconds:
        return ""
    try:
        return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006 - for people
    except (ValueError, OverflowError, OSError):
        return ""
