"""How the connections of a node share its uplink: who sends, who may, and when to look at links.

See the `Governor` for how much all connections may put out, and `Turns` for whose turn it is. The
connections of one torrent may have a limit of their own: they take turns of their torrent first,
and ask for one of the uplink when they have it. Real and simulated peers share it: no method waits,
and time is a parameter.
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
        self._limited: dict[int, Turns] = {}  # groups that have a limit of their own
        self._put_out = 0
        self._is_held = False
        self._look_at = -math.inf

    def share_out_soon(self) -> None:
        """Have `share_out` be called in this moment. The owner overrides it."""
        raise NotImplementedError

    # --- what the user allows ---------------------------------------------------------------------

    @property
    def limit(self) -> float | None:
        """Bytes/s that all connections may put out together; None: no limit."""
        return None if self._limit == math.inf else self._limit

    def set_limit(self, limit: float | None, now: float) -> None:
        """Change what all connections may put out together; who waits has its turn in time."""
        self._limit = math.inf if limit is None else limit
        self._change(self._turns, min(self.governor.budget, self._limit), now)
        self.share_out_soon()

    def limit_of(self, group: int) -> float | None:
        """Return what a group may put out, bytes/s; None: as much as the others."""
        turns = self._limited.get(group)
        return None if turns is None else turns.rate

    def set_group_limit(self, group: int, limit: float | None, now: float) -> None:
        """Change what the connections of one group may put out together, below the limit of all.

        None: no limit. To be called for a group that ends as well.
        """
        turns = self._limited.get(group)
        if limit is None:
            if turns is not None:
                del self._limited[group]
                self._change(turns, math.inf, now)
            return
        if turns is None:
            turns = self._limited[group] = Turns()
        self._change(turns, limit, now)
        self.share_out_soon()

    def _change(self, turns: Turns, rate: float, now: float) -> None:
        turns.change_rate(rate, now)
        if rate == math.inf:
            self._let_go(turns)

    def _let_go(self, turns: Turns) -> None:
        for key in turns.free():
            self._asking.pop(key).turn_given()

    # --- what connections ask and tell ------------------------------------------------------------

    def may_send(self, sender: Sender) -> bool:
        """Whether a connection may put blocks out now; if not, it is told when it may."""
        if self._limited:
            of_group = self._limited.get(sender.group)
            if of_group is not None and not of_group.has_turn(sender.key):
                self._ask(of_group, sender)
                return False
        turns = self._turns
        if turns.rate == math.inf or turns.has_turn(sender.key):
            return True
        self._is_held = True
        self._ask(turns, sender)
        return False

    def _ask(self, turns: Turns, sender: Sender) -> None:
        turns.ask(sender.key)
        self._asking[sender.key] = sender
        self.share_out_soon()

    def turn_length(self, sender: Sender) -> int:
        """Return the bytes that a connection may put out now, about."""
        length = min(UPLOAD_BATCH, self._turns.length)
        if self._limited:
            of_group = self._limited.get(sender.group)
            if of_group is not None:
                return min(length, of_group.length)
        return length

    @property
    def pace(self) -> float | None:
        """Bytes/s at which a connection is to send what it puts out; None: as TCP likes."""
        return self.governor.pace

    def sends(self, sender: Sender, nbytes: int, now: float) -> None:
        """Note that a connection puts blocks out."""
        self._put_out += nbytes
        if self._limited:
            of_group = self._limited.get(sender.group)
            if of_group is not None:
                of_group.put_out(sender.key, nbytes, now)
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
        if self._turns.rate == math.inf and not self._limited:
            return
        self._asking.pop(key, None)
        is_left = self._turns.pass_on(key, now)
        for of_group in self._limited.values():
            is_left |= of_group.pass_on(key, now)
        if is_left:
            self.share_out_soon()

    def leave(self, key: int, now: float) -> None:
        """Forget a connection that ended."""
        self._busy.pop(key, None)
        self._asking.pop(key, None)
        is_left = self._turns.leave(key, now)
        for of_group in self._limited.values():
            is_left |= of_group.leave(key, now)
        if is_left:
            self.share_out_soon()

    # --- what is due ------------------------------------------------------------------------------

    def share_out(self, now: float) -> float:
        """Look at the links if it is time, and give turns; return when to call it again."""
        if self._busy and now >= self._look_at:
            self.look(now)
            self._look_at = now + LOOK_INTERVAL * self._intervals
        self._give_turns(now)
        due = self._look_at if self._busy else math.inf
        for turns in (self._turns, *self._limited.values()):
            if turns.is_anybody_asking:
                due = min(due, now + turns.wait(now))
        return due

    @property
    def _intervals(self) -> float:
        return min(MOST_INTERVALS, max(1.0, len(self._busy) / AT_ONCE))

    def _give_turns(self, now: float) -> None:
        for turns in (self._turns, *self._limited.values()):
            while (key := turns.give(now)) is not None:
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
        if rate < math.inf or self._limited:
            weights = self._weights(links)
            for turns in (self._turns, *self._limited.values()):
                turns.set_weights(weights)
        if rate == math.inf:
            self._let_go(self._turns)

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
