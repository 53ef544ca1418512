"""What is seen of a tracker as JSON, and as a page that asks nobody for anything. Pure."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import msgspec
from msgspec import Struct

from trio_swarm.foreign_text import shown
from trio_swarm.tracker.seen.figures import Seen, TopSwarm, TrackerFigures, biggest, summed
from trio_swarm.tracker.settings import TrackerSettings, bounds

MAX_SHOWN: Final = 120
"""Characters of a name on the page."""

REFRESH: Final = 5
"""Seconds after which the page is loaded again."""

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#666}
@media (prefers-color-scheme:dark){:root{--soft:#a0a0a0}}
body{font:15px/1.45 system-ui,sans-serif;margin:1.2rem auto;max-width:62rem;padding:0 1rem}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:.25rem .5rem;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}th:first-child,td:first-child{text-align:left}
td:first-child{overflow-wrap:anywhere;min-width:9rem}
code{font-size:.85em;color:var(--soft);overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;margin:0}
div.fact{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .7rem}
dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
p{color:var(--soft)}div.wide{overflow-x:auto}
"""


class TrackerStatus(Struct, frozen=True, kw_only=True):
    """What `/status.json` says; `trio-swarm tracker status` reads it."""

    version: str
    now: float
    """Unix seconds."""
    interval: float
    lease: float
    """Seconds."""
    total: TrackerFigures
    workers: list[TrackerFigures]
    limits: dict[str, int]
    """Of each worker."""
    top: list[TopSwarm]


def status_of(
    seen: Sequence[Seen], settings: TrackerSettings, *, version: str, now: float
) -> TrackerStatus:
    """Return the status of a tracker, of which `seen` has all processes."""
    return TrackerStatus(
        version=version,
        now=now,
        interval=settings.interval,
        lease=settings.lease_seconds,
        total=summed(each.figures for each in seen),
        workers=[each.figures for each in seen],
        limits={bound.name: getattr(settings, bound.name) for bound in bounds()},
        top=biggest(swarm for each in seen for swarm in each.top),
    )


def status_json(status: TrackerStatus) -> bytes:
    """Return the status as one JSON object."""
    return msgspec.json.encode(status) + b"\n"


def read_status(body: bytes) -> TrackerStatus:
    """Return the status in a JSON object; ValueError for anything else."""
    try:
        return msgspec.json.decode(body, type=TrackerStatus)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def status_page(status: TrackerStatus) -> bytes:
    """Return the page; names, which strangers gave, are escaped and cut."""
    total = status.total
    facts = [
        ("peers", _number(total.peers)),
        ("swarms", _number(total.swarms)),
        ("names", _number(total.names)),
        ("announces", _number(total.announces)),
        ("of them over HTTP", _number(total.announces_http)),
        ("scrapes", _number(total.scrapes_udp + total.scrapes_http)),
        ("name questions", _number(total.questions)),
        ("refused", _number(sum(total.refusals.values()))),
        ("up for", _duration(status.now - total.started_at)),
    ]
    if total.is_shared:
        facts += [
            ("other trackers", _number(total.trackers)),
            ("peers of theirs only", _number(total.held)),
            ("their news are", f"{total.lag:.1f} s old" if total.is_connected else "not heard"),
        ]
    boxes = "".join(
        f'<div class="fact"><dt>{escape(words)}</dt><dd>{escape(value)}</dd></div>'
        for words, value in facts
    )
    parts = [f"<h1>Tracker</h1><dl>{boxes}</dl>", _swarms(status.top)]
    if total.refusals:
        rows = [(escape(kind), _number(count)) for kind, count in sorted(total.refusals.items())]
        parts.append(_table("Refused, by setting", ("setting", "announces and names"), rows))
    if len(status.workers) > 1:
        parts.append(_workers(status.workers))
    rows = [(escape(name), _number(limit)) for name, limit in status.limits.items()]
    words = "Limits of each worker" if len(status.workers) > 1 else "Limits"
    parts.append(_table(words, ("setting", "value"), rows))
    parts.append(
        f"<p>Heartbeat every {status.interval:g} s, lease {status.lease:g} s. trio-swarm "
        f'{escape(status.version)}. As JSON: <a href="/status.json">/status.json</a>; for '
        'Prometheus: <a href="/metrics">/metrics</a>.</p>'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH}"><link rel="icon" href="data:,">'
        f"<title>trio-swarm tracker</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    ).encode(errors="replace")


def _swarms(top: Sequence[TopSwarm]) -> str:
    rows = [
        (
            f"{escape(shown(each.name, MAX_SHOWN))} <code>{escape(each.info_hash)}</code>",
            _number(each.seeders),
            _number(each.leechers),
            _number(each.completed),
        )
        for each in top
    ]
    if not rows:
        return "<h2>Biggest swarms</h2><p>No peer is listed.</p>"
    return _table("Biggest swarms", ("swarm", "seeders", "leechers", "done"), rows)


def _workers(workers: Sequence[TrackerFigures]) -> str:
    rows = [
        (
            _number(each.worker),
            _number(each.announces),
            _number(each.peers),
            _number(each.swarms),
            _number(each.names),
        )
        for each in workers
    ]
    return _table("Workers", ("worker", "announces", "peers", "swarms", "names"), rows)


def _table(words: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells of `rows` are HTML already."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<h2>{escape(words)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _number(value: int) -> str:
    return f"{value:,}"


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    clock = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock
