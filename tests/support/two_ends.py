"""Two peers that talk: the conversations of both ends, and what is on its way between them."""

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.exchange import Exchange
from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.engine.lengths import BLOCK_LENGTH, Lengths
from trio_swarm.engine.messages import Message
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadRequest
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.uploading.spread import Spread

PIECE = 4 * BLOCK_LENGTH


def _no_timer() -> float:
    return 0.0


class Side(Exchange):
    """One peer; what it is to do next is in its fields."""

    def __init__(self, count: int, have: PieceSet, *, choke_pause: float = 0.0) -> None:
        self.to_speak: dict[int, None] = {}
        self.is_to_plan = False
        self.choke_at = float("inf")
        self.parted: list[int] = []
        super().__init__(
            Ledger(
                Lengths(length=count * PIECE - 5000, piece_length=PIECE),
                scheduler=GuardedScheduler(RarestFirst(), "scheduler", RarestFirst, _no_timer),
                rng=random.Random(1),
                have=have,
                open_piece_limit=3,
            ),
            uploader=GuardedUploader(Spread(), "uploader", _no_timer),
            choker=GuardedChoker(TitForTat(), "choker", timer=_no_timer),
            rng=random.Random(1),
            slots=4,
            own_number=1,
            choke_pause=choke_pause,
        )

    def wake(self, conversation: Conversation) -> None:
        self.to_speak[conversation.key] = None

    def replan(self) -> None:
        self.is_to_plan = True

    def rechoke(self, when: float) -> None:
        self.choke_at = min(self.choke_at, when)

    def reveal_sooner(self) -> None:
        pass

    def part(self, conversation: Conversation) -> None:
        self.parted.append(conversation.key)

    def settle(self, now: float) -> None:
        """Decide what is due."""
        if now >= self.choke_at:
            self.choke_at = float("inf")
            self.choke(now)
        if self.uploads.times.due_at <= now:
            self.uploads.look(now)
        if self.ledger.wanted and (self.is_to_plan or now >= self.plans_at):
            self.is_to_plan = False
            self.plan(now)
        if now >= self.tells_at:
            self.tell_everybody()


class End:
    """One end of the connection: a side, its conversation, and what was said and is on its way."""

    def __init__(self, side: Side, conversation: Conversation) -> None:
        self.side = side
        self.conversation = conversation
        self.said: deque[Message | UploadRequest] = deque()
        self.all_said: list[Message] = []

    def speak(self, now: float) -> None:
        messages = self.conversation.speak(now)
        self.all_said += messages
        self.said += messages
        self.said += self.conversation.serve(now)
        self.side.to_speak.clear()

    def hear(self, said: Message | UploadRequest, now: float) -> None:
        conversation = self.conversation
        if not isinstance(said, UploadRequest):
            conversation.charge(conversation.heard(*said, now), now)
        else:
            outcome = conversation.heard_blocks(*said, now)
            assert outcome is not BlockOutcome.UNREQUESTED
            if outcome is BlockOutcome.COMPLETED:
                self.side.ledger.verified(said.piece)
                self.side.tell_of(1 << said.piece, now)
                self.side.replan()


class TwoEnds:
    """Both ends; messages of each arrive in the order they were said."""

    def __init__(
        self,
        count: int,
        haves: tuple[PieceSet, PieceSet],
        *,
        fast: bool = True,
        hears_losses: bool = False,
        max_request: int = BLOCK_LENGTH,
        allowed_fast: PieceSet = 0,
    ) -> None:
        self.now = 100.0
        make_end = partial(
            self._end,
            count,
            fast=fast,
            hears_losses=hears_losses,
            max_request=max_request,
            allowed_fast=allowed_fast if fast else 0,
        )
        self.ends = (make_end(haves[0]), make_end(haves[1]))

    def _end(self, count: int, have: PieceSet, **manners: Any) -> End:
        side = Side(count, have)
        conversation = Conversation(side, 1, self.now, address="10.0.0.1:1", **manners)
        side.join(conversation, self.now, identity="10.0.0.1:1")
        return End(side, conversation)

    def deliver(self, index: int, count: int = 1) -> None:
        """Have the other end hear the next things that this one said."""
        said = self.ends[index].said
        for _ in range(min(count, len(said))):
            self.ends[1 - index].hear(said.popleft(), self.now)

    def lose(self, index: int, pieces: PieceSet) -> None:
        """Have one end find that it has some pieces no longer."""
        end = self.ends[index]
        end.side.ledger.lose(pieces & end.side.ledger.have)
        end.side.replan()
        end.conversation.drop_requests(pieces)
        end.side.wake(end.conversation)

    def settle(self, index: int) -> None:
        """Have one end decide and speak."""
        end = self.ends[index]
        end.side.settle(self.now)
        conversation = end.conversation
        if end.side.to_speak or conversation.has_answers or conversation.upload_queue:
            end.speak(self.now)

    def run(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let both talk without haste."""
        until = self.now + seconds
        while self.now < until and not is_over():
            for index in (0, 1):
                self.settle(index)
                self.deliver(index, 1000)
            self.now += 0.01

    def are_complete(self) -> bool:
        return all(end.side.ledger.is_complete for end in self.ends)
