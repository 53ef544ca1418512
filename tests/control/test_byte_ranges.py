"""Which bytes are sent: RFC 9110, sections 13 and 14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.control.api.byte_ranges import Wanted, wanted_bytes

TAG = '"tag"'
ALL = Wanted(200, 0, 100)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, ALL),
        ({"range": "bytes=0-0"}, Wanted(206, 0, 1)),
        ({"range": "bytes=10-"}, Wanted(206, 10, 100)),
        ({"range": "bytes=10-19"}, Wanted(206, 10, 20)),
        ({"range": "bytes=90-500"}, Wanted(206, 90, 100)),
        ({"range": "bytes=-7"}, Wanted(206, 93, 100)),
        ({"range": "bytes=-500"}, Wanted(206, 0, 100)),
        ({"range": "bytes=-0"}, Wanted(416)),
        ({"range": "bytes=100-"}, Wanted(416)),
        ({"range": "bytes=5-4"}, ALL),
        ({"range": "bytes=99999999999999999999-"}, Wanted(416)),
        ({"range": f"bytes=10-{'9' * 5000}"}, Wanted(206, 10, 100)),
        ({"range": f"bytes=-{'9' * 5000}"}, Wanted(206, 0, 100)),
        ({"range": f"bytes={'0' * 5000}7-8"}, Wanted(206, 7, 9)),
        ({"range": "bytes=\u0661-2"}, ALL),
        ({"range": "bytes=-"}, ALL),
        ({"range": "bytes=a-b"}, ALL),
        ({"range": "lines=1-2"}, ALL),
        ({"range": "bytes=0-1,5-6"}, ALL),
        ({"range": "bytes=0-1", "if-range": TAG}, Wanted(206, 0, 2)),
        ({"range": "bytes=0-1", "if-range": '"other"'}, ALL),
        ({"range": "bytes=0-1", "if-range": f"W/{TAG}"}, ALL),
        ({"if-none-match": TAG}, Wanted(304)),
        ({"if-none-match": f'"a", W/{TAG}', "range": "bytes=0-1"}, Wanted(304)),
        ({"if-none-match": '"other"'}, ALL),
        ({"if-match": '"other"'}, Wanted(412)),
        ({"if-match": f"W/{TAG}"}, Wanted(412)),
        ({"if-match": "*"}, ALL),
    ],
)
def test_the_bytes_that_are_asked_for(headers: dict[str, str], wanted: Wanted) -> None:
    assert wanted_bytes(headers, 100, TAG) == wanted


def test_an_empty_file_has_no_range() -> None:
    assert wanted_bytes({}, 0, TAG) == Wanted(200, 0, 0)
    assert wanted_bytes({"range": "bytes=0-"}, 0, TAG) == Wanted(416)


@given(st.text(alphabet="bytes=-0123456789, x", max_size=40), st.integers(0, 1000))
def test_never_more_than_the_file(text: str, length: int) -> None:
    wanted = wanted_bytes({"range": text}, length, TAG)
    assert 0 <= wanted.begin <= wanted.end <= length
    assert wanted.status != 206 or wanted.begin < wanted.end
