"""URLs of trackers in what readers are told."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.protocol.metainfo.magnet import parse_magnet
from trio_swarm.protocol.trackers.url_secrets import (
    hidden,
    to_give_away,
    without_echo,
    without_secrets,
    without_tokens,
)

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("udp://t.example:6969", "udp://t.example:6969"),
        ("udp://[::1]:6969/announce", "udp://[::1]:6969/announce"),
        ("http://t.example/scrape", "http://t.example/scrape"),
        (f"http://t.example/{KEY}/announce", "http://t.example/…"),
        (f"http://t.example/announce?passkey={KEY}", "http://t.example/…"),
        (f"http://t.example?{KEY}", "http://t.example/…"),
        (f"http://t.example#{KEY}", "http://t.example/…"),
        (f"https://me:{KEY}@t.example/announce", "https://t.example/announce"),
        (f"https://me:{KEY}/x@t.example/announce", "https://…"),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_key(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"http://t.example/{KEY}: no answer", "http://t.example/…: no answer"),
        (
            f"'http://a/{KEY}', udp://b:1, (https://c/{KEY}).",
            "'http://a/…', udp://b:1, (https://c/…).",
        ),
        ("a ratio of 1:2 // nothing", "a ratio of 1:2 // nothing"),
    ],
)
def test_urls_are_found_in_sentences(text: str, shown: str) -> None:
    assert hidden(text) == shown


def test_a_magnet_link_stays_good_without_trackers_that_have_keys() -> None:
    """BEP 9: `tr` is a tracker's URL, percent-encoded."""
    private, public = f"http://t.example/{KEY}/announce", "udp://open.example:6969/announce"
    link = f"magnet:?xt=urn:btih:{'ab' * 20}&dn=a%20film"
    link += "".join(f"&tr={quote(url, safe='')}" for url in (private, public)) + "&xl=5"
    magnet = parse_magnet(hidden(link))
    assert (magnet.name, magnet.length, magnet.trackers) == ("a film", 5, (public,))


@given(
    before=st.text(alphabet="ab &?=tr.:/%", max_size=20),
    after=st.text(alphabet="ab &?=tr.:/%@", max_size=20),
    is_quoted=st.booleans(),
    place=st.sampled_from(["http://t/{}/announce", "udp://t:1/a?k={}", "https://u:{}@t/"]),
)
def test_no_key_of_a_url_is_left(before: str, after: str, is_quoted: bool, place: str) -> None:  # noqa: FBT001 - drawn
    url = place.format(KEY)
    text = f"{before} {quote(url, safe='') if is_quoted else url}{after}"
    assert KEY not in hidden(text)


def test_a_tracker_that_repeats_a_key_does_not_tell_it() -> None:
    said = f"unknown passkey {KEY} of film.iso"
    for url in (f"http://t/{KEY}/announce", f"http://t/?a=b&k={KEY}", f"http://t/?{KEY}"):
        assert without_echo(said, url) == "unknown passkey … of film.iso"
    assert without_echo(said, "udp://t:1/announce?name=film.iso&size=7") == said
    assert without_echo("no announce here", "http://t/announce") == "no announce here"


LONG_KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("unknown passkey 0123456789abcdef...", "unknown passkey …..."),
        ("passkey 01234567", "passkey …"),
        ("passkey 0123456", "passkey 0123456"),
        ("KEY 6789ABCDEF01 is banned", "KEY … is banned"),
        ("from abcdef0123 to 456789ab", "from … to …"),
    ],
)
def test_a_part_of_a_key_that_is_repeated_is_hidden(said: str, told: str) -> None:
    assert without_echo(said, f"http://t/{LONG_KEY}/announce.php") == told
    assert without_echo(said, f"http://t/announce.php?passkey={LONG_KEY}") == told


@given(st.text(max_size=60), st.text(alphabet="0123456789abcdefABCDEF", min_size=16, max_size=40))
def test_no_eight_characters_of_a_key_are_told(around: str, key: str) -> None:
    for said in (around + key[3:], key[:-2] + around, f"{around}{key.upper()}{around}"):
        told = without_echo(said, f"http://t/{key}/announce").lower()
        assert not any(key.lower()[at : at + 8] in told for at in range(len(key) - 7))


@pytest.mark.parametrize(
    ("url", "given", "printed"),
    [
        # Our trackers' tokens (docs/tracker-protocol.md).
        ("udp://t:1/announce?token={}", "udp://t:1/announce", "udp://t:1/announce?token=***"),
        ("udp://t:1/announce/{}", "udp://t:1/announce", "udp://t:1/announce/***"),
        ("udp://t:1/announce/{}-some.thing~x", "udp://t:1/announce", "udp://t:1/announce/***"),
        (
            "http://t/announce/{}?name=a%20film&size=5",
            "http://t/announce?name=a%20film&size=5",
            "http://t/announce/***?name=a%20film&size=5",
        ),
        (
            "udp://t:1/announce?name={}{}.iso&token=x&size=5",
            "udp://t:1/announce?name={}{}.iso&size=5",
            "udp://t:1/announce?name={}{}.iso&token=***&size=5",
        ),
        # Keys as private trackers have them in their URLs.
        ("https://t/{}/announce", "https://t/announce", "https://t/***/announce"),
        ("https://t/announce.php?passkey={}", "https://t/announce.php",
         "https://t/announce.php?passkey=***"),
        ("https://t/a?x=1&torrent_pass=s3", "https://t/a?x=1", "https://t/a?x=1&torrent_pass=***"),
        ("https://t/a?uid=7&pid=b", "https://t/a?uid=7", "https://t/a?uid=7&pid=***"),
        ("https://t/a?{}", "https://t/a", "https://t/a?***"),
        ("https://me:{}@t/announce", "https://t/announce", "https://***@t/announce"),
        # What is no key.
        ("udp://t:6969", "udp://t:6969", "udp://t:6969"),
        ("https://t/announce/de", "https://t/announce/de", "https://t/announce/de"),
        ("https://t/internationalised/announce", "https://t/internationalised/announce",
         "https://t/internationalised/announce"),
        ("http://{}.onion/announce", "http://{}.onion/announce", "http://{}.onion/announce"),
    ],
)  # fmt: skip
def test_keys_are_neither_given_away_nor_printed(url: str, given: str, printed: str) -> None:
    url, given, printed = (each.replace("{}", KEY) for each in (url, given, printed))
    assert to_give_away(url) == given
    assert to_give_away(given) == given
    for before, after in (
        ("", ""),
        ("no answer of ", ", refused"),
        ("('", "')"),
        ('{"url":"', '"}'),
    ):
        assert without_tokens(f"{before}{url}{after}") == f"{before}{printed}{after}"
    link = f"magnet:?xt=urn:btih:{KEY}&tr="
    assert without_tokens(f"{link}{quote(url, safe='')}&xl=5") == (
        f"{link}{quote(printed, safe='*') if printed != url else quote(url, safe='')}&xl=5"
    )


@given(
    before=st.text(alphabet="ab &?=tr.:/%'\"", max_size=20),
    after=st.text(alphabet="&?=tr.:/%@,;)' \"", max_size=20),
    is_quoted=st.booleans(),
    place=st.sampled_from(
        ["http://t/{}/announce", "udp://t:1/announce/{}", "https://u:{}@t/", "udp://t?token={}"]
    ),
)
def test_no_key_of_a_url_is_printed(before: str, after: str, is_quoted: bool, place: str) -> None:  # noqa: FBT001 - drawn
    url = place.format(KEY)
    text = f"{before} {quote(url, safe='') if is_quoted else url}{after}"
    assert KEY not in without_tokens(text)
    assert KEY not in to_give_away(url)
