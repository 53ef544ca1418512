"""What an HTTP tracker answers: BEP 3, 7, 23, 24, 48, and names."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker_stores import at_once, new_store
from trio_swarm.errors import RemoteProtocolError, TrackerRefusedError
from trio_swarm.protocol.bencode import Value, decode
from trio_swarm.protocol.trackers import http as http_tracker
from trio_swarm.protocol.trackers import http_names
from trio_swarm.protocol.trackers.announces import AnnounceRequest, NameMatch
from trio_swarm.tracker.http.answering import Asked, HttpTracker
from trio_swarm.tracker.http.heads import read_head
from trio_swarm.tracker.http.names import NamesPage
from trio_swarm.tracker.own_addresses import SocketAddress
from trio_swarm.tracker.store.interface import Change
from trio_swarm.tracker.store.registry import TrackerRegistry

HASH = b"h" * 20
OWN = {
    ("192.0.2.9", 5000): socket.inet_aton("192.0.2.1"),
    ("2001:db8::9", 5000, 0, 0): bytes(15) + b"\7",
}


def new_tracker(
    watched: list[Change] | None = None, **limits: int
) -> tuple[HttpTracker, TrackerRegistry]:
    store, registry = new_store(**limits)
    tracker = HttpTracker(
        store,
        interval=30,
        own_address=OWN.get,
        pages={b"/names": NamesPage(store)},
        watch=None if watched is None else watched.append,
    )
    return tracker, registry


def asked(target: str, host: str = "192.0.2.9", *, method: str = "GET") -> Asked:
    head = read_head(f"{method} {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    assert head is not None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    source: SocketAddress = (host, 5000, 0, 0) if ":" in host else (host, 5000)
    return Asked(head, socket.inet_pton(family, host), source, keeps=False)


def ask(tracker: HttpTracker, request: Asked) -> tuple[bytes, bytes]:
    """Return head and body of the answer."""
    (answer,) = at_once(tracker.answers([request], 0.0))
    if not answer:
        answer = at_once(tracker.page(request, 0.0))
    head, _, body = answer.partition(b"\r\n\r\n")
    if request.head.wants_body:
        assert b"Content-Length: %d" % len(body) in head.split(b"\r\n")
    return head, body


def target_of(extra: str = "", **fields: object) -> str:
    values: dict[str, object] = {
        "info_hash": HASH, "peer_id": b"p" * 20, "port": 7000, "left": 5, "key": 1
    }  # fmt: skip
    url = http_tracker.announce_url("http://t/announce", AnnounceRequest(**(values | fields)))  # type: ignore[arg-type]
    return url.removeprefix("http://t") + extra


def tell(
    tracker: HttpTracker, host: str = "192.0.2.9", *, extra: str = "", **fields: object
) -> dict[bytes, Value]:
    """Announce, and return the dictionary that is answered; its keys are in order (BEP 3)."""
    head, body = ask(tracker, asked(target_of(extra, **fields), host))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    answer = decode(body)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::9"])
def test_an_announce_is_answered_with_others_packed(host: str) -> None:
    """BEP 23; BEP 7, `peers6`; BEP 24, `external ip`. No `min interval`: aria2 1.36 takes it."""
    tracker, _ = new_tracker()
    ipv6 = ":" in host
    other = "2001:db8::7" if ipv6 else "192.0.2.7"
    tell(tracker, other, left=0, port=7001)
    answer = tell(tracker, host)
    packed = socket.inet_pton(socket.AF_INET6 if ipv6 else socket.AF_INET, other)
    peers = (
        {b"peers": b"", b"peers6": packed + b"\x1b\x59"}
        if ipv6
        else {b"peers": packed + b"\x1b\x59"}
    )
    assert answer == peers | {
        b"complete": 1,
        b"incomplete": 1,
        b"interval": 30,
        b"external ip": asked("/", host).host,
    }
    understood = http_tracker.parse_announce_answer(
        ask(tracker, asked(target_of(), host))[1], tracker="t"
    )
    assert understood.peers == ((other, 7001),)
    assert understood.tracker_id is None


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::9"])
def test_peers_are_a_list_for_who_asks_for_it(host: str) -> None:
    """BEP 3, "peers"; the peer ids are not known any more."""
    tracker, _ = new_tracker()
    other = "2001:db8::7" if ":" in host else "192.0.2.7"
    tell(tracker, other, left=0, port=7001)
    answer = tell(tracker, host, extra="&compact=0")
    assert answer[b"peers"] == [{b"ip": other.encode(), b"port": 7001}]
    assert b"peers6" not in answer


def test_events_and_wishes_count_as_over_udp() -> None:
    tracker, registry = new_tracker()
    for number in range(60):
        tell(tracker, f"198.51.100.{number}", port=8000, left=0)
    counted = [len(tell(tracker, num_want=wanted)[b"peers"]) // 6 for wanted in (-1, 0, 7, 300)]  # type: ignore[arg-type]
    assert counted == [50, 0, 7, 60]
    tell(tracker, extra="&event=completed", left=0)
    assert registry.scrape(HASH).completed == 1
    assert tell(tracker, extra="&event=stopped", left=0)[b"peers"] == b""
    assert registry.counts().peers == 60
    assert tracker.announces == 66


@pytest.mark.parametrize(("peer", "asker"), [("127.0.0.1", "192.0.2.9"), ("::1", "2001:db8::9")])
def test_a_peer_on_the_trackers_machine_is_given_as_the_asker_reaches_it(
    peer: str, asker: str
) -> None:
    tracker, _ = new_tracker()
    tell(tracker, peer, port=7001, left=0)
    own = OWN[asked("/", asker).source]
    assert own + b"\x1b\x59" in tell(tracker, asker).values()
    # One on the same machine reaches it as it announced itself.
    near = tell(tracker, peer, port=7002)[b"peers6" if ":" in peer else b"peers"]
    assert isinstance(near, bytes)
    assert asked("/", peer).host + b"\x1b\x59" in near


def test_many_requests_at_once_are_answered_each_by_its_own() -> None:
    tracker, _ = new_tracker()
    unknown = b"u" * 20
    targets = [
        target_of(left=0),
        "/scrape",
        http_tracker.scrape_url("http://t/announce", [unknown, HASH]).removeprefix("http://t"),
        "/nothing",
        target_of(port=7001),
        "/announce?port=1",
    ]
    answers = at_once(tracker.answers([asked(target) for target in targets], 0.0))
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in answers]
    assert b"8:completei1e" in bodies[0]
    with pytest.raises(TrackerRefusedError, match="1 to 100 info-hashes"):
        http_tracker.parse_scrape_answer(bodies[1], tracker="t")
    counts = http_tracker.parse_scrape_answer(bodies[2], tracker="t")
    # libtorrent 2.1 takes a swarm that is left out for a failure.
    assert [(counts[each].seeders, counts[each].leechers) for each in (HASH, unknown)] == [
        (1, 1),
        (0, 0),
    ]
    assert answers[3] == b""  # a page, if it is anything
    assert b"10:incompletei1e" in bodies[4]
    with pytest.raises(TrackerRefusedError, match="info_hash must be 20 bytes"):
        http_tracker.parse_announce_answer(bodies[5], tracker="t")


def test_a_full_tracker_says_503_and_when_to_come_back() -> None:
    """libtorrent 2.1 stays away for half an hour after a `failure reason`."""
    watched: list[Change] = []
    tracker, _ = new_tracker(watched, max_peers=1)
    tell(tracker, "198.51.100.1")
    head, body = ask(tracker, asked(target_of()))
    assert head.startswith(
        b"HTTP/1.1 503 the tracker has no room for another peer: it has 1 (max_peers)\r\n"
    )
    assert b"Retry-After: 30" in head.split(b"\r\n")
    assert b"failure" not in body
    assert [(change.kind, change.reason) for change in watched] == [
        ("refused", "the tracker has no room for another peer: it has 1 (max_peers)")
    ]


@pytest.mark.parametrize("name", ["%00", "%ff"])
def test_a_name_that_nobody_may_have_is_refused_for_good_and_told_of(name: str) -> None:
    watched: list[Change] = []
    tracker, registry = new_tracker(watched)
    head, body = ask(tracker, asked(target_of(f"&name={name}")))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(TrackerRefusedError, match="the name"):
        http_tracker.parse_announce_answer(body, tracker="t")
    assert [change.kind for change in watched] == ["refused"]
    assert watched[0].address == asked("/").host + b"\x1b\x58"
    assert (registry.counts().peers, tracker.announces) == (0, 1)


def test_head_is_answered_without_a_body() -> None:
    """RFC 9110, 9.3.2."""
    tracker, _ = new_tracker()
    for target in (target_of(), "/nothing", "/names?name=x"):
        head, body = ask(tracker, asked(target, method="HEAD"))
        assert head.startswith(b"HTTP/1.1 ")
        assert body == b""


def names(tracker: HttpTracker, query: str) -> tuple[http_names.NamePage, str | None]:
    head, body = ask(tracker, asked(f"/names?{query}"))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    if refusal := http_tracker.parse_refusal(body, tracker="t"):
        raise refusal
    return http_names.parse_names_answer(body)


def test_names_are_found_exactly_by_pattern_and_page_by_page() -> None:
    tracker, _ = new_tracker()
    for number in range(3):
        tell(
            tracker, f"198.51.100.{number}", info_hash=bytes([number]) * 20,
            share_name=f"größe {number}", size=number, left=0,
        )  # fmt: skip
    exact = NameMatch(b"\1" * 20, 1, 1, 0, "größe 1")
    assert names(tracker, "name=gr%C3%B6%C3%9Fe%201") == ((1, (exact,), 1), None)
    assert names(tracker, "name=unknown") == ((0, (), 0), None)
    page, _ = names(tracker, "pattern=g*&offset=1")
    assert (page.total, [match.name for match in page.matches]) == (3, ["größe 1", "größe 2"])


def test_a_claim_says_whether_a_name_would_be_had_and_why_not() -> None:
    tracker, _ = new_tracker(max_names=0)
    tell(tracker, "198.51.100.1", share_name="x", left=0)
    page, reason = names(tracker, f"name=x&info_hash={'h' * 20}")
    assert page.matches == ()
    assert reason == "the tracker has no room for another name: it has 0 (max_names)"
    tracker, _ = new_tracker()
    page, reason = names(tracker, f"name=x&info_hash={'h' * 20}")
    assert (page.matches, reason) == ((NameMatch(HASH, 0, 0, 0, "x"),), None)


@pytest.mark.parametrize(
    "query",
    ["", "names=x", "name=", "name=%ff", f"name={'x' * 256}", f"pattern={'*a' * 17}",
     "name=x&offset=-1", "name=x&offset=65536", "name=x&info_hash=a"],
)  # fmt: skip
def test_a_question_for_names_that_makes_no_sense_is_refused(query: str) -> None:
    tracker, _ = new_tracker()
    with pytest.raises(TrackerRefusedError):
        names(tracker, query)


@given(
    matches=st.lists(
        st.builds(
            NameMatch,
            st.binary(min_size=20, max_size=20),
            st.integers(0, 2**63 - 1),
            st.integers(0, 2**31),
            st.integers(0, 2**31),
            st.text("aé𝄞 .", min_size=1, max_size=20),
        ),
        max_size=5,
    ),
    total=st.integers(0, 2**31),
    reason=st.text("ab ", max_size=9),
)
def test_an_answer_about_names_reads_as_it_was_written(
    matches: list[NameMatch], total: int, reason: str
) -> None:
    page, told = http_names.parse_names_answer(http_names.names_answer(total, matches, reason))
    assert page == (total, tuple(matches), len(matches))
    assert (told or "").split() == reason.split()


@given(body=st.binary(max_size=60))
def test_no_answer_about_names_raises_anything_else(body: bytes) -> None:
    for whole in (body, b"d5:namesl" + body + b"e5:totali1ee", b"d5:namesld" + body + b"eee"):
        try:
            http_names.parse_names_answer(whole)
        except RemoteProtocolError:
            continue


@given(data=st.binary(max_size=120), host=st.sampled_from(["192.0.2.9", "2001:db8::9"]))
def test_no_request_raises(data: bytes, host: str) -> None:
    tracker, registry = new_tracker(max_names=2)
    text = "".join(chr(byte) for byte in data if 0x21 <= byte < 0x7F)
    for path in (
        "/announce?",
        "/scrape?",
        "/names?pattern=",
        "/names?name=",
        "/",
        target_of() + "&",
    ):
        head, _ = ask(tracker, asked(path + text, host))
        assert head.startswith(b"HTTP/1.1 ")
    assert registry.counts().peers <= 1
