"""How a simulated peer shares out a first-come uplink: a real one's decisions, by an alarm."""

from trio_swarm.engine.upload.governor import Governor
from trio_swarm.engine.upload.uplink_sharing import UplinkSharing
from trio_swarm.lab.simulator.alarm import Alarm
from trio_swarm.lab.simulator.timeline import Timeline


class SharingOut(UplinkSharing):
    """The sharing of one simulated uplink."""

    def __init__(self, timeline: Timeline, *, governor: Governor | None = None) -> None:
        super().__init__(governor=governor)
        self._timeline = timeline
        self._alarm = _SharingAlarm(timeline, self)

    def share_out_soon(self) -> None:
        """Share out in this moment."""
        self._alarm.set(self._timeline.now)

    def is_due(self) -> None:
        """Share out now, and again when it is time."""
        self._alarm.set(self.share_out(self._timeline.now))


class _SharingAlarm(Alarm):
    """Rings when more is to be shared out."""

    __slots__ = ("_sharing",)

    def __init__(self, timeline: Timeline, sharing: SharingOut) -> None:
        super().__init__(timeline)
        self._sharing = sharing

    def ring(self) -> None:
        """Have it shared out."""
        self._sharing.is_due()
