"""What the system knows of a connection's link, for decisions about what to send when."""

from typing import NamedTuple


class LinkState(NamedTuple):
    """One moment of a TCP connection, seen from its sender. Amounts in bytes, times in seconds."""

    acknowledged: int
    """Bytes that the other end has acknowledged since the connection began."""
    delivery_rate: float
    """The latest rate at which bytes were acknowledged, bytes/s; 0.0 before the first."""
    is_app_limited: bool
    """That rate was measured while we had nothing more to send: the link may be faster."""
    round_trip: float
    """The smoothed round trip, queues included; 0.0 before the first."""
    least_round_trip: float
    """The least round trip of the last minutes: the link's own; 0.0 before the first."""
    in_flight: int
    """Bytes that were sent and not acknowledged."""
    unsent: int
    """Bytes that the system has taken and not sent once yet."""
    retransmitted: int
    """Bytes that were sent again since the connection began."""
    receiver_limited: float
    """Seconds since the connection began in which the other end's window held us back."""
    buffer_limited: float = 0.0
    """Seconds since the connection began in which our own send buffer held us back, though the
    window and the other end would have taken more."""
