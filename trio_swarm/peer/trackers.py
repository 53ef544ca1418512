"""What a torrent tells its trackers, and what it makes of their answers.

A private torrent (BEP 27) is told to its own trackers only, one at a time, and its peers are those
of that tracker: when another one steps in, the peers that it does not name are left. Its name is
registered nowhere. A person may overrule all that (`NodeSettings.trackers_for_private`). Of a
torrent fetched by a magnet link it shows only with the metadata whether it is private; the trackers
that were told until then are told that we stopped.

A hybrid is told by both info-hashes, for it is one torrent in two swarms (BEP 52, "Upgrade Path");
its name stands by the first. A private one is told by the first alone: its trackers would refuse a
torrent that was not handed in to them.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

import trio
from msgspec import Struct
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.amounts import count_text
from trio_swarm.announcing.announcer import MAX_TRACKERS, Announcer, Parting, part
from trio_swarm.announcing.heartbeats import Beat
from trio_swarm.announcing.politeness import interval_of
from trio_swarm.errors import TrackerError
from trio_swarm.identities import InfoHash
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.torrent_plan import TorrentPlan, merge_tiers
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
    def twin_hash(self) -> bytes | None:
        """The other info-hash of a hybrid, 20 bytes; empty while nothing is known."""

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
    def missing(self) -> int | None:
        """Bytes of pieces that are not verified; None while nothing is known of them."""

    @property
    def downloaded(self) -> int:
        """Bytes of blocks received so far, from anybody."""

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out so far, to anybody."""

    @property
    def peer_set(self) -> PeerSet:
        """Its peers, and whom else trackers named."""

    def get_up(self) -> None:
        """Be active, if it rests."""


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
    look: "_NameLook | None" = None
    """Whether it holds our name; None: it has not taken an announce with that."""
    warnings: tuple[str, ...] = ()
    """Those that were told."""

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

    __slots__ = (
        "_announcer",
        "_has_begun",
        "_heard",
        "_is_private",
        "_key",
        "_peers_of",
        "_plan",
        "_source",
        "_torrent",
        "_twin",
        "tiers",
    )

    def __init__(self, torrent: AnnouncedTorrent, plan: TorrentPlan) -> None:
        self._torrent = torrent
        self._plan = plan
        self._key = torrent.context.rng.getrandbits(32)
        self._has_begun = False
        self._is_private = False
        self._source = ""
        """The tracker that a private torrent's peers come from."""
        self._peers_of: dict[str, tuple[Address, ...]] = {}
        """Whom each tracker named last, until it is known whether the torrent is private."""
        self._heard: dict[str, _Heard] = {}
        """What came of each tracker last."""
        self.tiers = plan.tiers
        self._announcer = self._make_announcer()
        self._twin: Announcer | None = None
        """For the other info-hash of a hybrid."""
        if plan.metainfo is not None and plan.metainfo.info.private:
            self.keep_private()

    def begin(self) -> None:
        """Keep the trackers told, until `stop`."""
        self._has_begun = True
        self._announcer.begin(self._torrent.context.hearts)
        self.join_twin()

    def join_twin(self) -> None:
        """Tell the trackers of the other info-hash of a hybrid as well, if it is known by now."""
        if self._twin is None and self._torrent.twin_hash and not self._is_private:
            self._twin = self._make_twin(InfoHash(self._torrent.twin_hash))
            self._twin.begin(self._torrent.context.hearts)

    def end(self) -> None:
        """Ask the trackers nothing more."""
        for heard in self._heard.values():
            if heard.look is not None:
                heard.look.end()
        for announcer in self._announcers:
            announcer.end()

    @property
    def _announcers(self) -> tuple[Announcer, ...]:
        return (self._announcer,) if self._twin is None else (self._announcer, self._twin)

    async def stop(self) -> None:
        """Tell every tracker that may list us that we stopped, and nothing more."""
        self.end()
        await part(self.partings())

    def partings(self) -> list[Parting]:
        """Return what is to be told to trackers after `end`."""
        return [parting for announcer in self._announcers for parting in announcer.partings()]

    def completed(self) -> None:
        """Tell the trackers that everything is here."""
        for announcer in self._announcers:
            announcer.completed()

    def announce_now(self) -> None:
        """Ask for peers soon."""
        for announcer in self._announcers:
            announcer.announce_now()

    def change_swarm(self) -> None:
        """Announce the info-hash that the torrent has now, and that we left the other swarm."""
        self._peers_of.clear()
        former, self._announcer = self._announcer, self._make_announcer()
        self._take_over(former, self._announcer)

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
        self._succeed(former, self._announcer)
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
        self._succeed(former, self._announcer)
        if self._twin is not None and self._torrent.twin_hash:
            twin, self._twin = self._twin, self._make_twin(InfoHash(self._torrent.twin_hash))
            self._succeed(twin, self._twin)

    def _succeed(self, former: Announcer, successor: Announcer) -> None:
        """Have an announcer go on with what the one before it told the trackers that both have."""
        former.end()
        former.hand_over(successor)
        self._take_over(former, successor)

    def _take_over(self, former: Announcer, successor: Announcer) -> None:
        """Go on with an announcer; the one before it tells the others that we stopped."""
        if self._has_begun:
            former.end()
            hearts = self._torrent.context.hearts
            hearts.start(former.stop, name=f"part with trackers of {self._torrent.name}")
            successor.begin(hearts)

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

    def _make_twin(self, info_hash: InfoHash) -> Announcer:
        context = self._torrent.context
        return Announcer(
            context.clients,
            self.tiers,
            make_request=lambda event: replace(self._request(info_hash, event), share_name=None),
            on_answer=lambda _tracker, answer: self._take_peers(answer),
            # People are told of each tracker once: by the first info-hash.
            on_failure=lambda _tracker, _error, _retry_in: None,
            rng=context.rng,
        )

    async def ask_for_name(self, tracker: str, known: str | None) -> str | None:
        """Ask a tracker whether it holds our name; tell if not, and why.

        `known` is why it did not when it was asked last. Returns why it does not; None if it does.
        Raises TrackerError.
        """
        torrent = self._torrent
        refusal = await torrent.context.clients.name_refusal(tracker, self._name, torrent.info_hash)
        self._tell_refusal(tracker, refusal, known)
        return refusal

    def ask_for_name_soon(
        self,
        tracker: str,
        known: str | None,
        answered: Callable[[str | None], None],
        failed: Callable[[], None],
    ) -> Callable[[], None] | None:
        """Ask it without a task; see `Beat.run_quickly`.

        `answered` gets what `ask_for_name` returns.
        """

        def heard(refusal: str | None) -> None:
            self._tell_refusal(tracker, refusal, known)
            answered(refusal)

        torrent = self._torrent
        clients = torrent.context.clients
        return clients.name_refusal_soon(tracker, self._name, torrent.info_hash, heard, failed)

    def _tell_refusal(self, tracker: str, refusal: str | None, known: str | None) -> None:
        torrent = self._torrent
        if refusal is not None and refusal != known:
            torrent.context.emit(
                events.NameRefused(
                    info_hash=torrent.info_hash.hex(),
                    tracker=tracker,
                    share_name=torrent.name,
                    reason=refusal,
                )
            )

    @property
    def _name(self) -> str:
        """The name it is registered by."""
        return registrable_name(self._torrent.name)

    def _request(self, info_hash: InfoHash, event: AnnounceEvent) -> AnnounceRequest:
        torrent = self._torrent
        size = torrent.info.size if torrent.info is not None else torrent.expected_size
        # Unknown is not zero: that would make us a seeder.
        left = torrent.missing if torrent.missing is not None else size or UNKNOWN_LEFT
        return AnnounceRequest(
            info_hash=info_hash,
            peer_id=torrent.context.peer_id,
            port=torrent.context.port,
            uploaded=torrent.uploaded,
            downloaded=torrent.downloaded,
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
        if torrent.info is None:
            self._peers_of[tracker] = answer.peers
        if self._is_private and tracker != self._source:
            if self._source:
                self._leave_others(answer.peers)
            self._source = tracker
        self._take_peers(answer)
        heard = self._note(tracker, now, now + interval_of(answer))
        heard.seeders, heard.leechers = answer.seeders, answer.leechers
        heard.peers = len(answer.peers)
        if torrent.name and not self._is_private:
            self._look_for_name(tracker, heard, now)
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
            self._warned(tracker, heard, answer.warning)

    def _take_peers(self, answer: AnnounceAnswer) -> None:
        """Dial whom a tracker named, in due course."""
        torrent, now = self._torrent, trio.current_time()
        candidates = torrent.peer_set.candidates
        # Each of them, whether or not the first is new.
        if sum([candidates.add(address, now) for address in answer.peers]):
            torrent.peer_set.dial_wakeup.set()
            torrent.get_up()

    def _note(
        self, tracker: str, at: float, due: float, *, failure: str = "", silent_for: float = 0.0
    ) -> _Heard:
        """Note what came of a tracker; what it listed before is known still."""
        heard = self._heard.get(tracker)
        if heard is None:
            heard = self._heard[tracker] = _Heard(at=at, due=due)
        heard.at, heard.due, heard.peers = at, due, 0
        heard.failure, heard.silent_for = failure, silent_for
        return heard

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

    def _look_for_name(self, tracker: str, heard: _Heard, now: float) -> None:
        """Find out now and then whether a tracker that took an announce holds our name.

        An announce's answer cannot say it (BEP 15). A tracker that does not know the question is
        asked once.
        """
        if heard.look is None:
            heard.look = _NameLook(self, tracker)
        if heard.look.again_at <= now:
            heard.look.again_at = math.inf
            heard.look.begin(self._torrent.context.hearts)

    def _warned(self, tracker: str, heard: _Heard, text: str) -> None:
        if text not in heard.warnings and len(heard.warnings) < MAX_WARNINGS:
            heard.warnings = (*heard.warnings, text)
            self._torrent.context.emit(
                events.TrackerWarning(
                    info_hash=self._torrent.info_hash.hex(), tracker=tracker, text=text
                )
            )

    def _failed(self, tracker: str, error: TrackerError, retry_in: float) -> None:
        torrent = self._torrent
        now = trio.current_time()
        torrent.context.tally.announces_failed += 1
        self._note(tracker, now, now + retry_in, failure=str(error))
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
        self._note(tracker, now, math.inf, silent_for=seconds)
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


async def part_with_trackers(trackers: Iterable[Trackers]) -> None:
    """Tell the trackers of many torrents that we stopped; the caller sets a deadline."""
    await part([parting for each in trackers for parting in each.partings()])


class _NameLook(Beat):
    """Whether one tracker holds our name: asked after an announce, if it was not for a while."""

    __slots__ = ("_refusal", "_tracker", "_trackers", "again_at")

    def __init__(self, trackers: Trackers, tracker: str) -> None:
        super().__init__()
        self._trackers = trackers
        self._tracker = tracker
        self._refusal: str | None = None
        self.again_at = -math.inf
        """When it may be asked again; inf: it is asked now, or does not know the question."""

    @property
    def tracker(self) -> str:
        """The URL of the tracker that is asked."""
        return self._tracker

    async def run(self) -> None:
        """Ask it."""
        try:
            self._refusal = await self._trackers.ask_for_name(self._tracker, self._refusal)
        except TrackerError:
            return
        self.again_at = trio.current_time() + NAME_LOOK

    def run_quickly(
        self, answered: Callable[[], None], failed: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Ask it, if it most likely answers."""

        def heard(refusal: str | None) -> None:
            self._refusal = refusal
            self.again_at = trio.current_time() + NAME_LOOK
            answered()

        return self._trackers.ask_for_name_soon(self._tracker, self._refusal, heard, failed)
