"""`torrent-set`: everything is looked at before anything is changed, all of a torrent or nothing.

What a client asks for and cannot have here is refused by name, unless it is as the client wants it
anyway: remotes send whole forms of settings, of which a person changed one.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trio_swarm.control.transmission.adding import labels_of, refuse_choice_of_files
from trio_swarm.control.transmission.calling import Arguments, CallError, Code
from trio_swarm.control.transmission.facts import TorrentFacts
from trio_swarm.control.transmission.remembered_limits import RATE, RATIO, Key, own_ratio
from trio_swarm.control.transmission.rpc_session import MethodCall, Result, RpcSession, for_each
from trio_swarm.control.transmission.target import TorrentChanges

_FIXED: Final[Mapping[str, tuple[object, str]]] = {
    "bandwidth_priority": (0, "torrents have no priority here; give them limits"),
    "honors_session_limits": (True, "the limits of the node hold for every torrent"),
    "group": ("", "there are no bandwidth groups"),
    "seed_idle_mode": (0, "seeding does not end by idleness; set a ratio"),
    "seed_idle_limit": (0, "seeding does not end by idleness; set a ratio"),
    "sequential_download": (False, "the scheduler decides which piece comes first"),
    "sequential_download_from_piece": (0, "the scheduler decides which piece comes first"),
}
"""Settings with one value only, and what is said to a client that wants another."""

_TRACKERS: Final = ("tracker_add", "tracker_remove", "tracker_replace", "tracker_list")

RATIO_OF_NODE: Final = 0
RATIO_OF_TORRENT: Final = 1
RATIO_UNLIMITED: Final = 2
"""Values of `seedRatioMode`."""


def refuse_what_is_fixed(arguments: Arguments) -> None:
    """Raise CallError for a setting that has another value than here and cannot have it."""
    for name, (value, reason) in _FIXED.items():
        given = arguments.raw(name)
        if given is not None and given != value:
            raise CallError(f"{name}: {reason}")


async def torrent_set(call: MethodCall) -> Result:
    """Change settings of torrents."""
    arguments, session = call.arguments, call.session
    refuse_what_is_fixed(arguments)
    refuse_choice_of_files(arguments, empty_is_all=True)
    for name in _TRACKERS:
        if arguments.raw(name) not in (None, [], ""):
            reason = f"{name}: the trackers of a torrent stay as they were added"
            raise CallError(reason, Code.BAD_TRACKER_LIST)
    location = arguments.text("location")
    folder = await session.target.allowed_folder(location) if location else None
    torrents = await session.chosen(arguments)
    numbers: dict[int, dict[Key, float]] = {each.id: {} for each in torrents}
    changes = {
        each.id: replace(
            _changes(arguments, each, session, numbers[each.id]),
            folder=UNSET if folder is None else folder,
        )
        for each in torrents
    }

    async def change(torrent: TorrentFacts) -> None:
        if changes[torrent.id] != TorrentChanges():
            await session.target.change(torrent, changes[torrent.id])
        session.limits.remember(numbers[torrent.id])

    return await for_each(torrents, change)


def _changes(
    arguments: Arguments, torrent: TorrentFacts, session: RpcSession, numbers: dict[Key, float]
) -> TorrentChanges:
    labels = labels_of(arguments)
    position = arguments.whole("queue_position")
    peer_limit = arguments.whole("peer_limit")
    if peer_limit is not None and peer_limit != torrent.max_peers:
        raise CallError("peer_limit: the limit of connections is the node's")

    def limit(way: str, rate: int | None) -> int | UnsetType | None:
        number = arguments.whole(f"{way}_limit", most=RATE.most)
        is_on = arguments.flag(f"{way}_limited")
        if number is None and is_on is None:
            return UNSET
        key = (torrent.id, way)
        new = session.limits.changed(key, rate, RATE, number=number, is_on=is_on, numbers=numbers)
        return UNSET if new == rate else None if new is None else int(new)

    return TorrentChanges(
        upload_limit=limit("upload", torrent.upload_limit),
        download_limit=limit("download", torrent.download_limit),
        seed_ratio=_ratio(arguments, torrent, session, numbers),
        labels=UNSET if labels is None else labels,
        queue_position=UNSET if position is None else position,
    )


def _ratio(
    arguments: Arguments, torrent: TorrentFacts, session: RpcSession, numbers: dict[Key, float]
) -> float | UnsetType | None:
    limit = arguments.number("seed_ratio_limit", most=RATIO.most)
    mode = arguments.whole("seed_ratio_mode", most=RATIO_UNLIMITED)
    key, own = (torrent.id, "ratio"), own_ratio(torrent.seed_ratio)
    has_own = own is not None
    wanted = session.limits.shown(key, own, RATIO) if limit is None else limit
    if limit is not None or mode is not None:
        numbers[key] = wanted
    if mode == RATIO_OF_NODE:
        return None
    if mode == RATIO_UNLIMITED:
        return RATIO.most
    if mode == RATIO_OF_TORRENT:
        return wanted
    return limit if limit is not None and has_own else UNSET
