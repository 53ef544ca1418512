"""Our side of one torrent on Trio: the tasks that choke and reveal, and who is woken by what."""

import random
from collections.abc import Callable

import trio

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.exchange import Exchange
from trio_swarm.engine.guard import GuardedChoker, GuardedUploader
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.schedulers.api import UploadRequest


class PeerExchange(Exchange):
    """What one torrent has in common for its connections: see `Exchange` for what is decided.

    `choke_in_time` is the one task that chokes, `reveal_in_time` the one that reveals more to those
    from whom something is kept. Who plans waits for `plan_wakeup`. `part_useless` is called when
    peers may be of no use any more.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        uploader: GuardedUploader,
        choker: GuardedChoker,
        rng: random.Random,
        slots: int,
        own_number: int,
        part_useless: Callable[[], None],
        sent: Callable[[int, UploadRequest], None] | None = None,
    ) -> None:
        self.plan_wakeup = Wakeup()
        self._choke_wakeup = Wakeup()
        self._reveal_wakeup = Wakeup()
        self._choke_at = float("-inf")
        self._wakeups: dict[int, Wakeup] = {}
        self._part_useless = part_useless
        super().__init__(
            ledger,
            uploader=uploader,
            choker=choker,
            rng=rng,
            slots=slots,
            own_number=own_number,
            choke_pause=0.0,  # a slot that becomes free is given at once
            sent=sent,
        )

    def will_wake(self, key: int, wakeup: Wakeup) -> None:
        """Have `wakeup` set whenever there is something to say to a peer, which joins next."""
        self._wakeups[key] = wakeup

    def leave(self, conversation: Conversation, now: float) -> None:
        """Forget a peer."""
        super().leave(conversation, now)
        del self._wakeups[conversation.key]

    # --- hooks ------------------------------------------------------------------------------------

    def wake(self, conversation: Conversation) -> None:
        """Wake the task that writes to a peer."""
        self._wakeups[conversation.key].set()

    def replan(self) -> None:
        """Wake the task that plans."""
        self.plan_wakeup.set()

    def rechoke(self, when: float) -> None:
        """Wake the task that chokes, which looks when that is due."""
        self._choke_at = min(self._choke_at, when)
        self._choke_wakeup.set()

    def reveal_sooner(self) -> None:
        """Wake the task that reveals."""
        self._reveal_wakeup.set()

    def part(self, conversation: Conversation) -> None:
        """End connections that are of use to neither end."""
        del conversation
        self._part_useless()

    # --- tasks ------------------------------------------------------------------------------------

    async def choke_in_time(self) -> None:
        """Decide whom to unchoke whenever that is due, until cancelled."""
        while True:
            now = trio.current_time()
            if now >= self._choke_at:
                self.choke(now)
                self._choke_at = self.round_ends_at
            with trio.move_on_at(self._choke_at):
                await self._choke_wakeup.wait()

    async def reveal_in_time(self) -> None:
        """Reveal more to peers from whom something is kept, whenever it may be time."""
        times = self.uploads.times
        while True:
            with trio.move_on_at(times.due_at):
                await self._reveal_wakeup.wait()
            now = trio.current_time()
            if now >= times.due_at:
                self.uploads.look(now)
