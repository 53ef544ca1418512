"""Hosts with links of their own: a namespace each, veth pairs to a bridge in one more.

Uplinks are shaped in the host's namespace, downlinks at the bridge's side of the pair: htb without
a burst to speak of, and 50 ms of buffer. 95.6 % of a rate arrives as payload. Nothing here reaches
any other network, and everything goes at the end, programs included.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench_loopback import Metered
from bench_swarm_columns import BUFFER_SECONDS
from bench_swarm_report import payload

from foreign_network import inside, namespaces, remove, remove_abandoned, run
from shaped_links import MBIT, Link

NAME_PREFIX = "trio-swarm-bench-"
LEAST_OFFLOADED, MOST_OFFLOADED = 3000, 65536
"""Bytes of segments sent as one packet."""
BRIDGE = "bridge"


class Host(Metered):
    """One namespace with one address."""

    def __init__(self, name: str, address: str, reports: Path) -> None:
        super().__init__(name, reports)
        self.address = address

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `argv` inside and under a meter."""
        # Not super(): what is metered starts when it is inside.
        return ["ip", "netns", "exec", self.name, *super().command(argv)]

    def new_address(self) -> str:
        """Return the one there is."""
        return self.address


class Carried(NamedTuple):
    """Bytes of payload that a host has sent and received."""

    sent: int
    received: int


class Meters:
    """The counters of all ports of the bridge."""

    def __init__(self, hub: str, ports: Sequence[str]) -> None:
        self._ports = ports
        # Whoever reads it later, the file tells of the namespace it was opened in.
        self._file = inside(hub, Path("/proc/thread-self/net/dev").open)

    def read(self) -> list[Carried]:
        """Return what each host has carried so far, in the order of the ports."""
        text = os.pread(self._file.fileno(), 1 << 20, 0).decode()
        counts = {}
        for line in text.splitlines()[2:]:
            name, _, numbers = line.partition(":")
            counts[name.strip()] = [int(number) for number in numbers.split()]
        # What the port receives the host has sent.
        return [
            Carried(payload(*counts[port][0:2]), payload(*counts[port][8:10]))
            for port in self._ports
        ]

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class Shaped:
    """A network: the hosts in the order of their links, and one more without limits."""

    hosts: Sequence[Host]
    tracker: Host
    hub: str
    ports: Sequence[str]
    """In the hub: one for each host, the tracker's last."""
    meters: Meters


def problem() -> str | None:
    """Return why no such network can be made here, or None."""
    missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not found (Debian: iproute2)"
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    name = f"{NAME_PREFIX}{os.getpid()}-trial"
    try:
        run("ip", "netns", "add", name)
        remove(name)
    except OSError as error:  # a container's root may not
        return f"no network namespace can be made here: {error}"
    return None


def congestions() -> list[str]:
    """Return the names of the congestion controls that the kernel has."""
    path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    return path.read_text(encoding="ascii").split()


@contextlib.contextmanager
def shaped_network(
    links: Sequence[Link],
    reports: Path,
    *,
    bridged: bool = True,
    congestion: str | None = None,
    buffer: float = BUFFER_SECONDS,
    segments: int | None = None,
) -> Iterator[Shaped]:
    """Make a namespace for each link, one for a tracker and one for the bridge; remove them.

    bridged: join the hosts; without, a program in the hub must carry their packets. buffer: seconds
    that a full queue takes at its link's rate. segments: that a host sends as one packet at most.
    """
    remove_abandoned(NAME_PREFIX)
    prefix = f"{NAME_PREFIX}{os.getpid()}-"
    hub = f"{prefix}hub"
    names = [f"{prefix}{number}" for number in range(len(links))]
    addresses = [f"10.78.0.{number}" for number in range(1, len(links) + 2)]
    ports = [f"port{number}" for number in range(len(links) + 1)]
    with contextlib.ExitStack() as stack:
        # All with the prefix, for an interrupt may come between making and noting it.
        stack.callback(_remove_all, prefix)
        for name in (hub, *names, f"{prefix}tracker"):
            run("ip", "netns", "add", name)
        hosts = [
            Host(name, address, reports)
            for name, address in zip((*names, f"{prefix}tracker"), addresses, strict=True)
        ]
        for host, port in zip(hosts, ports, strict=True):
            _connect(host, hub, port, congestion)
        for host, port, link in zip(hosts, ports, links, strict=False):
            _limit(host.name, "eth0", link.up, buffer)
            _limit(hub, port, link.down, buffer)
        if segments is not None:
            for host in hosts:
                at_most = ["gso_max_segs", str(segments)]
                run("ip", "-netns", host.name, "link", "set", "eth0", *at_most)
        joining = [f"link set {port} up" for port in ports]
        if bridged:
            joining = [
                f"link add {BRIDGE} type bridge mcast_snooping 0",
                *(f"link set {port} master {BRIDGE}" for port in ports),
                *joining,
                f"link set {BRIDGE} up",
            ]
        run("ip", "-netns", hub, "-batch", "-", input="\n".join(joining))
        meters = Meters(hub, ports[: len(links)])
        stack.callback(meters.close)
        yield Shaped(hosts[:-1], hosts[-1], hub, ports, meters)


def _remove_all(prefix: str) -> None:
    with contextlib.ExitStack() as stack:  # every one is tried, whatever the others do
        for name in namespaces(prefix):
            stack.callback(remove, name)


def _connect(host: Host, hub: str, port: str, congestion: str | None) -> None:
    pair = ["type", "veth", "peer", "name", port, "netns", hub]
    run("ip", "link", "add", "eth0", "netns", host.name, *pair)
    up = [
        "link set lo up",
        "link set eth0 addrgenmode none",
        f"address add {host.address}/24 dev eth0",
        "link set eth0 up",
    ]
    if congestion is not None:
        route = f"route change 10.78.0.0/24 dev eth0 src {host.address}"
        up.append(f"{route} congctl {congestion}")
    run("ip", "-netns", host.name, "-batch", "-", input="\n".join(up))


def _limit(namespace: str, device: str, rate: float | None, buffer: float) -> None:
    if rate is None:
        return
    speed = f"rate {rate}mbit ceil {rate}mbit burst 16k cburst 16k quantum 16000"
    limit = round(rate * MBIT * buffer)
    # An offloaded packet of 64 KiB would not fit into a slow link's buffer at all, and is dropped
    # for ever: 5 Mbit/s carried 0.1.
    size = max(LEAST_OFFLOADED, min(MOST_OFFLOADED, limit // 8))
    run("ip", "-netns", namespace, "link", "set", device, "gso_max_size", str(size))
    shape = [
        f"qdisc add dev {device} root handle 1: htb default 1",
        f"class add dev {device} parent 1: classid 1:1 htb {speed}",
        f"qdisc add dev {device} parent 1:1 bfifo limit {limit}",
    ]
    run("tc", "-netns", namespace, "-batch", "-", input="\n".join(shape))


class Processors:
    """How busy the machine is from here on."""

    def __init__(self) -> None:
        self._before = self._times()

    def busy(self) -> float:
        """Return the share of all processors' time since the start that was not idle."""
        pairs = zip(self._times(), self._before, strict=True)
        idle, total = (after - before for after, before in pairs)
        return 1 - idle / total if total else 0.0

    def _times(self) -> tuple[int, int]:
        numbers = [int(text) for text in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return numbers[3] + numbers[4], sum(numbers)
