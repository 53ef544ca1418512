"""Bytes to calls and back. Sources: JSON-RPC 2.0; Transmission's rpc-spec 4.1; the daemon 3.00."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transmission_calls import Remote
from transmission_target import PlainTorrent
from trio_swarm.control.transmission.calling import Dialect
from trio_swarm.control.transmission.dialects import MAX_BATCH
from trio_swarm.control.transmission.methods import METHODS
from trio_swarm.control.transmission.naming import camel, kebab, snake
from trio_swarm.control.transmission.torrent_fields import FIELDS

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(_[a-z][a-z0-9]{0,9}){0,4}", fullmatch=True)


@given(NAMES)
def test_a_name_is_the_same_in_its_three_spellings(name: str) -> None:
    assert snake(kebab(name)) == name
    if all(part[:1].isalpha() and len(part) > 1 for part in name.split("_")):
        assert snake(camel(name)) == name


@pytest.mark.parametrize("name", sorted({*FIELDS, *METHODS}))
def test_every_name_is_understood_in_every_spelling(name: str) -> None:
    assert snake(kebab(name)) == snake(camel(name)) == name


async def test_an_integer_tag_and_a_text_tag_come_back() -> None:
    # transmission-remote 3.00 shows no list without its tag; transmission-promise 1.1.7 sends text.
    remote = Remote(PlainTorrent(1))
    for tag in (0, 7, 2**70, "0b2c-uuid"):
        body = json.dumps({"method": "session-stats", "tag": tag}).encode()
        assert (await remote.send(body))["tag"] == tag
    assert "tag" not in await remote.send(b'{"method": "session-stats"}')
    assert "tag" not in await remote.send(b'{"method": "session-stats", "tag": [1]}')


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"", "no method name"),
        (b"no JSON", "no method name"),
        (b"{}", "no method name"),
        (b"[1", "no method name"),
        (b"7", "no method name"),
        (b'{"method": 7}', "no method name"),
        (b'{"method": "dance"}', "method name not recognized"),
        (b'{"method": "session_get"}', "method name not recognized"),
        (b'{"method": "torrent-get"}', "no fields specified"),
        (b'{"method": "torrent-add"}', "no filename or metainfo specified"),
    ],
)
async def test_failures_have_the_words_of_the_daemon_3_00(body: bytes, result: str) -> None:
    answered = await Remote().send(body)
    assert answered == {"arguments": {}, "result": result}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700),
        (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600),
        (b'{"jsonrpc": "1.0", "method": "session_get", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "method": "session_get", "id": [1]}', -32600),
        (b'{"jsonrpc": "2.0", "method": "session_get", "id": true}', -32600),
        (b"[]", -32600),
    ],
)
async def test_what_is_no_json_rpc_is_refused_with_its_code_and_a_null_id(
    body: bytes, code: int
) -> None:
    # JSON-RPC 2.0, "Examples".
    answered = await Remote().send(body)
    assert answered["error"]["code"] == code
    assert answered["id"] is None
    assert answered["jsonrpc"] == "2.0"


async def test_a_method_that_is_not_there_is_told_with_the_id() -> None:
    answered = await Remote().send(b'{"jsonrpc": "2.0", "method": "foobar", "id": "1"}')
    assert answered["error"]["code"] == -32601
    assert answered["error"]["message"] == "Method not found"
    assert answered["id"] == "1"
    assert "result" not in answered


async def test_arguments_by_position_are_refused() -> None:
    # Transmission's rpc-spec 4.1, "Message format".
    answered = await Remote().send(
        b'{"jsonrpc": "2.0", "method": "torrent_get", "params": [1], "id": 4}'
    )
    assert answered["error"]["code"] == -32602
    assert answered["id"] == 4


async def test_a_batch_is_answered_in_order_without_its_notifications() -> None:
    remote = Remote(PlainTorrent(1))
    answered = await remote.send(
        b"""[
        {"jsonrpc": "2.0", "method": "session_stats", "id": "a"},
        {"jsonrpc": "2.0", "method": "torrent_stop", "params": {"ids": 1}},
        1,
        {"method": "session-get"},
        {"jsonrpc": "2.0", "method": "dance", "id": null}
        ]"""
    )
    assert [each["id"] for each in answered] == ["a", None, None, None]
    assert [each.get("error", {}).get("code") for each in answered] == [
        None,
        -32600,
        -32600,
        -32601,
    ]
    assert remote.target.done == [("pause", 1)]


async def test_notifications_are_done_and_not_answered() -> None:
    remote = Remote(PlainTorrent(1))
    call = b'{"jsonrpc": "2.0", "method": "torrent_stop"}'
    assert await remote.send(call) is None
    assert await remote.send(b"[" + call + b"]") is None
    assert await remote.send(b'{"jsonrpc": "2.0", "method": "dance"}') is None
    assert remote.target.done == [("pause", 1)] * 2


async def test_a_batch_that_is_too_long_is_not_begun() -> None:
    remote = Remote(PlainTorrent(1))
    call = b'{"jsonrpc": "2.0", "method": "torrent_stop"}'
    answered = await remote.send(b"[" + b",".join([call] * (MAX_BATCH + 1)) + b"]")
    assert answered["error"]["code"] == -32600
    assert remote.target.done == []


async def test_names_of_results_are_those_of_the_dialect() -> None:
    remote = Remote()
    old = await remote.old_arguments("session-stats")
    assert {"activeTorrentCount", "downloadSpeed", "cumulative-stats"} <= old.keys()
    assert "uploadedBytes" in old["current-stats"]
    new = await remote.new_result("session_stats")
    assert {"active_torrent_count", "download_speed", "cumulative_stats"} <= new.keys()
    assert "uploaded_bytes" in new["current_stats"]
    space = await remote.old_arguments("free-space", path="/downloads")
    assert space.keys() == {"path", "size-bytes", "total_size"}


async def test_a_reader_may_look_and_change_nothing() -> None:
    remote = Remote(PlainTorrent(1), may_change=False)
    assert (await remote.old_arguments("torrent-get", fields=["id"]))["torrents"] == [{"id": 1}]
    for name, method in METHODS.items():
        if method.changes:
            answered = await remote.new(name)
            assert answered["error"]["data"]["error_string"].startswith("this token may look")
    assert remote.target.done == []
    assert remote.target.changed == []
    assert not remote.target.is_stopped


@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"method":"torrent-get","arguments":{"ids":[']
)
async def test_deep_nesting_is_no_json(opening: bytes) -> None:
    answered = await Remote().send(opening * 100_000)
    assert answered["result"] == "no method name"


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(["recently-active", "recently_active", "table", "/downloads/x", "film/a"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
ARGUMENT_NAMES = st.sampled_from(
    sorted(
        {
            *(
                "ids",
                "fields",
                "format",
                "filename",
                "metainfo",
                "download-dir",
                "paused",
                "labels",
            ),
            *("location", "move", "path", "name", "delete-local-data", "cookies", "ip_protocol"),
            *("downloadLimit", "downloadLimited", "uploadLimit", "uploadLimited", "peer-limit"),
            *("seedRatioLimit", "seedRatioMode", "queuePosition", "files-unwanted", "trackerAdd"),
            *("speed-limit-down", "speed-limit-down-enabled", "alt-speed-up", "alt-speed-enabled"),
            *("download-queue-size", "download-queue-enabled", "priority-high", "encryption"),
            *("units", "version", "group", "tracker_list", "seed_idle_mode", "honorsSessionLimits"),
        }
    )
)


@given(
    st.sampled_from(sorted(METHODS)),
    st.dictionaries(ARGUMENT_NAMES, ODD, max_size=5),
    st.sampled_from(Dialect),
    ODD,
)
async def test_whatever_comes_as_arguments_is_answered_in_one_line(
    method: str, arguments: dict[str, Any], dialect: Dialect, tag: Any
) -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2))
    if dialect is Dialect.OLD:
        call = {"method": kebab(method), "arguments": arguments, "tag": tag}
        answered = await remote.send(json.dumps(call).encode())
        assert isinstance(answered["result"], str)
        assert answered["result"].isprintable()
        return
    call = {"jsonrpc": "2.0", "method": method, "params": arguments, "id": 1}
    answered = await remote.send(json.dumps(call).encode())
    assert ("result" in answered) != ("error" in answered)


@given(st.binary(max_size=60) | ODD.map(lambda value: json.dumps(value).encode()))
async def test_whatever_comes_as_a_body_is_answered(body: bytes) -> None:
    answered = await Remote().send(body)
    assert answered is not None
