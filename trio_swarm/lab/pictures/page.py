"""All panels on one HTML page without other files, in the reader's light or dark theme.

Each panel is drawn once, as SVG; its colours become CSS variables that have a value for each theme.
Heat maps are small images inside. A few lines of script show the values under the pointer, and the
same time in all panels; without script only these are missing.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from types import MappingProxyType

from matplotlib.figure import Figure

from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.course import Course
from trio_swarm.lab.pictures.lighting import Lighting, SourceColours
from trio_swarm.lab.pictures.numbers import scale_of, short
from trio_swarm.lab.pictures.panels import Panel, common_panels, own_panels
from trio_swarm.lab.pictures.poster import by_kind, drawing, svg_of

_STYLE = """\
*{box-sizing:border-box}
body{margin:0 auto;padding:1.2rem;max-width:1800px;background:var(--paper);color:var(--ink);
 font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.25rem;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:1.6rem 0 .5rem;overflow-wrap:anywhere}
h3{font-size:.95rem;margin:0;overflow-wrap:anywhere}
p{margin:0;color:var(--faint);overflow-wrap:anywhere}
figure p{font-size:.85rem}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:.9rem;
 align-items:start}
.narrow{grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr))}
.panels+.panels{margin-top:.9rem}
figure{margin:0;padding:.8rem;border:1px solid var(--rule);border-radius:8px;min-width:0}
figure svg{display:block;width:100%;height:auto;margin-top:.4rem;overflow:visible}
figure svg text{font-family:system-ui,sans-serif!important}
svg image{image-rendering:pixelated}
svg .cursor{stroke:var(--ink);stroke-width:.8;pointer-events:none}
output{display:block;min-height:1.3em;font-size:.8rem;color:var(--faint);overflow-wrap:anywhere;
 font-variant-numeric:tabular-nums}
#tip{position:fixed;z-index:1;max-width:22rem;padding:.3rem .5rem;border:1px solid var(--rule);
 border-radius:6px;background:var(--paper);color:var(--ink);font-size:.85rem;white-space:pre-line;
 pointer-events:none;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;margin:.9rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child{text-align:left;padding-left:0}
th{color:var(--faint);font-weight:500}
details{margin:.5rem 0;font-size:.85rem;color:var(--faint)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.4rem 0}
dt{color:var(--ink)}
dd{margin:0}
"""

_WIDTH = 6.0
"""Inches of a panel, with letters of 9 points."""

_NARROW = 4.6
"""Inches of a panel if three or more are side by side, so that letters keep their size on a
screen."""

_NONE: Mapping[str, str] = MappingProxyType({})


def page(
    title: str,
    courses: Sequence[Course],
    *,
    table: Sequence[Sequence[str]],
    says: str = "",
    columns: Mapping[str, str] = _NONE,
) -> bytes:
    """Return the page as UTF-8.

    `table` is shown above the panels, its first row as headings; `columns` explains the headings.
    If there are several courses, their panels of one kind are side by side.
    """
    light = Lighting(theme.LIGHT)
    scale = scale_of(courses)
    colours = SourceColours(courses, light)
    with drawing():
        sections = [
            _section("", [_figure(p, f"all-{p.key}") for p in common_panels(courses, light)])
        ]
        own = [own_panels(each, scale, colours, light) for each in courses]
        if len(courses) == 1:
            sections.append(_section("", [_figure(panel, f"own0-{panel.key}") for panel in own[0]]))
        else:
            for kind, found in by_kind(own):
                is_narrow = len(courses) > 2
                figures = [
                    _figure(
                        panel,
                        f"own{number}-{panel.key}",
                        short(courses[number].title),
                        width=_NARROW if is_narrow else _WIDTH,
                    )
                    for number, panel in found
                ]
                shown = found[0][1].says
                sections.append(_section(kind, figures, shown, is_narrow=is_narrow))
    text = html.escape(title)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{text}</title>",
        f"<style>\n:root{{{_variables(theme.LIGHT)}}}",
        f"@media (prefers-color-scheme:dark){{:root{{{_variables(theme.DARK)}}}}}",
        f"{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{text}</h1>",
        f"<p>{html.escape(says)}</p>",
        _table(table, columns),
        *sections,
        f"<script>\n{_script()}</script>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(parts).encode()


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


def _script() -> str:
    return resources.files("trio_swarm.lab.pictures").joinpath("page.js").read_text("utf-8")


def _table(rows: Sequence[Sequence[str]], columns: Mapping[str, str]) -> str:
    if not rows:
        return ""
    head = "".join(
        f'<th title="{html.escape(columns[text])}">{html.escape(text)}</th>'
        if text in columns
        else f"<th>{html.escape(text)}</th>"
        for text in rows[0]
    )
    lines = [f"<tr>{head}</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>"
        for row in rows[1:]
    ]
    table = '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"
    return f"{table}\n{_legend(rows[0], columns)}"


def _legend(titles: Sequence[str], columns: Mapping[str, str]) -> str:
    told = [
        f"<dt>{html.escape(title)}</dt><dd>{html.escape(columns[title])}</dd>"
        for title in titles
        if title in columns
    ]
    if not told:
        return ""
    return (
        "<details><summary>What the columns mean</summary><dl>"
        + "\n".join(told)
        + "</dl></details>"
    )


def _section(
    heading: str, figures: Sequence[str], says: str = "", *, is_narrow: bool = False
) -> str:
    title = f"<h2>{html.escape(heading)}</h2>\n<p>{html.escape(says)}</p>\n" if heading else ""
    kind = "panels narrow" if is_narrow else "panels"
    return "\n".join([f'{title}<div class="{kind}">', *figures, "</div>"])


def _figure(panel: Panel, key: str, of: str = "", *, width: float = _WIDTH) -> str:
    """Return one panel; `of` is its course, if the caption names the course and not the kind."""
    # A square stays a square.
    height = panel.height * (width / _WIDTH if panel.key == "matrix" else 1.0)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.set_facecolor("none")
    axes = figure.subplots()
    panel.draw(axes)
    title = of or panel.title
    svg = _inline(svg_of(figure).decode(), key, f"{panel.title}: {of}" if of else title)
    box = axes.get_position()
    reading = {
        **panel.read().told(),
        "panel": panel.key,
        "box": [round(each, 5) for each in (box.x0, 1.0 - box.y1, box.width, box.height)],
        "seconds": axes.get_xlim()[1],
    }
    says = "" if of else f"<p>{html.escape(panel.says)}</p>\n"
    told = html.escape(json.dumps(reading, separators=(",", ":")))
    return (
        f'<figure id="{key}" data-reading="{told}"><h3>{html.escape(title)}</h3>'
        f"{says}{svg}<output></output></figure>"
    )


def _inline(svg: str, key: str, title: str) -> str:
    """Return an SVG file as part of a page: no prologue, the page's colours and ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    svg = f'<svg {box[0] if box else ""} role="img" aria-label="{html.escape(title)}">{rest}'
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = svg.replace("url(#", f"url(#{key}-").replace('href="#', f'href="#{key}-')
    for name, colour in theme.LIGHT.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg
