"""Limits that are switched off, and their numbers.

Transmission keeps a limit's number apart from its switch; a node has a limit or none. The number is
remembered here, so that a client which sets a limit and switches it on by two calls finds it again.
"""

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from trio_swarm.control.transmission.calling import CallError


class Unit(Struct, frozen=True):
    """How a kind of limit is written by clients."""

    size: int
    """What 1 is here: 1 kB/s is 1,000 bytes/s."""
    usual: int | float
    """The number of one that is off and was never set, as in Transmission."""
    most: int


RATE: Final = Unit(1000, 100, (1 << 50) // 1000)
"""kB/s; `most` is beyond any link, and exact in bytes, too."""
COUNT: Final = Unit(1, 5, 100_000)
"""Torrents that are active at once."""
RATIO: Final = Unit(1, 2.0, 1_000_000_000)
"""Of seeding. A ratio of `most` is none: it is what "whatever the ratio" is kept as."""


def own_ratio(ratio: float | None) -> float | None:
    """Return the ratio that ends the seeding of a torrent; None: the node's does, or none."""
    return None if ratio is None or ratio >= RATIO.most else ratio


Key = tuple[int | str, str]
"""Whose limit (the id of a torrent, or a word), and which of its limits."""


class RememberedLimits:
    """The numbers of limits that are off."""

    def __init__(self) -> None:
        self._numbers: dict[Key, float] = {}

    def shown(self, key: Key, value: float | None, unit: Unit) -> float:
        """Return a limit as clients write it; one below 1 of them is shown as 1."""
        if value is None:
            return self._numbers.get(key, unit.usual)
        return value if unit.size == 1 else -(-int(value) // unit.size)

    def changed(
        self,
        key: Key,
        value: float | None,
        unit: Unit,
        *,
        number: float | None,
        is_on: bool | None,
        numbers: dict[Key, float],
    ) -> float | None:
        """Return the limit that holds once `number` and the switch were set; None: no limit.

        `value` is what holds now; an argument that is None was not given. What is to be remembered
        once the whole call has succeeded goes into `numbers`. Raises CallError.
        """
        on = is_on if is_on is not None else value is not None
        if number is None and on and value is not None:
            return value
        kept = number if number is not None else self.shown(key, value, unit)
        if on and kept == 0 and unit is not RATIO:
            raise CallError("a limit of 0 would stop everything: pause torrents instead")
        numbers[key] = kept
        return kept * unit.size if on else None

    def remember(self, numbers: Mapping[Key, float]) -> None:
        """Remember the numbers that `changed` told of."""
        self._numbers.update(numbers)

    def forget(self, ids: Collection[int | str]) -> None:
        """Forget the limits of torrents that are gone."""
        for key in [key for key in self._numbers if key[0] in ids]:
            del self._numbers[key]
