"""How much all connections of a node may put out together, so that we share out the uplink.

Left to TCP, a full uplink belongs to the connections that were there first, and its buffer is full:
every control message waits for all that is in it. The governor watches what the other ends
acknowledge and how much longer round trips are than they could be. When all of them have become
longer the uplink is full. From then on no more is put out than it carries. The buffer is nearly
empty then: whoever is given a turn has it (see `turns`), and control messages do not wait.
"""

import math
from collections.abc import Mapping
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.upload.link_state import LinkState

LOOK_INTERVAL: Final = 0.05
"""Seconds between two looks at the links while something is sent."""

QUEUE_TARGET: Final = 0.020
"""Seconds that the uplink's queue is to be long: never empty, so that the uplink is never idle."""

PACE: Final = 1.25
"""Rate at which a slow uplink's connections may send a block, in proportion to what it carries. A
block that is sent at once keeps it busy for longer than its queue is to be long."""

LEAST_SEGMENTS: Final = 3000.0
"""Bytes that are in the queue at least: what TCP sends as one packet, when it sends slowly."""

BEGINNING: Final = 0.110
"""Seconds of queue from which on anything is held. Ordinary queues take 50 ms and less, and a round
trip has two of them: ours, and that of the other end's uplink, where our acknowledgements wait.
With 60 ms leechers that upload to each other on such links took each other's queues for their own:
two of seven used a third of their uplinks to the end (simulated, swarm-limited: 1.10 to 1.19 times
the least time, 1.03 to 1.05 now). Measured when it began at 20 ms (`make bench-swarm`, one run
each): 1.16, 1.13, 1.14, 1.14 and 1.17; 1.11, 1.11, 1.12, 1.10 and 1.10 when nothing was held. A
seeder of one leecher with a full uplink sent 15 to 30 Mbit/s instead of 70."""

SHORT: Final = 0.8
"""Part of that which is missing when the uplink carries more, whatever a single connection does."""

LOOKS_TO_BEGIN: Final = 2
"""Looks in a row that must find too long a queue before anything is held."""

WINDOW_SHUT: Final = 0.5
"""Part of the time between two looks in which the other end's window held a connection up, above
which its round trips say nothing of the uplink: it reads slowly. Measured on loopback: those of
three that read 0.3 or 1 MB/s became 20 to 30 ms longer, and a fast one that came then began with
what they took. It had 200 MB after 2.9 s and 2.4 s, and after 1.0 s and 1.6 s ungoverned."""

TELLING: Final = 0.15
"""Part of an even share of all bytes that must be acknowledged on a connection between two looks,
if it is to tell of the queue. Round trips are smoothed over eight acknowledgements: where nothing
but some HAVEs is sent they are those of seconds ago."""

LOOKS: Final = 5
"""Looks over which rates are measured: what is sent and acknowledged comes in bursts."""

PUSH: Final = 0.10
"""Part of what the uplink carries that is put out beyond it while there is no queue."""

GROWTH: Final = 0.15
"""Part by which the uplink is taken to carry more in a round trip, or between two looks if that is
longer, while there is no queue. A queue shows no sooner."""

DRAIN_SECONDS: Final = 0.25
"""Seconds in which a queue that is too long is to be gone."""

LEAST_GAIN: Final = 0.3
"""Part of what the uplink carries that is put out at least while a queue drains."""

USED: Final = 0.85
"""Part of the budget that is put out if more would be."""

BACKLOG: Final = 0.5
"""Part of what was acknowledged between two looks that waits in sockets if there is enough to
send."""

DELIVERED: Final = 0.95
"""Part of what is put out below which the uplink does not carry it."""

LEAST_LOSS: Final = 0.7
"""Part of what the uplink was taken to carry that it is at least, from one measurement to the
next."""

NEWCOMER_SECONDS: Final = 0.5
"""Seconds after a new connection, or the beginning, until the queue is drained once. A connection
that has never seen the link without a queue takes it for a part of the way."""

NEWCOMER_GAIN: Final = 0.5
"""Part of what the uplink carries that is put out then."""

UNSENT_SECONDS: Final = 0.02
"""The sockets hold little if it is less than the uplink carries in so many seconds."""

LEAST_EMPTYING: Final = 0.1
MOST_EMPTYING: Final = 0.5
"""They are waited for as long as they hold less after so many seconds than before, by this part of
what the uplink carries. A connection whose other end takes little holds some for ever; those of a
slow uplink have taken the bytes of many seconds before it is seen to be full."""

FREE_SECONDS: Final = 2.0
"""Seconds in which nobody had to wait, before nothing is held any more."""

LEAST_BUDGET: Final = 16384.0
"""Bytes/s that may be put out at least."""


@mypyc_attr(acyclic=True)
class _Known:
    """What is known of one connection from the look before."""

    __slots__ = ("acknowledged", "is_window_shut", "looks", "rate", "receiver_limited")

    def __init__(self, acknowledged: int, receiver_limited: float) -> None:
        self.acknowledged = acknowledged
        self.receiver_limited = receiver_limited
        self.is_window_shut = False
        """It waited most of the time for the other end to read."""
        self.rate = 0.0
        self.looks = 0
        """Looks in a row that found enough acknowledged, see TELLING."""


@mypyc_attr(acyclic=True)
class _Look:
    """What happened between two looks."""

    __slots__ = ("acknowledged", "allowed", "is_busy", "is_held", "passed", "put_out")

    def __init__(self, passed: float, acknowledged: int, put_out: int, allowed: float) -> None:
        self.passed = passed
        self.acknowledged = acknowledged
        self.put_out = put_out
        self.allowed = allowed
        """Bytes that could be put out."""
        self.is_held = False
        """More would have been put out."""
        self.is_busy = False
        """More would have been sent."""


class Governor:
    """See the module. Nothing is held before the queue is `beginning` seconds long.

    `look` is to be called every LOOK_INTERVAL while something is sent.
    """

    def __init__(self, beginning: float = BEGINNING) -> None:
        self._beginning = beginning
        self.budget = math.inf
        """Bytes/s that may be put out on all connections together; inf: nothing is held."""
        self.queue = 0.0
        """Seconds that the uplink's queue was long at the last look that could tell."""
        self.carries = 0.0
        """Bytes/s that the uplink carries, as far as is known."""
        self._known: dict[int, _Known] = {}
        self._looks: list[_Look] = []
        self._looked_at = -math.inf
        self._over = 0  # looks in a row that found too long a queue
        self._round_trip = 0.0  # of the connection that showed the least queue
        self._foreign = 0.0  # part of the queue that is not ours, seconds
        self._carried_before = 0.0  # `carries` when it became too long
        self._longest = 0.0  # queue since it became too long
        self._drained = 0.0  # seconds of queue that we have made room for since then
        self._held_at = 0.0  # when anybody last had to wait
        self._drain_at = math.inf  # when the queue is to be emptied
        self._least_unsent = math.inf  # while the queue is emptied
        self._wait_until = math.inf  # for sockets to hold less than that
        self._emptied_at = math.inf  # when sockets held nothing any more

    def rate_of(self, key: int) -> float:
        """Return bytes/s that are acknowledged on a connection; 0.0 while nothing is known."""
        known = self._known.get(key)
        return 0.0 if known is None else known.rate

    @property
    def pace(self) -> float | None:
        """Bytes/s at which each connection is to send what it has put out; None: as TCP likes."""
        if self.budget == math.inf or QUEUE_TARGET * self.carries >= BLOCK_LENGTH:
            return None
        return PACE * max(self.carries, self.budget)

    def look(
        self, links: Mapping[int, LinkState], put_out: int, now: float, *, is_held: bool
    ) -> float:
        """Take in how the links of those are that send; return the budget from `now` on.

        put_out: bytes since the last look, on all connections; is_held: somebody would have put
        out more.
        """
        passed = now - self._looked_at
        if passed <= 0.0:
            return self.budget
        self._looked_at = now
        acknowledged = self._measure(links, passed)
        if passed > 10 * LOOK_INTERVAL:  # nothing was sent in between, or we were not running
            self._looks.clear()
            return self.budget
        look = _Look(passed, acknowledged, put_out, passed * self.budget)
        self._looks.append(look)
        if len(self._looks) > LOOKS:
            del self._looks[0]
        # One that has to wait a moment between two turns is not held.
        is_held = is_held and self._is_used()
        unsent = sum([link.unsent for link in links.values()])
        look.is_held = is_held
        look.is_busy = is_held or unsent > BACKLOG * acknowledged
        if is_held:
            self._held_at = now
        self._steer(links, now)
        return self.budget

    # --- what the links do ------------------------------------------------------------------------

    def _measure(self, links: Mapping[int, LinkState], passed: float) -> int:
        """Return the bytes acknowledged on all links since the last look."""
        before, self._known = self._known, {}
        part = 1.0 - math.exp(-passed / (LOOKS * LOOK_INTERVAL))
        gains: dict[int, int] = {}
        for key, link in links.items():
            known = before.get(key)
            if known is None:
                known = _Known(link.acknowledged, link.receiver_limited)
                if self.budget < math.inf:
                    self._drain_at = min(self._drain_at, self._looked_at + NEWCOMER_SECONDS)
            gained = max(0, link.acknowledged - known.acknowledged)
            known.acknowledged = link.acknowledged
            waited = link.receiver_limited - known.receiver_limited
            known.receiver_limited = link.receiver_limited
            known.is_window_shut = waited > WINDOW_SHUT * passed
            known.rate += part * (gained / passed - known.rate)
            gains[key] = gained
            self._known[key] = known
        total = sum(gains.values())
        for key, gained in gains.items():
            known = self._known[key]
            known.looks = known.looks + 1 if gained * len(gains) > TELLING * total else 0
        return total

    def _common_queue(self, links: Mapping[int, LinkState]) -> float | None:
        """Return the seconds by which every round trip is longer than it could be.

        Only connections that send all the time tell of it: those that now and then send a little,
        because we have no more or because the other end reads slowly, wait for acknowledgements
        that the other end delays. None: there is none.
        """
        queue = math.inf
        for key, link in links.items():
            known = self._known[key]
            if known.is_window_shut:
                continue
            if known.looks >= LOOKS_TO_BEGIN and link.round_trip > 0.0:
                found = link.round_trip - link.least_round_trip
                if found < queue:
                    queue, self._round_trip = found, link.round_trip
        return None if queue == math.inf else max(0.0, queue)

    def _acknowledged(self, looks: int) -> float:
        """Return bytes/s acknowledged over the last looks."""
        last = self._looks[-looks:]
        passed: float = sum([each.passed for each in last])  # not int | float, for mypyc
        return sum([each.acknowledged for each in last]) / passed

    def _is_used(self) -> bool:
        """Whether lately nearly as much was put out as was allowed."""
        allowed: float = sum([each.allowed for each in self._looks])
        return sum([each.put_out for each in self._looks]) >= USED * allowed

    def _is_limited(self) -> bool:
        """Whether for some time more could have been sent than was acknowledged."""
        looks = self._looks
        if len(looks) < LOOKS or not all(each.is_busy for each in looks):
            return False
        allowed: float = sum([each.allowed for each in looks])
        return sum([each.acknowledged for each in looks]) < DELIVERED * allowed

    # --- what is put out --------------------------------------------------------------------------

    def _steer(self, links: Mapping[int, LinkState], now: float) -> None:
        queue = self._common_queue(links)
        if queue is not None:
            self._foreign = min(self._foreign, queue)
            self.queue = queue = queue - self._foreign
        if self.budget == math.inf:
            is_over = queue is not None and queue > self._beginning
            self._over = self._over + 1 if is_over else 0
            if self._over >= LOOKS_TO_BEGIN:
                self._begin(links, now)
            return
        if now - self._held_at > FREE_SECONDS:
            self.budget = math.inf
            self._forget_queue()
            return
        if not self._looks[-1].is_busy or queue is None:
            self._forget_queue()
            self.budget = self.carries
        else:
            target = max(QUEUE_TARGET, LEAST_SEGMENTS / self.carries)
            if queue > target:
                self._drain(queue, target)
            else:
                self._fill(queue, target)
        if self._drain_at <= now:
            self._empty(links, now)
        self.budget = max(LEAST_BUDGET, self.budget)

    def _begin(self, links: Mapping[int, LinkState], now: float) -> None:
        """Hold the connections from now on: the uplink is full."""
        self.carries = max(LEAST_BUDGET, self._acknowledged(LOOKS_TO_BEGIN))
        self.budget = self.carries
        self._looks.clear()
        self._forget_queue()
        self._held_at = now
        if len(links) > 1:  # the only one has seen the link without a queue
            self._drain_at = now

    def _empty(self, links: Mapping[int, LinkState], now: float) -> None:
        """Have the queue be empty for once, and before it what sockets hold of each connection."""
        self.budget = min(self.budget, NEWCOMER_GAIN * self.carries)
        if self._emptied_at == math.inf:
            if self._becomes_empty(sum([link.unsent for link in links.values()]), now):
                return
            self._emptied_at = now
            self._least_unsent = math.inf
        if now >= self._emptied_at + DRAIN_SECONDS:
            self._drain_at = self._emptied_at = math.inf

    def _becomes_empty(self, unsent: int, now: float) -> bool:
        """Whether sockets hold much, and less than before."""
        if unsent <= UNSENT_SECONDS * self.carries:
            return False
        if unsent < self._least_unsent - LEAST_EMPTYING * MOST_EMPTYING * self.carries:
            self._least_unsent = float(unsent)
            self._wait_until = now + MOST_EMPTYING
        return now < self._wait_until

    def _fill(self, queue: float, target: float) -> None:
        """Have the uplink be used in full."""
        self._forget_queue()
        room = 1.0 - queue / target
        is_short = room > SHORT or not self._is_limited()
        if is_short and self._looks[-1].is_held and self.budget >= self.carries:
            # Not while the queue is emptied on purpose: then it says nothing.
            seen = self._looks[-1].passed / max(LOOK_INTERVAL, self._round_trip)
            self.carries *= 1.0 + GROWTH * room * seen
        self.budget = self.carries * (1.0 + PUSH * room)

    def _drain(self, queue: float, target: float) -> None:
        """Have the queue become shorter."""
        if self._over == 0 or self._is_limited():
            if self._over:
                carried = self._acknowledged(LOOKS)
                self.carries = max(LEAST_BUDGET, carried, LEAST_LOSS * self.carries)
            self._forget_queue()
            self._carried_before = self.carries
        elif self._over % LOOKS == 0:
            # It does not become shorter: we take the uplink to carry a little more than it does.
            self.carries = max(LEAST_BUDGET, min(self.carries, self._acknowledged(LOOKS)))
        self._over += 1
        last = self._looks[-1]
        self._longest = max(self._longest, queue)
        self._drained += max(0.0, last.passed - last.acknowledged / self._carried_before)
        self.budget = max(LEAST_GAIN, 1.0 - (queue - target) / DRAIN_SECONDS) * self.carries
        if self._drained > 1.5 * self._longest + target:
            # It would be gone if it were ours.
            self._foreign += queue
            self.carries = self._carried_before
            self._forget_queue()

    def _forget_queue(self) -> None:
        self._over = 0
        self._drained = self._longest = 0.0
