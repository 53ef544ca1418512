"""What the sender's system knows of one direction of a connection, as TCP would tell it.

Most connections are never asked, so most pipes have none of this.
"""

import math
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.upload.link_state import LinkState

_SMOOTHING: Final = 0.125
"""The newest round trip's part of the smoothed one (RFC 6298, section 2)."""


@mypyc_attr(acyclic=True)
class _UnderWay:
    """Bytes that were sent together and are not acknowledged yet."""

    __slots__ = ("due_at", "is_first", "is_last", "nbytes", "sent_at")

    def __init__(
        self, nbytes: int, sent_at: float, due_at: float, *, is_first: bool, is_last: bool
    ) -> None:
        self.nbytes = nbytes
        self.sent_at = sent_at
        self.due_at = due_at
        """When their acknowledgement comes."""
        self.is_first = is_first
        """There was nothing to send before them."""
        self.is_last = is_last
        """There was nothing more to send."""


class SenderState:
    """The acknowledgements of one pipe, and its pace."""

    __slots__ = (
        "_acknowledged",
        "_delivery_rate",
        "_earlier",
        "_is_app_limited",
        "_least_round_trip",
        "_ran_dry",
        "_round_trip",
        "_under_way",
        "in_flight",
        "is_held",
        "joined_at",
        "next_at",
        "rate",
    )

    def __init__(self) -> None:
        self.rate = math.inf
        """Bytes/s at which it sends at most."""
        self.next_at = 0.0
        """When its pace lets it send again."""
        self.is_held = False
        """It has something to send and waits for that time."""
        self.joined_at = 0.0
        """When what it sends next came into the queue."""
        self.in_flight = 0
        """Bytes sent and not acknowledged, as of the last look."""
        self._under_way: list[_UnderWay] = []
        self._acknowledged = 0
        # Of the last round trip: when something was acknowledged, and how much had been by then.
        self._earlier: list[tuple[float, int]] = []
        self._ran_dry = True
        self._delivery_rate = 0.0
        self._is_app_limited = False
        self._round_trip = 0.0
        self._least_round_trip = 0.0

    def take_turn(self, nbytes: int) -> None:
        """Have the next bytes wait for as long as these take at its pace."""
        # From when they could have been sent: that the link was busy is no part of the pace.
        self.next_at = max(self.next_at, self.joined_at) + nbytes / self.rate

    def note_sent(self, nbytes: int, sent_at: float, due_at: float, *, is_last: bool) -> None:
        """Note bytes that went out at `sent_at`, and when their acknowledgement comes."""
        self.look(sent_at)
        self._under_way.append(
            _UnderWay(nbytes, sent_at, due_at, is_first=self._ran_dry, is_last=is_last)
        )
        self._ran_dry = is_last
        self.in_flight += nbytes

    def look(self, now: float) -> None:
        """Take in what is acknowledged by now."""
        under_way = self._under_way
        count = 0
        for each in under_way:
            if each.due_at > now:
                break
            count += 1
            self._take_in(each)
        if count:
            del under_way[:count]

    def _take_in(self, each: _UnderWay) -> None:
        at = each.due_at
        self.in_flight -= each.nbytes
        self._acknowledged += each.nbytes
        round_trip = at - each.sent_at
        if not self._round_trip:
            self._round_trip = self._least_round_trip = round_trip
        else:
            self._round_trip += _SMOOTHING * (round_trip - self._round_trip)
            self._least_round_trip = min(self._least_round_trip, round_trip)
        self._measure(each, at)

    def _measure(self, each: _UnderWay, at: float) -> None:
        """Measure at which rate bytes were acknowledged since these were sent.

        Linux does the same (`tcp_rate_gen`).
        """
        earlier = self._earlier
        if each.is_first:
            earlier = self._earlier = [(each.sent_at, self._acknowledged - each.nbytes)]
        count = 0
        while count + 1 < len(earlier) and earlier[count + 1][0] <= each.sent_at:
            count += 1
        del earlier[:count]
        since, before = earlier[0]
        if at > since:
            self._delivery_rate = (self._acknowledged - before) / (at - since)
            self._is_app_limited = each.is_last
        earlier.append((at, self._acknowledged))

    def link_state(self, unsent: int, now: float) -> LinkState:
        """Return what TCP would tell now."""
        self.look(now)
        return LinkState(
            acknowledged=self._acknowledged,
            delivery_rate=self._delivery_rate,
            is_app_limited=self._is_app_limited,
            round_trip=self._round_trip,
            least_round_trip=self._least_round_trip,
            in_flight=self.in_flight,
            unsent=unsent,
            retransmitted=0,
            receiver_limited=0.0,
        )
