"""What is kept between calls, and what each method gets."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import trio
from msgspec import Struct

from trio_swarm.control.transmission.activity import Activity
from trio_swarm.control.transmission.calling import Arguments, CallError, Code, Dialect, one_line
from trio_swarm.control.transmission.choosing import chosen
from trio_swarm.control.transmission.facts import SessionFacts, TorrentFacts
from trio_swarm.control.transmission.remembered_limits import RememberedLimits
from trio_swarm.control.transmission.target import Target
from trio_swarm.errors import EntryUnknownError, TrioSwarmError, is_explained
from trio_swarm.loop_turn import LoopTurn

NODE_LIMITS = "node"
"""Whose limits they are that the session has, beside the torrents' ids."""


class RpcSession:
    """The clients' view of one node: what they saw and set, apart from what the node keeps.

    `now` returns seconds since 1970; `id` is the text that each request must carry.
    """

    def __init__(self, target: Target, *, now: Callable[[], float], session_id: str) -> None:
        self.target = target
        self.id = session_id
        self.limits = RememberedLimits()
        self.is_closing = False
        """Whether a client wants the node to end; it does when that client has its answer."""
        self._incomplete_folder = ""
        """The one that was there last."""
        self._now = now
        self._activity = Activity()

    def incomplete_folder(self, facts: SessionFacts) -> str:
        """Return the folder for what is not complete, or the one it was when it was on last."""
        self._incomplete_folder = facts.incomplete_folder or self._incomplete_folder
        return self._incomplete_folder or facts.download_folder

    def keep_incomplete_folder(self, folder: str) -> None:
        """Note which folder is meant when the one for what is not complete is switched on."""
        self._incomplete_folder = folder

    async def look(self) -> Sequence[TorrentFacts]:
        """Return all torrents, and note how they are; others have their turns meanwhile."""
        torrents = self.target.torrents()
        marks: dict[int, tuple[object, ...]] = {}
        turn = LoopTurn()
        for each in torrents:
            await turn.step()
            marks[each.id] = _mark(each)
        gone = self._activity.look(self._now(), marks)
        if gone:
            self.limits.forget(gone)
        return torrents

    def recent(self) -> set[int]:
        """Return the ids of the torrents that changed within a minute."""
        return self._activity.changed(self._now())

    def removed(self) -> list[int]:
        """Return the ids of the torrents that went within a minute."""
        return self._activity.removed()

    async def chosen(self, arguments: Arguments) -> Sequence[TorrentFacts]:
        """Return the torrents that `ids` means."""
        return chosen(arguments, await self.look(), self.recent())


class MethodCall(Struct, frozen=True):
    """One call of a method."""

    session: RpcSession
    arguments: Arguments
    dialect: Dialect


Result = Mapping[str, Any]
Run = Callable[[MethodCall], Awaitable[Result]]


class Method(Struct, frozen=True):
    """One method: what it does, and whether that changes anything."""

    run: Run
    changes: bool = True


AT_ONCE: Final = 100
"""Torrents of one call that are stopped at once: each waits for its trackers, and a silent one
takes two seconds."""


async def for_each(
    torrents: Sequence[TorrentFacts],
    act: Callable[[TorrentFacts], Awaitable[None]],
    *,
    at_once: int = 1,
) -> Result:
    """Do something to each torrent; raises the first failure after all were tried.

    They are begun in the order of the list, `at_once` of them side by side. One that somebody
    removes meanwhile is left out, as if it had never been there.
    """
    failures: dict[int, Exception] = {}
    left = iter(enumerate(torrents))

    async def act_on_some() -> None:
        for index, torrent in left:
            try:
                await act(torrent)
            except EntryUnknownError:
                pass
            except TrioSwarmError as error:
                if not is_explained(error):
                    raise
                failures[index] = error

    async with trio.open_nursery() as nursery:
        for _ in range(min(at_once, len(torrents))):
            nursery.start_soon(act_on_some)
    if failures:
        further = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise CallError(one_line(failures[min(failures)]) + further, Code.SYSTEM_ERROR)
    return {}


def _mark(torrent: TorrentFacts) -> tuple[object, ...]:
    """Return what changes when anything of a torrent does that a list shows."""
    return (
        torrent.state,
        torrent.name,
        torrent.error,
        torrent.have,
        torrent.uploaded_ever,
        torrent.queue_position,
        tuple(torrent.labels),
        torrent.upload_limit,
        torrent.download_limit,
        torrent.seed_ratio,
        torrent.folder,
        torrent.has_metadata,
        torrent.checked,
    )
