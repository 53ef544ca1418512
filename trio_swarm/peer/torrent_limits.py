"""What one torrent may use: limits of its own, which a program sets, below those of its node."""

import trio

from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.read_limit import ReadLimit
from trio_swarm.peer.saying import longest_block
from trio_swarm.progress import TorrentLimits, require_limits


class OwnLimits:
    """The limits of one torrent; `group` is what the uplink knows its connections by."""

    __slots__ = ("_context", "_group", "_slots", "largest_request", "read_limit")

    def __init__(self, context: NodeContext, group: int) -> None:
        self._context = context
        self._group = group
        self._slots: int | None = None
        self.read_limit = ReadLimit(context.download_bucket)
        """What limits reading from its peers."""
        self.largest_request = self._longest_block()
        """Most bytes that one request may ask of us, by the limits of uploads."""

    @property
    def told(self) -> TorrentLimits:
        """The limits, for programs; None where only the node's hold."""
        return TorrentLimits(
            upload_rate=self._context.uplink.limit_of(self._group),
            download_rate=self.read_limit.rate,
            upload_slots=self._slots,
        )

    @property
    def slots(self) -> int:
        """Peers that are served at once."""
        own = self._slots
        return self._context.settings.upload_slots if own is None else own

    def set(
        self,
        *,
        upload_rate: float | None,
        download_rate: float | None,
        upload_slots: int | None,
        is_over: bool,
    ) -> None:
        """Set them; see `Torrent.set_limits`. `review` is to be called then."""
        require_limits(
            upload_rate=upload_rate, download_rate=download_rate, upload_slots=upload_slots
        )
        now = trio.current_time()
        if not is_over:  # nobody would forget it again
            self._context.uplink.set_group_limit(self._group, upload_rate, now)
        self.read_limit.set_rate(download_rate, now)
        self._slots = upload_slots

    def review(self) -> bool:
        """Keep to limits that are others now; return whether peers are to be told of it."""
        self.read_limit.review()
        largest = self._longest_block()
        is_news = largest != self.largest_request
        self.largest_request = largest
        return is_news

    def forget(self) -> None:
        """Have the uplink forget its limit: the torrent is over."""
        self._context.uplink.set_group_limit(self._group, None, trio.current_time())

    def _longest_block(self) -> int:
        uplink = self._context.uplink
        rates = [rate for rate in (uplink.limit, uplink.limit_of(self._group)) if rate is not None]
        return longest_block(min(rates, default=None))
