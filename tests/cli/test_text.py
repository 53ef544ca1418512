"""What people and programs read: sizes, times, strangers' words, events, tables."""

import json
import re
import unicodedata
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import read_event
from shown_events import Shown, drawn, peer_of, progress_of
from trio_swarm import events
from trio_swarm.cli.output import json_events, json_lines
from trio_swarm.cli.output.describe import describe
from trio_swarm.cli.output.json_lines import json_line
from trio_swarm.cli.output.progress_lines import progress_event, progress_line
from trio_swarm.cli.output.reporting import HashingProgress
from trio_swarm.cli.output.text import (
    columns,
    count_text,
    duration_text,
    percent_text,
    rate_text,
    safe_text,
    size_text,
)
from trio_swarm.progress import Progress, State

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m[bold]x[/bold]\u202egpj.exe\r\nline two \udcff :smile:"


def events_of(module: ModuleType) -> list[type[events.Event]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, events.Event) and value is not events.Event
    ]


def example_of(kind: type[events.Event], text: str = "x") -> events.Event:
    """Return an event of `kind` with every field filled in."""
    values = {
        "str": text,
        "str | None": text,
        "int": 3,
        "int | None": 3,
        "float": 1.5,
        "float | None": 1.5,
        "bool": True,
        "bool | None": True,
        "list[str]": [text],
        "list[list[str]]": [[text]],
        "list[dict[str, str]]": [{"name": text, "here": text}],
        "list[dict[str, object]]": [{"path": text, "size": 1}],
        "list[trio_swarm.cli.output.json_events.SizedFile]": [
            json_events.SizedFile(path=text, size=1)
        ],
        "dict[str, int]": {text: 1},
        "dict[str, str]": {text: text},
        "Mapping[str, str]": {text: text},
        "dict[str, object]": {"path": text, "size": 1},
        "dict[str, object] | None": {"path": text, "size": 1},
        "Mapping[str, object] | None": {"path": text, "size": 1},
        "Mapping[str, float]": {text: 0.5},
    }

    def spelled(annotation: object) -> str:
        is_plain = isinstance(annotation, type) and not hasattr(annotation, "__args__")
        name = annotation.__name__ if is_plain else str(annotation)
        return name.replace("collections.abc.", "")

    fields = {each.name: values[spelled(each.type)] for each in msgspec.structs.fields(kind)}
    return kind(**fields)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1024, "1 KiB"),
        (1536, "1.50 KiB"),
        (256 * 1024**2, "256 MiB"),
        (1.25 * 1024**3, "1.25 GiB"),
        (2**62, "4 EiB"),
    ],
)
def test_sizes_have_three_digits_and_a_binary_unit(size: int, shown: str) -> None:
    assert size_text(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (42.4, "42 s"),
        (187, "3:07 min"),
        (7500, "2:05 h"),
        (200_000, "2 days"),
    ],
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert duration_text(seconds) == shown


def test_a_hundred_percent_means_all_of_it() -> None:
    assert percent_text(999_999, 1_000_000) == "99 %"
    assert percent_text(1_000_000, 1_000_000) == "100 %"
    assert percent_text(0, 0) == "0 %"
    assert percent_text(372, 1000) == "37.2 %"


def test_counts_and_rates_read_well() -> None:
    assert count_text(1, "peer") == "1 peer"
    assert count_text(1024, "piece") == "1,024 pieces"
    assert rate_text(0.3) == ""
    assert rate_text(3.2 * 1024**2) == "3.20 MiB/s"


@given(st.text())
def test_safe_text_steers_no_terminal_and_keeps_one_line(text: str) -> None:
    safe = safe_text(text)
    assert not {unicodedata.category(each) for each in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(safe) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    safe.encode()
    assert safe_text(safe) == safe


def test_safe_text_leaves_names_of_all_languages_alone() -> None:
    assert safe_text("naïve café 日本語 😀.mkv") == "naïve café 日本語 😀.mkv"
    assert safe_text("a\nb\x1b[31m") == "a\\nb\\x1b[31m"


@pytest.mark.parametrize("kind", events_of(events), ids=lambda kind: kind.__name__)
def test_every_event_of_a_node_is_described_in_one_line_once_made_safe(
    kind: type[events.Event],
) -> None:
    line = safe_text(describe(example_of(kind, HOSTILE)))
    assert "\n" not in line
    assert "\x1b" not in line
    assert describe(example_of(kind)) != example_of(kind).name.replace("_", " ")


@pytest.mark.parametrize(
    "kind",
    [*events_of(events), *events_of(json_events), *events_of(json_lines)],
    ids=lambda kind: kind.__name__,
)
def test_every_event_is_one_line_of_ascii_json_with_its_name(kind: type[events.Event]) -> None:
    event = example_of(kind, HOSTILE)
    line = json_line(event)
    assert line.isascii()
    assert line.isprintable()
    read = read_event(line)
    assert read == json.loads(json.dumps(event.as_dict()))
    assert re.fullmatch(r"[a-z_]+", read["event"])


@pytest.mark.parametrize(
    "kind",
    [*events_of(events), *events_of(json_events), *events_of(json_lines)],
    ids=lambda kind: kind.__name__,
)
def test_every_event_is_in_the_documentation_of_json(kind: type[events.Event]) -> None:
    assert json_events.__doc__ is not None
    assert f"`{example_of(kind).name}`" in json_events.__doc__


def test_a_line_of_progress_says_what_moves() -> None:
    line = progress_line("film", progress_of(upload_rate=2048.0))
    assert line == "film: 25 % of 0.98 MiB, 1 MiB/s from 2 peers, 2 KiB/s up, 12 s left"
    assert progress_line("film", progress_of(state="seeding")) == ""
    seeding = progress_of(state="seeding", upload_rate=4096.0)
    assert progress_line("film", seeding) == "film: seeding 4 KiB/s to 2 peers, ratio 0.50"
    assert "checked 25 %" in progress_line("film", progress_of(state="checking"))
    assert "asking 2 peers" in progress_line("film", progress_of(state="metadata"))


def test_the_progress_event_holds_every_field_and_no_infinity() -> None:
    event = progress_event(b"\1" * 20, "film", progress_of(eta=float("inf")), [peer_of()])
    read = json.loads(json_line(event))
    assert read["event"] == "progress"
    assert read["eta"] is None
    assert read["info_hash"] == "01" * 20
    assert read["connections"][0]["address"] == "10.0.0.1:51413"
    assert {field.name for field in msgspec.structs.fields(Progress)} <= set(read)


def test_the_display_has_a_bar_rates_pieces_and_a_row_per_peer() -> None:
    peers = [peer_of(), peer_of(address="[::1]:9", client="aria2", snubbed=True)]
    text = drawn([Shown("film", progress_of(), peers)])
    for part in ("film", "━", "25 % of 0.98 MiB", "1 MiB/s", "12 s left", "250/1,000 pieces"):
        assert part in text
    rows = [line for line in text.splitlines() if "10.0.0.1:51413" in line or "[::1]:9" in line]
    assert "libtorrent 2.0.11" in rows[0]
    assert "2 KiB/s" in rows[0]
    assert "50 %" in rows[0]
    assert "silent" in rows[1]


def test_a_seeder_that_shows_its_pieces_one_by_one_is_no_part_of_the_way() -> None:
    """BEP 16: what it has shown is no measure of what it has."""
    text = drawn([Shown("film", progress_of(), [peer_of(share=0.128, is_seeder=True)])])
    (row,) = [line for line in text.splitlines() if "10.0.0.1:51413" in line]
    assert "12.8 %" not in row
    assert " all " in row


@pytest.mark.parametrize("state", ["metadata", "checking", "finishing", "seeding", "failed"])
def test_the_display_knows_every_state(state: State) -> None:
    assert "film" in drawn([Shown("film", progress_of(state=state), [])])


def test_the_display_shows_hashing_and_the_hash_of_what_has_no_name() -> None:
    hashing = HashingProgress(Path("/some/where/folder"))
    hashing(50, 100)
    text = drawn([Shown("", progress_of(state="metadata"), [])], [hashing])
    assert "folder" in text
    assert "50 % of 100 B hashed" in text
    assert "ab" * 20 in text


@given(
    st.lists(st.integers(min_value=0, max_value=40), max_size=12),
    st.integers(min_value=4, max_value=60),
    st.integers(min_value=20, max_value=200),
)
def test_the_display_never_has_more_rows_than_there_are(
    peers_of_each: list[int], rows: int, width: int
) -> None:
    torrents = [
        Shown(f"film {index}", progress_of(), [peer_of() for _ in range(count)])
        for index, count in enumerate(peers_of_each)
    ]
    text = drawn(torrents, rows=rows, width=width)
    assert len(text.splitlines()) <= rows


def test_the_display_takes_nothing_of_strangers_for_markup_or_control() -> None:
    console_text = drawn(
        [Shown(HOSTILE, progress_of(), [peer_of(client=HOSTILE, address=HOSTILE)])], width=300
    )
    assert "\x1b]0;" not in console_text
    assert "\x1b[2J" not in console_text
    assert "[bold]x[/bold]" in console_text
    assert ":smile:" in console_text


def test_columns_align_also_with_wide_characters() -> None:
    lines = columns([("NAME", "SIZE"), ("日本", "5 B"), ("e\u0301", "10 B")], left=frozenset({0}))
    assert lines == ["NAME  SIZE", "日本   5 B", "e\u0301     10 B"]
