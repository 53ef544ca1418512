"""All panels on one page of HTML that needs nothing else, in light and dark as its reader has it.

Each panel is drawn once, as SVG; its colours become variables of CSS, which know both themes. Heat
maps are small images inside.
"""

import html
import re
from collections.abc import Sequence

from matplotlib.figure import Figure

from trio_swarm.pictures import theme
from trio_swarm.pictures.course import Course
from trio_swarm.pictures.lighting import Lighting, SourceColours
from trio_swarm.pictures.panels import (
    Panel,
    common_panels,
    most_copies_of,
    own_panels,
)
from trio_swarm.pictures.poster import drawing, svg_of

_STYLE = """\
*{box-sizing:border-box}
body{margin:0 auto;padding:1.2rem;max-width:1500px;background:var(--paper);color:var(--ink);
 font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.25rem;margin:0 0 .2rem}
h2{font-size:1.05rem;margin:1.6rem 0 .5rem;overflow-wrap:anywhere}
h3{font-size:.95rem;margin:0}
p{margin:0;color:var(--faint);overflow-wrap:anywhere}
figure p{font-size:.85rem}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,560px),1fr));gap:.9rem}
.panels+.panels{margin-top:.9rem}
figure{margin:0;padding:.8rem;border:1px solid var(--rule);border-radius:8px;min-width:0}
figure svg{display:block;width:100%;height:auto;margin-top:.4rem}
figure svg text{font-family:system-ui,sans-serif!important}
svg image{image-rendering:pixelated}
.wide{overflow-x:auto;margin:.9rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child{text-align:left;padding-left:0}
th{color:var(--faint);font-weight:500}
"""


def page(
    title: str, courses: Sequence[Course], *, table: Sequence[Sequence[str]], says: str = ""
) -> bytes:
    """Return the page, UTF-8.

    `table` is shown above the panels, its first row as headings; several courses are compared.
    """
    light = Lighting(theme.LIGHT)
    most = most_copies_of(courses)
    seconds = max((each.seconds for each in courses), default=0.0)
    colours = SourceColours(courses, light)
    with drawing():
        sections = [_section("", common_panels(courses, light), "all")]
        for number, course in enumerate(courses):
            heading = course.title if len(courses) > 1 else ""
            panels = own_panels(course, most, seconds, colours, light)
            sections.append(_section(heading, panels, f"own{number}"))
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
        _table(table),
        *sections,
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(parts).encode()


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [
        "<tr>"
        + "".join(
            f"<{cell}>{html.escape(text)}</{cell}>"
            for text in row
            for cell in ("td" if n else "th",)
        )
        + "</tr>"
        for n, row in enumerate(rows)
    ]
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def _section(heading: str, panels: Sequence[Panel], key: str) -> str:
    figures = "\n".join(_figure(panel, f"{key}-{panel.key}") for panel in panels)
    title = f"<h2>{html.escape(heading)}</h2>\n" if heading else ""
    return f'{title}<div class="panels">\n{figures}\n</div>'


def _figure(panel: Panel, key: str) -> str:
    figure = Figure(figsize=(6.0, panel.height), layout="constrained")
    figure.set_facecolor("none")
    panel.draw(figure.subplots())
    svg = _inline(svg_of(figure).decode(), key)
    return (
        f'<figure id="{key}"><h3>{html.escape(panel.title)}</h3>'
        f"<p>{html.escape(panel.says)}</p>\n{svg}</figure>"
    )


def _inline(svg: str, key: str) -> str:
    """Return an SVG file as part of a page: no prologue, colours and names of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    svg = f'<svg {box[0] if box else ""} role="img">{rest}'
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = svg.replace("url(#", f"url(#{key}-").replace('href="#', f'href="#{key}-')
    for name, colour in theme.LIGHT.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg
