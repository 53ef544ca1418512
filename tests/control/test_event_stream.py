"""Streams of events as the HTML standard has them ("Server-sent events", 9.2.6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.control import event_stream
from trio_swarm.control.event_stream import EventStreamReader, ServerEvent
from trio_swarm.errors import RemoteProtocolError

words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


def read(*parts: bytes) -> list[ServerEvent]:
    reader = EventStreamReader()
    return [event for part in parts for event in reader.feed(part)]


@given(st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=3))), st.data())
def test_events_are_read_however_they_are_cut(
    events: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    sent = "".join(
        f"event: {name}{end}" + "".join(f"data: {line}{end}" for line in lines) + end
        for name, lines in events
    ).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    parts = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    expected = [ServerEvent(name or "message", "\n".join(lines).encode()) for name, lines in events]
    assert read(*parts) == expected


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        # The examples of the standard, in that section.
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", b"YHOO\n+2\n10")]),
        (b"data\n\ndata\ndata\n\ndata:", [("message", b""), ("message", b"\n")]),
        (b"data:test\n\ndata: test\n\n", [("message", b"test"), ("message", b"test")]),
        (b": test stream\n\ndata: first event\nid: 1\n\n", [("message", b"first event")]),
        (b"event: only a name\n\n", []),
    ],
)
def test_the_examples_of_the_standard(sent: bytes, events: list[tuple[str, bytes]]) -> None:
    assert read(sent) == [ServerEvent(*each) for each in events]


@pytest.mark.parametrize("part", [b"x" * 100, b"data: x\n" * 10, b"data:\n" * 20])
def test_an_event_without_end_is_refused(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT", 1000)
    with pytest.raises(RemoteProtocolError, match="too long"):
        read(*[part] * 2000)
