"""What a torrent tells its trackers, and what it makes of their answers.

A private torrent (BEP 27) is told to its own trackers only, one at a time, and its peers are those
of that tracker: when another one steps in, the peers that it does not name are left. Its name is
registered nowhere. A person may overrule all that (`NodeSettings.trackers_for_private`). Of a
torrent fetched by a magnet link it shows only with the metadata whether it is private; the trackers
that were told until then are told that we stopped.
"""

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NoReturn, Protocol

import trio
from msgspec import Struct
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.amounts import count_text
from trio_swarm.announcing.announcer import MAX_TRACKERS, Announcer
from trio_swarm.announcing.politeness import interval_of
from trio_swarm.errors import TrackerError
from trio_swarm.identities import InfoHash
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.download import Download
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.torrent_plan import TorrentPlan, merge_tiers
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.progress import TrackerState
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.trackers.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest
from trio_swarm.protocol.trackers.share_names import registrable_name

NAME_LOOK = 600.0
"""Seconds between questions to a tracker whether our name is still found there."""

UNKNOWN_LEFT = 1 << 40
"""What `left` says while the size is unknown: we are a leecher, not a seeder."""

MAX_WARNINGS = 3
"""Different warnings of one tracker that are told: it could make up a new one each time."""


class AnnouncedTorrent(Protocol):
    """The torrent that trackers are told of; its metadata may change its info-hash once."""

    @property
    def context(self) -> NodeContext:
        """What all torrents of the node share."""

    @property
    def info_hash(self) -> InfoHash:
        """The info-hash whose swarm it takes part in."""

    @property
    def name(self) -> str:
        """The torrent's name, under which trackers list it."""

    @property
    def info(self) -> Info | None:
        """The info dictionary; None until the metadata is known."""

    @property
    def expected_size(self) -> int | None:
        """Bytes that were told before it was known."""

    @property
    def download(self) -> Download | None:
        """What is here and what comes, once the files are open."""

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out so far, to anybody."""

    @property
    def peer_set(self) -> PeerSet:
        """Its peers, and whom else trackers named."""


class _Heard(Struct):
    """What came of one tracker last; times in seconds on Trio's clock."""

    at: float
    due: float
    """When it is announced to next; inf: never."""
    failure: str = ""
    silent_for: float = 0.0
    """Seconds that it kept us waiting, if it has said nothing else."""
    seeders: int | None = None
    leechers: int | None = None
    peers: int = 0

    @property
    def is_working(self) -> bool:
        """It answered the last time."""
        return not (self.failure or self.silent_for)

    @property
    def news(self) -> str:
        """A few words that go on after its name."""
        if self.failure:
            return "does not work"
        if self.silent_for:
            return f"has not answered for {self.silent_for:.0f} s"
        seeders = count_text(self.seeders or 0, "seeder")
        others = max(0, (self.leechers or 0) - 1)  # we are one
        return f"lists {seeders} and {count_text(others, 'other leecher')}"


class Trackers:
    """The trackers of one torrent: they are kept told, and their peers become candidates."""

    def __init__(self, torrent: AnnouncedTorrent, plan: TorrentPlan) -> None:
        self._torrent = torrent
        self._plan = plan
        self._key = torrent.context.rng.getrandbits(32)
        self._scope = trio.CancelScope()
        self._is_private = False
        self._source = ""
        """The tracker that a private torrent's peers come from."""
        self._peers_of: dict[str, tuple[Address, ...]] = {}
        """Whom each tracker named last."""
        self._warnings: dict[str, set[str]] = {}
        self._name_due: dict[str, float] = {}
        self._name_refusals: dict[str, str | None] = {}
        self._name_wakeup = Wakeup()
        self._heard: dict[str, _Heard] = {}
        """What came of each tracker last."""
        self.tiers = plan.tiers
        self._announcer = self._make_announcer()
        if plan.metainfo is not None and plan.metainfo.info.private:
            self.keep_private()

    async def run(self) -> None:
        """Keep the trackers told until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                announcer = self._announcer
                with trio.CancelScope() as self._scope:
                    await announcer.run()
                    await trio.sleep_forever()
                # Another one took over, and has taken those that it goes on with.
                nursery.start_soon(announcer.stop)

    async def stop(self) -> None:
        """Tell every tracker that may list us that we stopped; call it when `run` is cancelled."""
        await self._announcer.stop()

    def completed(self) -> None:
        """Tell the trackers that everything is here."""
        self._announcer.completed()

    def announce_now(self) -> None:
        """Ask for peers soon."""
        self._announcer.announce_now()

    def change_swarm(self) -> None:
        """Announce the info-hash that the torrent has now, and that we left the other swarm."""
        self._peers_of.clear()
        self._announcer = self._make_announcer()
        self._scope.cancel()

    def keep_private(self) -> None:
        """Keep to the torrent's own trackers from now on: it is private."""
        own = self._plan.own_tiers if self._plan.own_tiers is not None else self._plan.tiers
        own_urls = {url for tier in own for url in tier}
        others = [url for tier in self._plan.tiers for url in tier if url not in own_urls]
        if self._torrent.context.settings.trackers_for_private:
            if others:
                self._tell(events.PrivacyOverruled, trackers=others)
            return
        if others:
            self._tell(events.PrivateTorrent, left_out=others)
        self._is_private = True
        self.tiers = own
        former, self._announcer = self._announcer, self._make_announcer()
        former.hand_over(self._announcer)
        self._scope.cancel()
        if others or (own_urls and self._plan.linked_peers):
            self._leave_others([peer for url in own_urls for peer in self._peers_of.get(url, ())])

    def set_named(self, urls: Sequence[str]) -> None:
        """Use other trackers than a person named before; the torrent's own ones stay.

        A tracker that is used already goes on with what it was told; one that is used no more is
        told that we stopped. A private torrent keeps to its own.
        """
        plan = self._plan
        named = [(url,) for url in urls]
        self._plan = plan = replace(plan, tiers=merge_tiers(plan.own_tiers or (), named))
        is_kept = self._is_private and plan.own_tiers is not None
        tiers = plan.own_tiers if is_kept else plan.tiers
        assert tiers is not None  # `is_kept` says so
        if tiers == self.tiers:
            return
        self.tiers = tiers
        former, self._announcer = self._announcer, self._make_announcer()
        former.hand_over(self._announcer)
        self._scope.cancel()

    def _tell(self, kind: type[events.Event], **fields: object) -> None:
        torrent = self._torrent
        torrent.context.emit(
            kind(info_hash=torrent.info_hash.hex(), share_name=torrent.name, **fields)
        )

    def _leave_others(self, peers: Sequence[Address]) -> None:
        """Keep to these peers, and to those that the person named."""
        # Who has no tracker of its own has nobody but the peers of its link.
        linked = () if any(self.tiers) else self._plan.linked_peers
        self._torrent.peer_set.keep_only({*peers, *self._plan.peers, *linked})

    def _make_announcer(self) -> Announcer:
        context = self._torrent.context
        return Announcer(
            context.clients,
            self.tiers,
            # One that has been replaced says goodbye in the swarm that it was for.
            make_request=partial(self._request, self._torrent.info_hash),
            on_answer=self._answered,
            on_failure=self._failed,
            on_silence=self._is_silent,
            rng=context.rng,
            one_at_a_time=self._is_private,
        )

    async def watch_name(self) -> NoReturn:
        """Ask each tracker that took an announce whether it holds our name; tell if not, and why.

        An announce's answer cannot say it (BEP 15). A tracker that does not know the question is
        asked once.
        """
        while True:
            for tracker in [
                url for url, due in self._name_due.items() if due <= trio.current_time()
            ]:
                await self._ask_for_name(tracker)
            await self._name_wakeup.wait()

    async def _ask_for_name(self, tracker: str) -> None:
        torrent = self._torrent
        self._name_due[tracker] = math.inf
        try:
            refusal = await torrent.context.clients.name_refusal(
                tracker, self._name, torrent.info_hash
            )
        except TrackerError:
            return
        self._name_due[tracker] = trio.current_time() + NAME_LOOK
        if refusal is not None and refusal != self._name_refusals.get(tracker):
            torrent.context.emit(
                events.NameRefused(
                    info_hash=torrent.info_hash.hex(),
                    tracker=tracker,
                    share_name=torrent.name,
                    reason=refusal,
                )
            )
        self._name_refusals[tracker] = refusal

    @property
    def _name(self) -> str:
        """The name it is registered by."""
        return registrable_name(self._torrent.name)

    def _request(self, info_hash: InfoHash, event: AnnounceEvent) -> AnnounceRequest:
        torrent = self._torrent
        download = torrent.download
        size = torrent.info.length if torrent.info is not None else torrent.expected_size
        # Unknown is not zero: that would make us a seeder.
        left = download.missing_bytes() if download is not None else size or UNKNOWN_LEFT
        return AnnounceRequest(
            info_hash=info_hash,
            peer_id=torrent.context.peer_id,
            port=torrent.context.port,
            uploaded=torrent.uploaded,
            downloaded=download.ledger.received_bytes if download is not None else 0,
            left=left,
            event=event,
            key=self._key,
            # Whoever asks a tracker for names would find a private torrent, and before there is
            # metadata nobody knows whether it is one.
            share_name=None if self._is_private or torrent.info is None else self._name or None,
            size=size,
        )

    def _answered(self, tracker: str, answer: AnnounceAnswer) -> None:
        torrent = self._torrent
        now = trio.current_time()
        torrent.context.tally.announces_answered += 1
        if not any(tracker in tier for tier in self.tiers):
            return  # it was on its way when the torrent turned out to be private
        self._peers_of[tracker] = answer.peers
        if self._is_private and tracker != self._source:
            if self._source:
                self._leave_others(answer.peers)
            self._source = tracker
        if torrent.name and not self._is_private and self._name_due.setdefault(tracker, now) <= now:
            self._name_wakeup.set()
        for address in answer.peers:
            torrent.peer_set.candidates.add(address, now)
        torrent.peer_set.dial_wakeup.set()
        self._heard[tracker] = _Heard(
            at=now,
            due=now + interval_of(answer),
            seeders=answer.seeders,
            leechers=answer.leechers,
            peers=len(answer.peers),
        )
        torrent.context.emit(
            events.Announced(
                info_hash=torrent.info_hash.hex(),
                tracker=tracker,
                seeders=answer.seeders,
                leechers=answer.leechers,
                peers=len(answer.peers),
                interval=answer.interval,
            )
        )
        if answer.warning is not None:
            self._warned(tracker, answer.warning)

    def _note(self, tracker: str, heard: _Heard) -> None:
        """Note that a tracker did not answer; what it listed before is known still."""
        before = self._heard.get(tracker)
        if before is not None:
            heard.seeders, heard.leechers = before.seeders, before.leechers
        self._heard[tracker] = heard

    def news(self) -> Iterator[str]:
        """Yield what each tracker answered last, a line for each."""
        for tracker, heard in self._heard.items():
            yield f"{tracker} {heard.news}"

    def states(self) -> list[TrackerState]:
        """Return the trackers in use, tier by tier, with what came of each last."""
        listed: dict[str, int] = {}
        for number, tier in enumerate(self.tiers):
            for url in islice(tier, MAX_TRACKERS):
                listed.setdefault(url, number)
        # The clock of the people who read it may be set while we run.
        clock = time.time() - trio.current_time()
        return [
            _state_of(url, tier, self._heard.get(url), clock)
            for url, tier in islice(listed.items(), MAX_TRACKERS)
        ]

    def _warned(self, tracker: str, text: str) -> None:
        told = self._warnings.setdefault(tracker, set())
        if text not in told and len(told) < MAX_WARNINGS:
            told.add(text)
            self._torrent.context.emit(
                events.TrackerWarning(
                    info_hash=self._torrent.info_hash.hex(), tracker=tracker, text=text
                )
            )

    def _failed(self, tracker: str, error: TrackerError, retry_in: float) -> None:
        torrent = self._torrent
        now = trio.current_time()
        torrent.context.tally.announces_failed += 1
        self._note(tracker, _Heard(at=now, due=now + retry_in, failure=str(error)))
        torrent.context.emit(
            events.TrackerFailed(
                info_hash=torrent.info_hash.hex(),
                tracker=tracker,
                reason=str(error),
                retry_in=retry_in if math.isfinite(retry_in) else None,
            )
        )

    def _is_silent(self, tracker: str, seconds: float) -> None:
        now = trio.current_time()
        self._torrent.context.tally.announces_silent += 1
        self._note(tracker, _Heard(at=now, due=math.inf, silent_for=seconds))
        self._torrent.context.emit(
            events.TrackerSilent(
                info_hash=self._torrent.info_hash.hex(), tracker=tracker, seconds=seconds
            )
        )


def _state_of(url: str, tier: int, heard: _Heard | None, clock: float) -> TrackerState:
    if heard is None:
        return TrackerState(url=url, tier=tier)
    return TrackerState(
        url=url,
        tier=tier,
        last_announce=clock + heard.at,
        next_announce=clock + heard.due if math.isfinite(heard.due) else None,
        is_working=heard.is_working,
        result=heard.failure or heard.news,
        seeders=heard.seeders,
        leechers=heard.leechers,
        peers=heard.peers,
    )
