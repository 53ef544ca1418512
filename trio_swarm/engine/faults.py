"""Counting the faults of a strategy, and reporting the first of each kind."""

from typing import Final, Protocol

MAX_FAULTS: Final = 5
"""Faulty calls after which a strategy is replaced."""

FORGIVEN: Final = 20
"""Calls without a fault that cancel one slow call: on a busy machine any call can be slow, which is
not the plugin's fault. For the same reason a single slow call is not reported."""


class FaultSink(Protocol):
    """Receives the first fault of each kind, and the replacement of the strategy."""

    def __call__(self, name: str, reason: str, faults: int, replaced: bool) -> None:  # noqa: FBT001  a record
        """`faults` is the number of faulty calls of strategy `name` so far."""
        ...


_NONE: Final[frozenset[str]] = frozenset()
"""One empty set for all counts: an empty set of its own would take 200 bytes each."""


class FaultTally:
    """Faults of all strategies of one kind, those included that are not used any more."""

    __slots__ = ("faults", "replaced")

    def __init__(self) -> None:
        self.faults = 0
        """Faulty calls so far."""
        self.replaced = 0
        """Strategies that had too many."""


class FaultCount:
    """The number of faults of one strategy, and whether there are too many."""

    __slots__ = (
        "_kinds",
        "_name",
        "_on_fault",
        "_slow",
        "_strict",
        "faults",
        "is_slow",
        "replaced",
        "tally",
    )

    def __init__(self, name: str, on_fault: FaultSink | None) -> None:
        self.faults = 0
        """Faulty calls so far, slow ones included."""
        self.replaced = False
        self.tally: FaultTally | None = None
        """Where they are counted with the faults of others; None: nowhere."""
        self._name = name
        self._on_fault = on_fault
        self._kinds = _NONE
        self._strict = 0
        self._slow = 0.0
        self.is_slow = False
        """Whether a call was slow and later calls have not cancelled it."""

    def clean(self) -> None:
        """Count a call without a fault; enough of them cancel a slow call."""
        if self._slow > 0.0:
            self._slow = max(0.0, self._slow - 1 / FORGIVEN)
            self.is_slow = self._slow > 0.0

    def fault(self, kind: str, reason: str) -> None:
        """Count a call with a fault; faults of the same `kind` are reported once."""
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
        if self.tally is not None:
            self.tally.faults += 1
            self.tally.replaced += self.replaced != was_replaced
        if is_alone and self.replaced == was_replaced:
            return
        if kind not in self._kinds or self.replaced != was_replaced:
            self._kinds |= {kind}
            if self._on_fault is not None:
                self._on_fault(self._name, reason, self.faults, self.replaced)
