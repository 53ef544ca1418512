"""`trio-swarm tracker status`: what a running tracker does and holds."""

from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec
import trio

from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import Flag, OutputOptions, Trackers, trackers_given
from trio_swarm.cli.output.json_events import RunningTracker
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.tables import table_lines, width_of_terminal
from trio_swarm.cli.output.text import count_text, duration_text
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.errors import TrackerUnreachableError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.trackers.urls import parse_tracker_url
from trio_swarm.settings import DEFAULT_TRACKER
from trio_swarm.tracker.seen.status import TrackerStatus, read_status

MAX_STATUS: Final = 1 << 20
"""Bytes of an answer: 20 swarms and 64 workers take 60 KB."""
PATIENCE: Final = 10.0
"""Seconds for an answer."""
WATCH_SECONDS: Final = 2.0
_NAME_CELLS: Final = 60


async def tracker_status(
    *, tracker: Trackers = (), watch: Flag = False, output: OutputOptions | None = None
) -> int:
    """Tell what a running tracker does and holds: peers, swarms, announces, refusals, workers.

    It is asked over HTTP, at the port of the tracker. Only users of its machine may ask, and those
    of the networks that its setting status_from names.

    Parameters
    ----------
    tracker
        URL of a tracker; may be given several times. By default $TRIO_SWARM_TRACKER, or
        udp://127.0.0.1:6969.
    watch
        Go on, with a line of rates every two seconds, until Ctrl-C.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    trackers = trackers_given(tracker) or (DEFAULT_TRACKER,)
    addresses = {url: _address(url) for url in trackers}

    async def body() -> int:
        for url, address in addresses.items():
            _tell(url, await _asked(url, address), reporter)
        if watch:
            async with trio.open_nursery() as nursery:
                for url, address in addresses.items():
                    nursery.start_soon(_watch, url, address, reporter)
        return 0

    return await run_until_interrupted(body, reporter, interrupted=lambda: 0 if watch else FAILED)


def _address(url: str) -> str:
    """Return where a tracker tells its status; ConfigError for a wrong URL."""
    parsed = parse_tracker_url(url)
    scheme = "https" if parsed.scheme == "https" else "http"
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    return f"{scheme}://{host}:{parsed.port}/status.json"


async def _asked(url: str, address: str) -> TrackerStatus:
    """Return a tracker's status; raises TrackerError."""
    import httpx  # noqa: PLC0415 - as in `announcing.http_client`

    content = bytearray()
    try:
        with trio.fail_after(PATIENCE):
            async with (
                httpx.AsyncClient(trust_env=False) as client,
                client.stream("GET", address) as response,
            ):
                async for chunk in response.aiter_raw():
                    content += chunk[: MAX_STATUS - len(content)]
                    if len(content) >= MAX_STATUS:
                        break
                if response.status_code != 200:
                    raise TrackerUnreachableError(
                        _refusal(response.status_code, bytes(content)), tracker=url
                    )
    except trio.TooSlowError:
        raise TrackerUnreachableError(
            f"no answer over HTTP in {PATIENCE:g} seconds", tracker=url
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise TrackerUnreachableError(
            f"does not answer over HTTP: {shown(str(error) or type(error).__name__, 200)}",
            tracker=url,
        ) from None
    try:
        return read_status(bytes(content))
    except ValueError:
        raise TrackerUnreachableError("is no trio-swarm tracker that tells", tracker=url) from None


def _refusal(status: int, content: bytes) -> str:
    words = shown(content.decode(errors="replace").strip(), 200)
    return f"HTTP {status}: {words}" if words else f"HTTP {status}"


async def _watch(url: str, address: str, reporter: Reporter) -> NoReturn:
    before = await _asked(url, address)
    while True:
        await trio.sleep(WATCH_SECONDS)
        now = await _asked(url, address)
        seconds = max(0.1, now.now - before.now)
        rate = max(0, now.total.announces - before.total.announces) / seconds
        refused = sum(now.total.refusals.values()) - sum(before.total.refusals.values())
        line = (
            f"{shown(url)}: {count_text(now.total.peers, 'peer')} in "
            f"{count_text(now.total.swarms, 'swarm')}, {count_text(now.total.names, 'name')}; "
            f"{rate:,.1f} announces/s, {max(0, refused) / seconds:,.1f} refused/s"
        )
        reporter.answer(_event(url, now), line)
        before = now


def _tell(url: str, status: TrackerStatus, reporter: Reporter) -> None:
    reporter.answer(_event(url, status), "\n".join(_lines(url, status)))


def _event(url: str, status: TrackerStatus) -> RunningTracker:
    told = msgspec.to_builtins(status)
    return RunningTracker(
        tracker=url,
        version=status.version,
        interval=status.interval,
        lease=status.lease,
        total=told["total"],
        workers=told["workers"],
        limits=status.limits,
        top=told["top"],
    )


def _lines(url: str, status: TrackerStatus) -> list[str]:
    total, width = status.total, width_of_terminal()
    uptime = duration_text(max(0.0, status.now - total.started_at))
    facts = [
        ("tracker", f"{shown(url)}, trio-swarm {shown(status.version, 40)}, up for {uptime}"),
        (
            "holds",
            (
                f"{count_text(total.peers, 'peer')} in {count_text(total.swarms, 'swarm')}, "
                f"{count_text(total.names, 'name')}"
            ),
        ),
        (
            "answered",
            (
                f"{count_text(total.announces, 'announce')} ({total.heartbeats:,} changed nothing, "
                f"{total.announces_http:,} over HTTP), {total.scrapes_udp + total.scrapes_http:,} "
                f"scrapes, {count_text(total.questions, 'question')} for names"
            ),
        ),
        ("refused", _refused(total.refusals)),
    ]
    if total.is_shared:
        news = f"their news are {total.lag:.1f} s old" if total.is_connected else "not connected"
        facts.append(
            (
                "shares",
                (
                    f"with {count_text(total.trackers, 'tracker')} ({news}), "
                    f"{count_text(total.held, 'peer')} of theirs only"
                ),
            )
        )
    lines = [f"{name:<9}{words}" for name, words in facts]
    if len(status.workers) > 1:
        rows: list[Sequence[str]] = [("WORKER", "ANNOUNCES", "PEERS", "SWARMS", "NAMES")]
        rows += [
            (
                f"{each.worker}",
                f"{each.announces:,}",
                f"{each.peers:,}",
                f"{each.swarms:,}",
                f"{each.names:,}",
            )
            for each in status.workers
        ]
        lines += ["", *table_lines(rows, left=frozenset(), width=width)]
    if status.top:
        rows = [("BIGGEST SWARMS", "SEEDERS", "LEECHERS", "DONE", "INFO-HASH")]
        rows += [
            (
                shown(each.name, _NAME_CELLS) or "-",
                f"{each.seeders:,}",
                f"{each.leechers:,}",
                f"{each.completed:,}",
                shown(each.info_hash, 40),
            )
            for each in status.top
        ]
        lines += ["", *table_lines(rows, left=frozenset({0, 4}), width=width)]
    return lines


def _refused(refusals: dict[str, int]) -> str:
    if not refusals:
        return "nothing"
    most = sorted(refusals.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} by {shown(kind, 40)}" for kind, count in most)
