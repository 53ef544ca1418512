"""How the connections of a node share its uplink: who sends, who may, and when to look at links.

See the `Governor` for how much all connections may put out, and `Turns` for whose turn it is. Real
and simulated peers share it: no method waits, and time is a parameter.
"""

import math
from typing import Final, Protocol

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.upload.governor import LOOK_INTERVAL, Governor
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.engine.upload.serving import UPLOAD_BATCH
from trio_swarm.engine.upload.turns import Turns, even_out

QUIET_SECONDS: Final = 1.0
"""Seconds without any byte acknowledged or put out, after which a connection counts as one that
sends nothing."""

AT_ONCE: Final = 32
"""Connections that are looked at in one LOOK_INTERVAL; more are looked at less often. One costs
4 µs."""

MOST_INTERVALS: Final = 4.0
"""LOOK_INTERVALs between two looks at most, however many connections there are: what happened in a
longer time tells the governor nothing."""


class Sender(Protocol):
    """A connection that sends blocks."""

    @property
    def key(self) -> int:
        """A number that no other connection of the node has."""

    @property
    def group(self) -> int:
        """The connections among which its `weight` has a meaning: those of its torrent."""

    @property
    def weight(self) -> float:
        """Its share of what its group may send, in proportion to those of the others."""

    def link_state(self) -> LinkState | None:
        """Return the state of its link; None: nothing is known of it, or it is closed."""

    def found(self, rate: float) -> None:
        """Note at how many bytes/s the other end acknowledges what is sent."""

    def turn_given(self) -> None:
        """Put blocks out soon: it may do so now."""


class _Busy:
    """A connection that sends something."""

    __slots__ = ("acknowledged", "moved_at", "sender")

    def __init__(self, sender: Sender, now: float) -> None:
        self.sender = sender
        self.moved_at = now
        self.acknowledged = -1


@mypyc_attr(allow_interpreted_subclasses=True)
class UplinkSharing:
    """The sharing of one uplink. A connection says when it sends blocks; nothing is done otherwise.

    `limit` is what the user allows, bytes/s; None: no limit. `governor`: another than the usual
    one, for experiments. The owner calls `share_out` at the times that it returns, and soon after
    `share_out_soon`.
    """

    def __init__(self, limit: float | None = None, *, governor: Governor | None = None) -> None:
        self.governor = governor or Governor()
        self._limit = math.inf if limit is None else limit
        self._turns = Turns()
        self._turns.set_rate(self._limit)
        self._busy: dict[int, _Busy] = {}
        self._asking: dict[int, Sender] = {}
        self._put_out = 0
        self._is_held = False
        self._look_at = -math.inf

    def share_out_soon(self) -> None:
        """Have `share_out` be called in this moment. The owner overrides it."""
        raise NotImplementedError

    # --- what connections ask and tell ------------------------------------------------------------

    def may_send(self, sender: Sender) -> bool:
        """Whether a connection may put blocks out now; if not, it is told when it may."""
        turns = self._turns
        if turns.rate == math.inf or turns.has_turn(sender.key):
            return True
        turns.ask(sender.key)
        self._asking[sender.key] = sender
        self._is_held = True
        self.share_out_soon()
        return False

    @property
    def turn_length(self) -> int:
        """The bytes that a connection may put out now, about."""
        return min(UPLOAD_BATCH, self._turns.length)

    @property
    def pace(self) -> float | None:
        """Bytes/s at which a connection is to send what it puts out; None: as TCP likes."""
        return self.governor.pace

    def sends(self, sender: Sender, nbytes: int, now: float) -> None:
        """Note that a connection puts blocks out."""
        self._put_out += nbytes
        if self._turns.rate < math.inf:
            self._turns.put_out(sender.key, nbytes, now)
        busy = self._busy.get(sender.key)
        if busy is not None:
            busy.moved_at = now
            return
        if sender.link_state() is None:  # there is nothing to be seen
            return
        self._busy[sender.key] = _Busy(sender, now)
        if len(self._busy) == 1:
            self.share_out_soon()

    def sends_nothing(self, key: int, now: float) -> None:
        """Note that a connection has no blocks to put out, whether it asked to or not."""
        if self._turns.rate == math.inf:
            return
        self._asking.pop(key, None)
        if self._turns.pass_on(key, now):
            self.share_out_soon()

    def leave(self, key: int, now: float) -> None:
        """Forget a connection that ended."""
        self._busy.pop(key, None)
        self._asking.pop(key, None)
        if self._turns.leave(key, now):
            self.share_out_soon()

    # --- what is due ------------------------------------------------------------------------------

    def share_out(self, now: float) -> float:
        """Look at the links if it is time, and give turns; return when to call it again."""
        if self._busy and now >= self._look_at:
            self.look(now)
            self._look_at = now + LOOK_INTERVAL * self._intervals
        self._give_turns(now)
        due = self._look_at if self._busy else math.inf
        if self._turns.is_anybody_asking:
            due = min(due, now + self._turns.wait(now))
        return due

    @property
    def _intervals(self) -> float:
        return min(MOST_INTERVALS, max(1.0, len(self._busy) / AT_ONCE))

    def _give_turns(self, now: float) -> None:
        while (key := self._turns.give(now)) is not None:
            self._asking.pop(key).turn_given()

    def look(self, now: float) -> None:
        """Look at all connections that send, and decide how much they may put out together."""
        links = self._links(now)
        is_held = self._is_held and self.governor.budget <= self._limit
        budget = self.governor.look(links, self._put_out, now, is_held=is_held)
        self._put_out = 0
        self._is_held = self._turns.is_anybody_asking
        for key in links:
            self._busy[key].sender.found(self.governor.rate_of(key))
        rate = min(budget, self._limit)
        self._turns.set_rate(rate)
        if rate < math.inf:
            self._turns.set_weights(self._weights(links))
            return
        for key in self._turns.free():
            self._asking.pop(key).turn_given()

    def _links(self, now: float) -> dict[int, LinkState]:
        """Return the links of those that send; forget those that do so no more.

        Whoever waits for a turn for long still has its weight, and is no newcomer afterwards.
        """
        links: dict[int, LinkState] = {}
        for key, busy in list(self._busy.items()):
            link = busy.sender.link_state()
            if link is not None and link.acknowledged != busy.acknowledged:
                busy.acknowledged = link.acknowledged
                busy.moved_at = now
            is_quiet = now - busy.moved_at > QUIET_SECONDS and key not in self._asking
            if link is None or is_quiet:
                del self._busy[key]
            else:
                links[key] = link
        return links

    def _weights(self, links: dict[int, LinkState]) -> dict[int, float]:
        """Return the weights of those that send, comparable between torrents."""
        if len(links) < 2:
            return {}
        groups: dict[int, list[int]] = {}
        for key in links:
            groups.setdefault(self._busy[key].sender.group, []).append(key)
        weights: dict[int, float] = {}
        for keys in groups.values():
            evened = even_out([self._busy[key].sender.weight for key in keys])
            weights.update(zip(keys, evened, strict=True))
        return weights
