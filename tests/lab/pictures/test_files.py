"""Pictures as files: whole, self-contained, the same each time, and small."""

import base64
import html
import io
import json
import re
from array import array
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib.image
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from course_samples import courses, large
from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.axes import plain
from trio_swarm.lab.pictures.course import Course, CoursePeer, sent_by, sources
from trio_swarm.lab.pictures.lighting import Lighting, SourceColours
from trio_swarm.lab.pictures.numbers import levels_of, rate_curves, scale_of
from trio_swarm.lab.pictures.page import page
from trio_swarm.lab.pictures.panels import common_panels, own_panels
from trio_swarm.lab.pictures.poster import poster

TABLE = [["scheduler", "last"], ["a & b", "<1 s>"]]


@cache
def page_of(peers: int, pieces: int) -> str:
    """Draw the page of one large course, once for all that look at it."""
    return page("it", [large(peers, pieces)], table=[]).decode()


@cache
def png_poster() -> bytes:
    """Draw the poster of a course with a name that is too long for its panels."""
    course = large(30, 40)
    course.peers[3].name = "192.168.100.200:51413 and more"
    return poster("a title", [course], "png")


@pytest.fixture(scope="module")
def two() -> list[Course]:
    one, other = large(12, 40), large(12, 40)
    one.title, other.title = "rarest-first", "other:pieces=<b>&$x$"
    return [one, other]


@pytest.fixture(scope="module")
def drawn(two: list[Course]) -> str:
    means = {"last": "the end of <it>"}
    return page("a <swarm>", two, table=TABLE, columns=means, says="it's & that").decode()


class Tags(HTMLParser):
    """Checks that every tag is closed, and notes names and places."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "xlink:href"}:
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_needs_nothing_but_itself(drawn: str) -> None:
    assert "http:" not in drawn
    assert "https:" not in drawn
    assert drawn.count("<script>") == drawn.count("<script") == 1
    assert "fetch(" not in drawn
    assert "import" not in drawn[drawn.index("<script>") :]
    assert "@import" not in drawn
    tags = Tags()
    tags.feed(drawn)
    assert not tags.open
    assert len(set(tags.ids)) == len(tags.ids)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in tags.links)
    inner = {link[1:] for link in tags.links if link.startswith("#")}
    inner |= set(re.findall(r"url\(#([^)]*)\)", drawn))
    assert inner <= set(tags.ids)


def test_a_page_has_all_panels_of_each_and_its_table(drawn: str) -> None:
    for key in ("all-completion", "all-shares"):
        assert f'<figure id="{key}" ' in drawn
    for number in range(2):
        for key in ("availability", "holdings", "rates", "senders", "matrix"):
            assert f'<figure id="own{number}-{key}" ' in drawn
    assert "<h1>a &lt;swarm&gt;</h1>" in drawn
    assert "<td>&lt;1 s&gt;</td>" in drawn
    assert drawn.count("<h3>other:pieces=&lt;b&gt;&amp;$x$</h3>") == 5
    for svg in re.findall(r"<svg.*?</svg>", drawn, re.DOTALL):
        ET.fromstring(svg)


def test_lines_and_letters_follow_the_theme_of_the_reader(drawn: str) -> None:
    root, dark = re.findall(r":root\{([^}]*)\}", drawn)
    assert "prefers-color-scheme:dark" in drawn
    for variables, colours in ((root, theme.LIGHT), (dark, theme.DARK)):
        assert dict(each.split(":") for each in variables.removeprefix("--").split(";--")) == (
            colours
        )
    pictures = "".join(re.findall(r"<svg.*?</svg>", drawn, re.DOTALL))
    pictures = re.sub(r'href="data:[^"]*"', "", pictures)
    assert "var(--line0)" in pictures
    assert not re.findall(r"#[0-9a-f]{6}\b", pictures)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2.1, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_letters_and_lines_stand_out_in_either_theme(colours: dict[str, str]) -> None:
    paper = colours[theme.PAPER]
    assert contrast(colours[theme.INK], paper) > 12
    assert contrast(colours[theme.FAINT], paper) > 4.5
    assert all(contrast(colours[name], paper) > 4 for name in theme.SERIES)
    assert len(set(colours.values())) == len(colours)


def test_each_that_recorded_has_a_line_and_each_source_a_colour_of_its_own() -> None:
    course = large(12, 40)
    course.follows = list(range(1, 12))
    colours = SourceColours([course], Lighting(theme.LIGHT))
    lines = [course.peers[index] for index in course.recorders]
    assert len({(colours.of(peer), colours.stroke_of(peer)) for peer in lines}) == 11
    apart = sources(course)
    assert len(apart) > 5
    assert len(set(map(colours.of, apart))) == len(apart)
    text = page("it", [course], table=[]).decode()
    assert "What each peer that recorded has" in text
    assert "a seeder may tell of its pieces one by one" in text


def test_png_and_svg_are_whole(two: list[Course]) -> None:
    assert png_poster().startswith(b"\x89PNG\r\n\x1a\n")
    root = ET.fromstring(poster("it", two, "svg"))
    assert root.tag.endswith("svg")
    said = "".join(root.itertext())
    assert "rarest-first: copies of each piece" in said
    assert "who sent to whom" in said


def test_the_same_course_is_the_same_file() -> None:
    assert page("it", [large(4, 8)], table=[]).decode() == page_of(4, 8)


@pytest.mark.parametrize(("peers", "pieces"), [(1000, 40), (4, 10_000)])
def test_many_peers_and_pieces_make_no_large_file(peers: int, pieces: int) -> None:
    assert len(page_of(peers, pieces).encode()) < 600_000


def test_strangers_words_are_only_shown() -> None:
    course = large(3, 8)
    for name, peer in zip(
        ("<script>$\\frac{", "_\u202e\x00\x1b[2J", "例え" * 90, "$$\ud800"),
        course.peers,
        strict=True,
    ):
        peer.name = plain(name)
    course.title = "$\\frac{<b>"
    text = page("<script>", [course], table=[["<script>"]]).decode()
    assert text.count("<script") == 1  # ours
    svg = poster("$\\frac{\x00", [course], "svg")
    ET.fromstring(svg)
    assert poster("_", [course], "png").startswith(b"\x89PNG")


# Drawing takes a second, so there is no time to shrink what fails.
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(courses())
def test_whatever_happened_can_be_drawn(course: Course) -> None:
    ET.fromstring(poster("any", [course], "svg"))
    assert page("any", [course], table=[])


def test_a_swarm_in_which_nothing_happened_can_be_drawn() -> None:
    course = Course(title="", size=0, pieces=0, seconds=0.0, peers=[])
    assert page("nothing", [course], table=[])
    peer = CoursePeer(name="L1", role="leecher")
    course = Course(title="", size=10, pieces=1, seconds=0.0, peers=[peer])
    assert poster("nothing", [course], "png")
    assert page("nothing", [], table=[])


def test_few_copies_have_a_colour_each() -> None:
    assert levels_of(0) == [0, 1]
    assert levels_of(3) == [0, 1, 2, 3]
    assert levels_of(9) == [0, 1, 2, 3, 4, 6, 8]
    assert len(levels_of(1000)) < 24
    assert len(set(theme.copies_colours(7))) == 7


# What panels show, and what a page tells where the pointer is


def readings(text: str) -> dict[str, Any]:
    """Return what each figure of a page tells its script."""
    told = re.findall(r'<figure id="([^"]*)" data-reading="([^"]*)"', text)
    return {key: json.loads(html.unescape(value)) for key, value in told}


def told_of(courses: list[Course]) -> dict[str, Any]:
    """Return what the figures of a page would tell its script, without drawing them."""
    light = Lighting(theme.LIGHT)
    colours, scale = SourceColours(courses, light), scale_of(courses)
    panels = {f"all-{panel.key}": panel for panel in common_panels(courses, light)}
    for number, course in enumerate(courses):
        own = own_panels(course, scale, colours, light)
        panels |= {f"own{number}-{panel.key}": panel for panel in own}
    return {key: panel.read().told() for key, panel in panels.items()}


def labels(svg: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def figure_of(text: str, key: str) -> str:
    return text[text.index(f'<figure id="{key}"') :].split("</figure>", maxsplit=1)[0]


def test_thirty_peers_have_their_names_in_all_panels() -> None:
    text = page_of(30, 40)
    every = {"S1", *(f"L{number}" for number in range(1, 31))}
    for panel in ("all-shares", "own0-holdings", "own0-matrix"):
        assert every <= set(labels(figure_of(text, panel))), panel


def test_of_more_peers_than_have_room_some_have_their_names_and_all_are_told() -> None:
    text = page("many", [large(200, 10)], table=[]).decode()
    shown = [each for each in labels(figure_of(text, "own0-holdings")) if each[:1] in "SL"]
    assert 25 <= len(shown) <= 41
    assert shown[0] == "S1"
    assert len(readings(text)["own0-holdings"]["names"]) == 201
    assert "of those that sent most (40 of 201)" in text


def test_each_peer_has_a_bar_with_what_it_sent() -> None:
    course = large(30, 40)
    bars = readings(page_of(30, 40))["all-shares"]
    assert bars["names"] == [peer.name for peer in course.peers]
    size = course.size
    assert bars["amounts"] == [[pytest.approx(n / size, abs=1e-4) for n in sent_by(course)]]


def test_schedulers_stand_side_by_side_on_one_scale() -> None:
    slow, quick = large(4, 8), large(4, 8)
    slow.title, quick.title, quick.seconds = "slow", "quick", 50.0
    quick.gains.at = array("d", (at / 2 for at in quick.gains.at))
    quick.blocks.at = array("d", (at / 2 for at in quick.blocks.at))
    text = page("two", [slow, quick], table=[]).decode()
    told = readings(text)
    for key in ("availability", "holdings", "rates"):
        one, other = told[f"own0-{key}"], told[f"own1-{key}"]
        assert one["seconds"] == other["seconds"] == 100.0
        assert one["box"] == other["box"]
        section = text[text.index(f'id="own0-{key}"') : text.index(f'id="own1-{key}"')]
        assert "<h2>" not in section
    rates = [labels(figure_of(text, f"own{number}-rates")) for number in range(2)]
    assert rates[0] == rates[1]
    bars = [labels(figure_of(text, f"own{number}-matrix")) for number in range(2)]
    assert bars[0] == bars[1]


def test_three_schedulers_stand_side_by_side_with_letters_as_large(drawn: str) -> None:
    three = [large(2, 4) for _ in range(3)]
    for number, each in enumerate(three):
        each.title = f"scheduler {number}"
    text = page("three", three, table=[], says="of three").decode()
    assert "<h1>three</h1>\n<p>of three</p>" in text
    assert text.count('<div class="panels narrow">') == 4
    widths = [
        float(re.findall(r'viewBox="0 0 ([0-9.]+) ', figure_of(text, key))[0])
        for key in ("all-completion", *(f"own{number}-holdings" for number in range(3)))
    ]
    assert widths[0] > 1.25 * widths[1]
    assert widths[1] == widths[2] == widths[3]
    assert 'class="panels narrow"' not in drawn  # of two


def test_who_leaves_and_who_dies_is_marked() -> None:
    course = large(4, 8)
    course.peers[1].left, course.peers[2].left, course.peers[2].died = 30.0, 40.0, True
    text = page("it", [course], table=[]).decode()
    for panel in ("all-completion", "own0-holdings"):
        figure = figure_of(text, panel)
        assert len(re.findall(r'id="[^"]*-left"', figure)) == 1
        assert len(re.findall(r'id="[^"]*-died"', figure)) == 1
        assert "| it leaves, x it dies" in html.unescape(figure)
    assert "it leaves" not in page_of(4, 8)


def test_a_poster_tells_what_its_panels_show_and_what_its_marks_mean() -> None:
    course = large(4, 8)
    course.peers[1].left, course.peers[2].left, course.peers[2].died = 30.0, 40.0, True
    words = " ".join(labels(poster("it", [course], "svg", says="1 seeder, $x$").decode()))
    for told in ("| it leaves, x it dies", "hatched: it is not there", "1 seeder, $x$"):
        assert told in words.replace("\\", "")


def test_of_many_peers_each_has_a_row_with_how_fast_it_sent() -> None:
    course = large(30, 40)
    told = readings(page_of(30, 40))
    rows = told["own0-senders"]
    assert rows["names"] == [peer.name for peer in course.peers]
    cells = base64.b64decode(rows["cells"])
    count, width = len(rows["names"]), rows["end"] / rows["columns"]
    for row, nbytes in enumerate(sent_by(course)):
        total = sum(cells[row::count]) * rows["step"] * width
        # Each cell is rounded to a step.
        assert total == pytest.approx(nbytes, abs=rows["columns"] * rows["step"] * width / 2)
    (seeder, leechers) = told["own0-rates"]["curves"]
    assert (seeder["name"], leechers["name"]) == ("S1", "30 leechers")
    assert len(seeder["times"]) == rows["columns"]


def test_a_page_tells_its_script_what_its_panels_say() -> None:
    told = readings(page_of(4, 8))
    pure = json.loads(json.dumps(told_of([large(4, 8)])))
    assert {key: {**each, **pure[key]} for key, each in told.items()} == told
    assert told.keys() == pure.keys()


def test_few_peers_are_told_apart_by_curves_alone() -> None:
    told = readings(page_of(4, 8))
    assert [each["name"] for each in told["own0-rates"]["curves"]] == ["S1", "L1", "L2", "L3", "L4"]
    assert "own0-senders" not in told


def test_rates_end_with_the_last_block() -> None:
    course = large(4, 8)
    course.seconds = 400.0  # seeders stay
    (curve, *_) = told_of([course])["own0-rates"]["curves"]
    assert max(curve["times"]) <= 110.0
    assert rate_curves(course)[0][0][-1] <= 110.0


def test_a_curve_of_a_shorter_run_ends_with_it() -> None:
    long, brief = large(4, 8), large(4, 8)
    brief.title, brief.seconds = "brief", 101.0
    long.seconds = 200.0
    told = told_of([long, brief])["all-completion"]["curves"]
    (curve,) = [each for each in told if each["name"] == "brief"]
    is_drawn = {
        at: part is not None for at, part in zip(curve["times"], curve["values"], strict=True)
    }
    first_after = min(at for at in is_drawn if at >= 101.0)
    assert is_drawn == {at: at <= first_after for at in is_drawn}
    assert len(set(is_drawn.values())) == 2


def test_a_curve_ends_with_all_that_was_reached() -> None:
    # The last piece of a run seldom arrives at a moment that the grid of a longer one looks at.
    long, brief = large(4, 8), large(4, 8)
    brief.title, long.seconds = "brief", 200.0
    brief.seconds = max(brief.gains.at)
    told = told_of([long, brief])["all-completion"]["curves"]
    for name in ("brief", "brief: complete"):
        (curve,) = [each for each in told if each["name"] == name]
        assert [each for each in curve["values"] if each is not None][-1] == 1.0


def test_what_the_columns_mean_is_on_the_page(drawn: str) -> None:
    assert '<th title="the end of &lt;it&gt;">last</th>' in drawn
    assert "<dt>last</dt><dd>the end of &lt;it&gt;</dd>" in drawn
    assert "<dt>scheduler" not in drawn


def test_heat_maps_get_lighter_from_little_to_much() -> None:
    """One sequence of colours for all, of which grey tells the order (CIE lightness)."""
    luminances = [
        0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        for red, green, blue, _ in theme.amount_colours()
    ]
    assert luminances == sorted(luminances)
    steps = [116 * (high ** (1 / 3) - low ** (1 / 3)) for low, high in pairwise(luminances)]
    assert max(steps) < 3 * min(steps)
    assert theme.copies_colours(65)[1:] == theme.amount_colours()


def test_nothing_of_a_png_is_cut_off_at_its_edges() -> None:
    image = matplotlib.image.imread(io.BytesIO(png_poster()))
    edge = 10
    for strip in (image[:edge], image[-edge:], image[:, :edge], image[:, -edge:]):
        assert strip[..., :3].min() > 0.98  # paper
