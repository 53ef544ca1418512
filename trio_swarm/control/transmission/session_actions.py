"""The methods about the node as a whole."""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from trio_swarm.control.transmission.calling import Arguments, CallError, Code, Dialect
from trio_swarm.control.transmission.facts import SessionFacts, TorrentFacts
from trio_swarm.control.transmission.naming import camel
from trio_swarm.control.transmission.remembered_limits import COUNT, RATE, RATIO, Key, Unit
from trio_swarm.control.transmission.rpc_session import (
    NODE_LIMITS,
    MethodCall,
    Result,
    RpcSession,
)
from trio_swarm.control.transmission.session_fields import named_values, session_values
from trio_swarm.control.transmission.target import SessionChanges
from trio_swarm.control.transmission.torrent_actions import required
from trio_swarm.control.transmission.torrent_fields import STOPPED, status_of, whole
from trio_swarm.errors import TrioSwarmError
from trio_swarm.loop_turn import LoopTurn

_SETTABLE: Final = frozenset(
    (
        *("alt_speed_down", "alt_speed_enabled", "alt_speed_up"),
        *("download_dir", "download_queue_enabled", "download_queue_size"),
        *("incomplete_dir", "incomplete_dir_enabled"),
        *("seed_queue_enabled", "seed_queue_size", "seed_ratio_limit", "seed_ratio_limited"),
        *("speed_limit_down", "speed_limit_down_enabled"),
        *("speed_limit_up", "speed_limit_up_enabled"),
    )
)
"""Fields that can be changed while a node runs."""

_TOLD_ONLY: Final = frozenset(
    (
        *("blocklist_size", "config_dir", "download_dir_free_space", "rpc_version"),
        *("rpc_version_minimum", "rpc_version_semver", "session_id", "tcp_enabled", "units"),
        "version",
    )
)
"""Fields that `session-set` does not have: a client that sends them back means nothing by it."""


async def session_get(call: MethodCall) -> Result:
    """Tell the node's settings."""
    names = call.arguments.listed("fields")
    facts = call.session.target.session()
    free, _size = await _space(call, facts.download_folder)
    return named_values(session_values(call.session, facts, call.dialect, free), names)


async def session_set(call: MethodCall) -> Result:
    """Change the node's settings, all or none."""
    arguments, session = call.arguments, call.session
    facts = session.target.session()
    _refuse_what_is_fixed(arguments, session, facts, call.dialect)
    named = arguments.text("download_dir")
    folder = await session.target.allowed_folder(named) if named else None
    numbers: dict[Key, float] = {}
    incomplete = await _incomplete_folder(arguments, session, facts)
    changes = replace(
        _changes(arguments, session, facts, folder, numbers), incomplete_folder=incomplete
    )
    if changes != SessionChanges():
        await session.target.change_session(changes)
    session.limits.remember(numbers)
    named = arguments.text("incomplete_dir")
    if named:
        session.keep_incomplete_folder(named)
    return {}


async def session_stats(call: MethodCall) -> Result:
    """Tell rates, totals and numbers of torrents."""
    torrents = await call.session.look()
    sums = await _sums(torrents)
    now = {
        "uploaded_bytes": sums.uploaded,
        "downloaded_bytes": sums.downloaded,
        "files_added": len(torrents),
        "session_count": 1,
        "seconds_active": whole(call.session.target.session().seconds_active),
    }
    ever = {
        **now,
        "uploaded_bytes": sums.uploaded_ever,
        "downloaded_bytes": sums.downloaded_ever,
    }
    return {
        "active_torrent_count": len(torrents) - sums.stopped,
        "paused_torrent_count": sums.stopped,
        "torrent_count": len(torrents),
        "download_speed": whole(sums.download_rate),
        "upload_speed": whole(sums.upload_rate),
        "cumulative_stats": _inner(ever, call.dialect),
        "current_stats": _inner(now, call.dialect),
    }


class _Sums(Struct):
    """What torrents come to together."""

    stopped: int = 0
    uploaded: int = 0
    downloaded: int = 0
    uploaded_ever: int = 0
    downloaded_ever: int = 0
    download_rate: float = 0.0
    upload_rate: float = 0.0


async def _sums(torrents: Sequence[TorrentFacts]) -> _Sums:
    """Return them; others have their turns meanwhile."""
    sums = _Sums()
    turn = LoopTurn()
    for each in torrents:
        await turn.step()
        sums.stopped += status_of(each) == STOPPED
        sums.uploaded += each.uploaded_now
        sums.downloaded += each.downloaded_now
        sums.uploaded_ever += each.uploaded_ever
        sums.downloaded_ever += each.downloaded_ever
        sums.download_rate += each.download_rate
        sums.upload_rate += each.upload_rate
    return sums


async def session_close(call: MethodCall) -> Result:
    """End the node, once the client has its answer."""
    call.session.is_closing = True
    return {}


async def free_space(call: MethodCall) -> Result:
    """Tell how much room there is in a folder."""
    path = required(call.arguments, "path")
    unknown = {"path": path, "size_bytes": -1, "total_size": -1}
    try:
        folder = await call.session.target.known_folder(path)
        free, size = await call.session.target.free_space(folder)
    except TrioSwarmError as error:
        raise CallError(str(error), Code.SYSTEM_ERROR, unknown) from error
    return {"path": path, "size_bytes": free, "total_size": size}


async def port_test(call: MethodCall) -> Result:
    """Tell whether peers come in from outside: only such a peer shows it, no service is asked."""
    wanted = call.arguments.text("ip_protocol")
    if wanted not in {None, "ipv4", "ipv6"}:
        raise CallError("ip_protocol must be ipv4 or ipv6")
    for protocol in await _protocols_from_outside(await call.session.look()):
        if wanted in {None, protocol}:
            return {"port_is_open": True, "ip_protocol": protocol}
    raise CallError(
        "not known: no peer from outside is connected to the port now, and no service is asked",
        Code.HTTP_ERROR,
    )


async def blocklist_update(_call: MethodCall) -> Result:
    """Say that there is no blocklist."""
    raise CallError("there is no blocklist here", Code.SYSTEM_ERROR)


async def group_get(_call: MethodCall) -> Result:
    """Tell all bandwidth groups: there are none."""
    return {"group": []}


async def group_set(_call: MethodCall) -> Result:
    """Say that there are no bandwidth groups."""
    raise CallError("there are no bandwidth groups here; give torrents limits", Code.SYSTEM_ERROR)


async def _space(call: MethodCall, folder: str) -> tuple[int, int]:
    try:
        return await call.session.target.free_space(Path(folder))
    except TrioSwarmError:
        return -1, -1


def _inner(stats: dict[str, int], dialect: Dialect) -> dict[str, int]:
    if dialect is Dialect.JSON_RPC:
        return stats
    return {camel(name): value for name, value in stats.items()}


async def _protocols_from_outside(torrents: Sequence[TorrentFacts]) -> set[str]:
    found = set()
    turn = LoopTurn()
    for torrent in torrents:
        await turn.step()
        for peer in torrent.peers():
            if peer.is_incoming and (protocol := _protocol_of_global(peer.address)):
                found.add(protocol)
    return found


def _protocol_of_global(address: str) -> str:
    """Return the protocol of an address of the wide Internet; empty for any other."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    return f"ipv{parsed.version}" if parsed.is_global else ""


def _refuse_what_is_fixed(
    arguments: Arguments, session: RpcSession, facts: SessionFacts, dialect: Dialect
) -> None:
    """Raise CallError for a setting that is to be another than it is, and cannot be changed."""
    for name, value in session_values(session, facts, dialect, 0).items():
        given = arguments.raw(name)
        if name in _SETTABLE or name in _TOLD_ONLY or given is None or given == value:
            continue
        if name == "encryption" and given in ("tolerated", "allowed"):
            continue
        raise CallError(f"{name} cannot be changed while the node runs, or does not exist here")


async def _incomplete_folder(
    arguments: Arguments, session: RpcSession, facts: SessionFacts
) -> Path | UnsetType | None:
    """Return where fetches are to begin: its name and its switch may come by two calls."""
    shown, was_on = session.incomplete_folder(facts), facts.incomplete_folder is not None
    wanted = arguments.text("incomplete_dir") or shown
    on = arguments.flag("incomplete_dir_enabled")
    if on is None:
        on = was_on
    if wanted == shown and on == was_on:
        return UNSET
    folder = await session.target.known_folder(wanted) if on or wanted != shown else None
    if not on:
        return None if was_on else UNSET
    return folder


def _changes(
    arguments: Arguments,
    session: RpcSession,
    facts: SessionFacts,
    folder: Path | None,
    numbers: dict[Key, float],
) -> SessionChanges:
    def limit(
        name: str, switch: str, kept: str, value: float | None, unit: Unit
    ) -> float | UnsetType | None:
        if unit is RATIO:
            number = arguments.number(name, most=unit.most)
        else:
            number = arguments.whole(name, most=unit.most)
        is_on = arguments.flag(switch)
        if number is None and is_on is None:
            return UNSET
        key = (NODE_LIMITS, kept)
        new = session.limits.changed(key, value, unit, number=number, is_on=is_on, numbers=numbers)
        return UNSET if new == value else new

    def whole_limit(
        name: str, switch: str, kept: str, value: float | None, unit: Unit
    ) -> int | UnsetType | None:
        new = limit(name, switch, kept, value, unit)
        return int(new) if isinstance(new, int | float) else new

    is_alternative = arguments.flag("alt_speed_enabled")
    same = is_alternative is None or is_alternative == facts.is_alternative
    both = facts.alternative_upload_limit, facts.alternative_download_limit
    given = arguments.raw("alt_speed_up"), arguments.raw("alt_speed_down")
    # Whoever switches on limits that nobody set means the numbers that session-get shows.
    means_shown = bool(is_alternative) and (*both, *given) == (None,) * 4

    def alternative(name: str, kept: str) -> int | UnsetType:
        number = arguments.whole(name, least=1, most=RATE.most)
        if number is None and means_shown:
            number = int(session.limits.shown((NODE_LIMITS, kept), None, RATE))
        return UNSET if number is None else number * RATE.size

    return SessionChanges(
        upload_limit=whole_limit(
            "speed_limit_up", "speed_limit_up_enabled", "upload", facts.upload_limit, RATE
        ),
        download_limit=whole_limit(
            "speed_limit_down", "speed_limit_down_enabled", "download", facts.download_limit, RATE
        ),
        alternative_upload_limit=alternative("alt_speed_up", "alternative_upload"),
        alternative_download_limit=alternative("alt_speed_down", "alternative_download"),
        is_alternative=UNSET if same or is_alternative is None else is_alternative,
        seed_ratio=limit(
            "seed_ratio_limit", "seed_ratio_limited", "ratio", facts.seed_ratio, RATIO
        ),
        max_active_downloads=whole_limit(
            "download_queue_size",
            "download_queue_enabled",
            "downloads",
            facts.max_active_downloads,
            COUNT,
        ),
        max_active_seeds=whole_limit(
            "seed_queue_size", "seed_queue_enabled", "seeds", facts.max_active_seeds, COUNT
        ),
        download_folder=UNSET if folder is None else folder,
    )
