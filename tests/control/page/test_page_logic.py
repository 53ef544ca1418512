"""What the page decides in plain functions: lists, events, pieces. Run in the browser."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.foreign("chromium")
Call = Callable[..., Any]
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Lists


def torrents() -> list[dict[str, Any]]:
    return [
        {
            "id": 1,
            "name": "Debian image",
            "state": "downloading",
            "labels": ["os"],
            "eta": 5,
            "info_hash": "ab" * 20,
        },
        {
            "id": 2,
            "name": "debian docs",
            "state": "seeding",
            "labels": [],
            "eta": None,
            "upload_rate": 9,
        },
        {"id": 3, "name": "photos", "state": "failed", "labels": ["os", "mine"], "eta": None},
    ]


@pytest.mark.parametrize(
    ("wish", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"state": "seeding"}, [2]),
        ({"state": "active"}, [2]),
        ({"label": "os"}, [1, 3]),
        ({"text": "DEBIAN"}, [1, 2]),
        ({"text": "debian image"}, [1]),
        ({"text": "abab"}, [1]),
        ({"text": "aba"}, []),
        ({"state": "seeding", "label": "os"}, []),
    ],
)
def test_a_filter_asks_for_state_label_and_every_word(
    js: Call, wish: dict[str, str], ids: list[int]
) -> None:
    assert [each["id"] for each in torrents() if js("listing", "matches", each, wish)] == ids


def test_what_needs_a_look_comes_first_and_an_unknown_time_last(js: Call) -> None:
    by_state = js("listing", "sorted", torrents(), "state")
    assert [each["id"] for each in by_state] == [3, 1, 2]
    by_time = js("listing", "sorted", torrents(), "eta")
    assert [each["id"] for each in by_time] == [1, 2, 3]


def test_equal_rows_stay_in_the_order_of_their_ids_in_both_directions(js: Call) -> None:
    equal = [{"id": number, "size": 1} for number in (3, 1, 2)]
    for descending in (False, True):
        found = js("listing", "sorted", equal, "size", descending)
        assert [each["id"] for each in found] == [1, 2, 3]


# Events


@few
@given(data=st.data())
def test_events_are_the_same_however_the_stream_is_cut(modules: Any, data: st.DataObject) -> None:
    """HTML standard, 9.2.6 "Interpreting an event stream"."""
    told = data.draw(
        st.lists(
            st.tuples(st.sampled_from(["torrents", "added", ""]), st.text(max_size=20)), max_size=6
        )
    )
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    stream = f": hello{end}{end}"
    for name, text in told:
        stream += f"event: {name}{end}" * bool(name) + f"data: {json.dumps(text)}{end}{end}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = modules.evaluate(
        """async (parts) => {
             const { EventReader } = await import("/page/js/stream.js");
             const reader = new EventReader();
             return parts.flatMap((part) => reader.feed(part));
           }""",
        parts,
    )
    assert [(each["name"], json.loads(each["data"])) for each in found] == [
        (name or "message", text) for name, text in told
    ]


def test_an_event_without_end_is_not_kept_for_ever(modules: Any) -> None:
    assert (
        modules.evaluate(
            """async () => {
             const { EventReader } = await import("/page/js/stream.js");
             const reader = new EventReader();
             const part = "x".repeat(1024 * 1024);
             for (let fed = 1; fed < 100; fed += 1) {
               try { reader.feed(part); } catch (error) { return fed; }
             }
             return "never";
           }"""
        )
        < 20
    )


def test_tries_to_connect_come_ever_later_but_within_fifteen_seconds(js: Call) -> None:
    pauses = [js("stream", "pauseBefore", attempt, 0) for attempt in (1, 2, 3, 4, 5, 50)]
    assert pauses == [1, 2, 4, 8, 15, 15]
    assert js("stream", "pauseBefore", 50, 1) == pytest.approx(11.25)


def test_changes_are_folded_into_what_is_known_and_removed_ones_leave_nothing(modules: Any) -> None:
    known = modules.evaluate(
        """async () => {
             const { Known } = await import("/page/js/folding.js");
             const known = new Known();
             known.replace([{id: 1, name: "a", download_rate: 5}, {id: 2, name: "b"}]);
             known.sample();
             known.change([{id: 1, download_rate: 7}, {id: 3, name: "c"}], [2]);
             const sums = known.sample();
             const kept = known.rates.has(1) && !known.rates.has(2) && !known.rates.has(3);
             known.change([], [1]);
             return {ids: [...known.torrents.keys()], sums, kept, gone: !known.rates.has(1)};
           }"""
    )
    assert known == {"ids": [3], "sums": {"down": 7, "up": 0}, "kept": True, "gone": True}


@pytest.mark.parametrize(
    ("highest", "top"),
    [(1, 1), (3, 5), (900, 1000), (1001, 1024), (1025, 2048), (11_900_000, 20 * 1024**2)],
)
def test_the_top_of_an_axis_is_a_round_number_above_the_curve(
    js: Call, highest: int, top: int
) -> None:
    assert js("folding", "axisTop", highest) == top


# Pieces


def answer_about(
    states: list[int], holders: list[int], peers: dict[str, list[bool]]
) -> dict[str, Any]:
    return {
        "states": bytes(states).hex(),
        "holders": bytes(holders).hex(),
        "have": bitfield([state == 2 for state in states]),
        "peers": [{"address": name, "pieces": bitfield(held)} for name, held in peers.items()],
    }


def bitfield(flags: list[bool]) -> str:
    """BEP 3, "bitfield": the high bit of the first byte is piece 0."""
    padded = flags + [False] * (-len(flags) % 8)
    return bytes(
        int("".join("01"[bit] for bit in padded[place : place + 8]), 2)
        for place in range(0, len(padded), 8)
    ).hex()


MAP = """async ([answer, each]) => {
  const module = await import("/page/js/pieces.js");
  const pieces = module.readPieces(answer);
  const cells = module.cells(pieces, each);
  return {
    have: [...pieces.have], flying: [...pieces.flying], available: [...pieces.available],
    had: [...cells.had], rarest: [...cells.rarest], missing: [...cells.rarestMissing],
    summary: module.summary(pieces), rarity: module.rarity(pieces),
    held: pieces.peers.map(({have}) => [...have]),
    useful: pieces.peers.map(({have}) => [...module.heldCells(pieces, have, each).useful]),
    words: [0, each].map((from) => module.describe(pieces, from, each,
      pieces.peers.filter(({have}) => have[from]).map(({address}) => address))),
  };
}"""


@few
@given(
    states=st.lists(st.integers(0, 3), min_size=1, max_size=70),
    each=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_cells_say_what_their_pieces_say(
    modules: Any, states: list[int], each: int, seed: int
) -> None:
    draw = random.Random(seed)
    holders = [0 if state == 3 else draw.randrange(1, 256) for state in states]
    held = [draw.random() < 0.5 for _ in states]
    told = modules.evaluate(MAP, [answer_about(states, holders, {"a:1": held}), each])
    assert told["have"] == [int(state == 2) for state in states]
    assert told["flying"] == [int(state == 1) for state in states]
    assert told["available"] == holders
    assert told["held"] == [[int(flag) for flag in held]]
    missing = [count for count, state in zip(holders, states, strict=True) if state != 2]
    assert told["summary"]["missing"] == len(missing) == sum(told["rarity"])
    assert told["summary"]["unheld"] == sum(count == 0 for count in missing)
    for cell, start in enumerate(range(0, len(states), each)):
        inside = range(start, min(len(states), start + each))
        lacking = [holders[index] for index in inside if states[index] != 2]
        assert told["had"][cell] == pytest.approx(1 - len(lacking) / len(inside), abs=1e-6)
        assert told["missing"][cell] == min(lacking, default=-1)
        assert told["rarest"][cell] == min(holders[index] for index in inside)
        useful = sum(held[index] and states[index] != 2 for index in inside)
        assert told["useful"][0][cell] == pytest.approx(useful / len(inside), abs=1e-6)


def test_a_piece_is_told_in_words_with_who_holds_it(modules: Any) -> None:
    peers = {f"10.0.0.{number}:1": [True, number == 1] for number in range(1, 7)}
    told = modules.evaluate(MAP, [answer_about([1, 0], [6, 1], peers), 1])
    assert told["words"] == [
        "Piece 0: in flight. Held by 10.0.0.1:1, 10.0.0.2:1, 10.0.0.3:1, 10.0.0.4:1 and 2 more.",
        "Piece 1: missing. Held by 10.0.0.1:1.",
    ]


@few
@given(count=st.integers(1, 900_000), width=st.integers(5, 2000), height=st.integers(20, 400))
def test_a_map_fits_in_its_box_whatever_the_number_of_pieces(
    js: Call, count: int, width: int, height: int
) -> None:
    shape = js("pieces", "grid", count, width, height)
    assert shape["columns"] * shape["cell"] <= width
    assert shape["rows"] * shape["cell"] <= height
    assert (shape["cells"] - 1) * shape["each"] < count <= shape["cells"] * shape["each"]


@pytest.mark.parametrize(
    "text", ["window = 16\nspread=0.25", 'name = "x"\nflag = true', "word = fast"]
)
def test_options_of_a_strategy_are_read_as_they_are_written(js: Call, text: str) -> None:
    options = js("views/changing", "readOptions", text)
    assert (
        js("views/changing", "readOptions", js("views/changing", "writeOptions", options))
        == options
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "it asked 10.0.0.1:5 for 2 blocks of piece 7",
            ["it asked ", "<peer 10.0.0.1:5>", " for 2 blocks of ", "<piece piece 7>"],
        ),
        ("piece 7, once more", ["<piece piece 7>", ", once more"]),
        ("it asked 10.0.0.1:55 for piece 77", ["it asked 10.0.0.1:55 for piece 77"]),
        ("asked 110.0.0.1:5", ["asked 110.0.0.1:5"]),
        ("", []),
    ],
)
def test_a_sentence_is_parted_where_it_names_its_piece_and_its_peer(
    js: Call, text: str, parts: list[str]
) -> None:
    found = js("sentences", "parted", text, {"piece": 7, "peer": "10.0.0.1:5"})
    assert [
        each["text"] if each["kind"] == "words" else f"<{each['kind']} {each['text']}>"
        for each in found
        if each["text"]
    ] == parts
