"""Who is let in, as pure rules. RFC 9110 (Host, methods), RFC 6750, RFC 7617, Fetch Metadata."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlled_node import PASSWORD, READER, TOKEN
from trio_swarm.control.access import (
    SIGNED_IN_SECONDS,
    Credentials,
    Knock,
    Refusal,
    SignIns,
    cookie_value,
    host_refusal,
    level_of,
    page_refusal,
    read_password,
    read_token,
)
from trio_swarm.errors import ConfigError

ALL = Credentials(token=TOKEN, read_token=READER, password=PASSWORD)


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "level"),
    [
        (f"Bearer {TOKEN}", "full"),
        (f"bearer  {TOKEN}", "full"),
        (f"Bearer {READER}", "read"),
        (basic(PASSWORD), "full"),
        (basic(f"anybody:{TOKEN}"), "full"),
        (basic(f":{READER}"), "read"),
        (basic(TOKEN), None),
        (f"Bearer {PASSWORD}", None),
        (basic("somebody:"), None),
        (f"Bearer {TOKEN}x", None),
        ("Bearer", None),
        ("Basic !!!", None),
        ("Basic /w==", None),
        (TOKEN, None),
        ("", None),
    ],
)
def test_a_token_or_password_says_what_somebody_may_do(
    authorization: str, level: str | None
) -> None:
    assert ALL.level(authorization) == level


@given(st.text(max_size=2000))
def test_no_other_header_lets_anybody_in(text: str) -> None:
    for authorization in (text, f"Bearer {text}", basic_of(text)):
        if text not in {TOKEN, READER, PASSWORD} and not text.endswith((TOKEN, READER)):
            assert ALL.level(authorization) is None
        assert Credentials().level(authorization) is None


def basic_of(text: str) -> str:
    encoded = text.encode("utf-8", "surrogatepass")
    return f"Basic {base64.b64encode(encoded).decode()}"


def test_without_tokens_everybody_who_gets_to_the_door_may_do_everything() -> None:
    assert level_of(Knock("GET"), Credentials()) == "full"


def test_who_shows_nothing_is_asked_and_a_page_in_the_background_is_not() -> None:
    shown = level_of(Knock("GET"), ALL)
    hidden = level_of(Knock("GET", fetch_mode="cors"), ALL)
    assert isinstance(shown, Refusal)
    assert isinstance(hidden, Refusal)
    assert (shown.status, shown.code) == (401, "no-token")
    assert "www-authenticate" in shown.headers
    assert not hidden.headers


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:9091", "127.0.0.1:1", "[::1]:9091", "192.168.1.5", "nas.example:80"],
)
def test_addresses_and_names_of_ours_are_hosts(host: str) -> None:
    assert host_refusal(Knock("GET", host=host), ("nas.example",)) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "nas.example.evil",
     "127.0.0.1, evil.example", "[::1", "evil.example:9091", "127.1", "0x7f.1"],
)  # fmt: skip
def test_a_strangers_name_is_no_host_wherever_it_leads(host: str) -> None:
    refusal = host_refusal(Knock("GET", host=host), ("nas.example",))
    assert refusal is not None
    assert refusal.status == 421


@given(st.text(max_size=300))
def test_any_host_header_is_an_answer(host: str) -> None:
    host_refusal(Knock("GET", host=host), ())


HERE = "127.0.0.1:9091"


@pytest.mark.parametrize(
    "knock",
    [
        Knock("POST", host=HERE),  # no browser
        Knock("POST", host=HERE, origin=f"http://{HERE}", fetch_site="same-origin"),
        Knock("GET", host=HERE, fetch_site="none", fetch_mode="navigate", fetch_dest="document"),
        Knock("GET", host=HERE, fetch_site="cross-site", fetch_mode="navigate",
              fetch_dest="document"),  # a link to the page
        Knock("POST", host="nas.example", origin="https://nas.example"),  # behind a proxy with TLS
    ],
)  # fmt: skip
def test_our_own_page_and_programs_may_ask(knock: Knock) -> None:
    assert page_refusal(knock) is None


@pytest.mark.parametrize(
    "knock",
    [
        Knock("POST", host=HERE, origin="http://evil.example"),
        Knock("POST", host=HERE, origin="null"),
        Knock("POST", host=HERE, origin="http://127.0.0.1:8080"),  # another program's page
        Knock("POST", host=HERE, origin=f"http://{HERE}, http://evil.example"),
        Knock("GET", host=HERE, fetch_site="cross-site", fetch_mode="no-cors", fetch_dest="image"),
        Knock("GET", host=HERE, fetch_site="same-site", fetch_mode="cors"),
        Knock("GET", host=HERE, fetch_site="cross-site", fetch_mode="navigate",
              fetch_dest="iframe"),
        Knock("POST", host=HERE, fetch_site="cross-site", fetch_mode="navigate",
              fetch_dest="document"),  # a form
    ],
)  # fmt: skip
def test_pages_of_others_may_not(knock: Knock) -> None:
    refusal = page_refusal(knock)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (403, "foreign-page")


def test_a_header_that_comes_twice_fits_nothing() -> None:
    knock = Knock.of("GET", [(b"Host", b"127.0.0.1"), (b"host", b"evil.example")])
    assert host_refusal(knock, ()) is not None


def test_a_cookie_lets_in_until_it_ends_and_no_longer() -> None:
    signs = SignIns()
    value = signs.issue("read", 1000.0)
    assert signs.level(value, 1000.0) == "read"
    assert signs.level(value, 999.0 + SIGNED_IN_SECONDS) == "read"
    assert signs.level(value, 1000.0 + SIGNED_IN_SECONDS) is None
    assert SignIns().level(value, 1000.0) is None  # another process
    assert signs.level(value.replace("read", "full"), 1000.0) is None


@given(st.text(max_size=200))
def test_nobody_makes_up_a_cookie(value: str) -> None:
    assert SignIns().level(value, 0.0) is None


def test_a_cookie_is_found_among_others() -> None:
    assert cookie_value("a=1; trio-swarm-9091=x.y=z ;b", "trio-swarm-9091") == "x.y=z"
    assert cookie_value("a=1", "trio-swarm-9091") == ""


@pytest.mark.parametrize(
    "text", ["", "short", "two words of many characters", "é" * 20, "x" * 2000]
)
def test_what_is_no_good_token_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_token(text, what="FILE")
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("text", ["", "nobody", ":long-enough", "user:short", "user:a\nb12345"])
def test_what_is_no_good_password_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read_password(text, what="FILE")


def test_a_token_and_a_password_are_read_without_their_line_ends() -> None:
    assert read_token(f" {TOKEN}\n", what="") == TOKEN
    assert read_password(f"{PASSWORD}\n", what="") == PASSWORD
