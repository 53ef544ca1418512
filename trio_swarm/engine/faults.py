"""Counting how often a strategy breaks its contract, and telling of it once for each kind."""

from typing import Final, Protocol

MAX_FAULTS: Final = 5
"""Calls with a fault after which a strategy is replaced."""

FORGIVEN: Final = 20
"""Clean calls that make up for one that was only slow: on a busy machine any call may be, and that
is not the plugin's fault. For the same reason one slow call alone is not told."""


class FaultSink(Protocol):
    """Told of the first fault of each kind, and of the replacement."""

    def __call__(self, name: str, reason: str, faults: int, replaced: bool) -> None:  # noqa: FBT001  called by position, as the record it is
        """`faults` is how many calls of strategy `name` were faulty so far."""
        ...


_NONE: Final[frozenset[str]] = frozenset()
"""One for all: each empty set takes 200 bytes."""


class FaultCount:
    """How often one strategy broke its contract, and whether that is too often."""

    __slots__ = (
        "_kinds",
        "_name",
        "_on_fault",
        "_slow",
        "_strict",
        "faults",
        "is_slow",
        "replaced",
    )

    def __init__(self, name: str, on_fault: FaultSink | None) -> None:
        self.faults = 0
        """Faulty calls so far, slow ones included."""
        self.replaced = False
        self._name = name
        self._on_fault = on_fault
        self._kinds = _NONE
        self._strict = 0
        self._slow = 0.0
        self.is_slow = False
        """A call was slow, and clean ones have not made up for it."""

    def clean(self) -> None:
        """Count a call without fault."""
        if self._slow > 0.0:
            self._slow = max(0.0, self._slow - 1 / FORGIVEN)
            self.is_slow = self._slow > 0.0

    def fault(self, kind: str, reason: str) -> None:
        """Count a call with a fault; `kind` is what makes two faults the same."""
        self.faults += 1
        is_alone = False
        if kind == "slow":
            is_alone = self._slow <= 0.0
            self._slow += 1.0
            self.is_slow = True
        else:
            self._strict += 1
        was_replaced = self.replaced
        self.replaced = was_replaced or self._strict + self._slow >= MAX_FAULTS
        if is_alone and self.replaced == was_replaced:
            return
        if kind not in self._kinds or self.replaced != was_replaced:
            self._kinds |= {kind}
            if self._on_fault is not None:
                self._on_fault(self._name, reason, self.faults, self.replaced)
