"""What Linux tells of a TCP connection, and how fast one may send (`tcp(7)`, `socket(7)`)."""

import socket
import struct
import sys
from typing import Final

from trio_swarm.engine.upload.link_state import LinkState

_SO_MAX_PACING_RATE: Final = 47
"""Linux, `asm-generic/socket.h`; Python has no name for it."""

_EVENLY: Final = 2**64 - 2
"""The largest limit. Linux takes 2**64 - 1, its default, for no pacing at all, unless congestion
control cannot do without (bbr). Then all that the window allows leaves at once after each pause of
ours, megabytes on a long link, and the queue of a router loses hundreds of segments of it. Measured
(`make bench-long`, cubic, 100 ms, 200 Mbit/s): 0.62 to 1.00 of the link without, 1.00 with it in
each run; a transfer on one machine takes the same time."""

_TCP_INFO: Final = struct.Struct("=7xB8xI4xI40xI48xQ16xII8xQ8xQQ16xQ")
"""The fields of `struct tcp_info` (`linux/tcp.h`, which only ever grows) that `link_state` unpacks,
in its order; 216 bytes, Linux 4.19 and later."""

_APP_LIMITED: Final = 1
_MICROSECONDS: Final = 1e-6


def link_state(sock: socket.socket) -> LinkState | None:
    """Return the state of a TCP connection; None if it is closed, or the system does not tell."""
    if sys.platform != "linux":
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except OSError:
        return None
    if len(told) < _TCP_INFO.size:
        return None
    (
        bits,
        segment_length,
        segments_in_flight,
        round_trip,
        acknowledged,
        unsent,
        least_round_trip,
        delivery_rate,
        receiver_limited,
        buffer_limited,
        retransmitted,
    ) = _TCP_INFO.unpack(told)
    return LinkState(
        acknowledged=acknowledged,
        delivery_rate=float(delivery_rate),
        is_app_limited=bool(bits & _APP_LIMITED),
        round_trip=round_trip * _MICROSECONDS,
        # Linux tells 2**32 - 1 before the first.
        least_round_trip=0.0 if least_round_trip == 2**32 - 1 else least_round_trip * _MICROSECONDS,
        in_flight=segments_in_flight * segment_length,
        unsent=unsent,
        retransmitted=retransmitted,
        receiver_limited=receiver_limited * _MICROSECONDS,
        buffer_limited=buffer_limited * _MICROSECONDS,
    )


def pace(sock: socket.socket, rate: float | None) -> None:
    """Have TCP send at most `rate` bytes/s, evenly instead of in bursts; None: without a limit.

    Without effect where the system cannot.
    """
    if sys.platform != "linux":
        return
    limit = _EVENLY if rate is None else max(1, min(int(rate), _EVENLY))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("=Q", limit))
    except OSError:
        return
