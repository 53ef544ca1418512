"""`torrent-get`. Source: what seven clients need, measured against a stub, and the daemon 3.00."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transmission_calls import Remote, words
from transmission_target import PlainTorrent, a_peer, unknown_torrent
from trio_swarm.control.transmission.facts import TrackerFacts
from trio_swarm.control.transmission.naming import camel
from trio_swarm.control.transmission.torrent_fields import FIELDS, flags_of, site_name

MINIMAL = words(
    "activityDate addedDate bandwidthPriority comment corruptEver creator dateCreated "
    "desiredAvailable doneDate downloadDir downloadLimit downloadLimited downloadedEver error "
    "errorString eta files fileStats hashString haveUnchecked haveValid honorsSessionLimits id "
    "isFinished isPrivate labels leftUntilDone magnetLink metadataPercentComplete name peer-limit "
    "peers peersConnected peersFrom peersGettingFromUs peersSendingToUs percentDone pieceCount "
    "pieceSize pieces priorities queuePosition rateDownload rateUpload recheckProgress "
    "secondsDownloading secondsSeeding seedRatioLimit seedRatioMode sizeWhenDone startDate status "
    "totalSize trackerStats uploadLimit uploadLimited uploadRatio uploadedEver wanted webseeds "
    "webseedsSendingToUs trackers etaIdle seedIdleLimit seedIdleMode editDate isStalled "
    "torrentFile maxConnectedPeers manualAnnounceTime"
)
"""What the seven clients ask for together."""

FRACTIONS = {"uploadRatio", "percentDone", "recheckProgress", "seedRatioLimit", "progress"}
"""Fields that may be fractions; transmission-remote 3.00 shows no line with one elsewhere."""

STATS_OF_TRACKER = words(
    "announceState downloadCount hasAnnounced hasScraped host id isBackup lastAnnouncePeerCount "
    "lastAnnounceResult lastAnnounceStartTime lastAnnounceSucceeded lastAnnounceTime "
    "lastAnnounceTimedOut lastScrapeResult lastScrapeStartTime lastScrapeSucceeded lastScrapeTime "
    "lastScrapeTimedOut leecherCount nextAnnounceTime nextScrapeTime scrapeState seederCount tier "
    "announce scrape"
)


async def got(torrent: PlainTorrent, *fields: str) -> Any:
    remote = Remote(torrent)
    return (await remote.old_arguments("torrent-get", fields=list(fields)))["torrents"][0]


def odd_numbers(value: Any, name: str = "") -> list[str]:
    """Names of numbers that are null, or fractions where a client wants an integer."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in odd_numbers(inner, key)]
    if isinstance(value, list):
        return [each for inner in value for each in odd_numbers(inner, name)]
    is_odd = value is None or (isinstance(value, float) and name not in FRACTIONS)
    return [name] if is_odd else []


@pytest.mark.parametrize("torrent", [PlainTorrent(1), unknown_torrent(1)], ids=["whole", "magnet"])
async def test_every_field_that_clients_ask_for_is_there_with_whole_numbers(
    torrent: PlainTorrent,
) -> None:
    told = await got(torrent, *MINIMAL)
    assert set(told) == set(MINIMAL)
    assert odd_numbers(told) == []


@given(
    st.builds(
        PlainTorrent,
        st.integers(1, 10**6),
        eta=st.none() | st.floats(),
        download_rate=st.floats(),
        upload_rate=st.floats(),
        checked=st.floats(),
        active_at=st.floats(),
        seconds_seeding=st.floats(),
        size=st.integers(0, 2**60),
        have=st.integers(0, 2**60),
        piece_length=st.integers(0, 2**29),
        downloaded_ever=st.integers(0, 2**60),
        name=st.text(),
        piece_bits=st.binary(max_size=4),
        piece_holders=st.lists(st.integers(0, 50), max_size=40),
    )
)
async def test_whatever_a_torrent_is_like_it_is_told_in_whole_numbers(
    torrent: PlainTorrent,
) -> None:
    old = await got(torrent, *map(camel, FIELDS))
    assert odd_numbers(old) in ([], ["percentComplete"])
    new = (await Remote(torrent).new_result("torrent_get", fields=sorted(FIELDS)))["torrents"][0]
    assert new.keys() == FIELDS.keys()
    assert 0 <= new["percent_done"] <= 1
    assert 0 <= new["recheck_progress"] <= 1


async def test_names_that_are_not_utf_8_are_told_all_the_same() -> None:
    told = await got(
        PlainTorrent(1, name="f\udcff", folder="/downloads/\udcfe"), "name", "downloadDir"
    )
    assert told == {"name": "f?", "downloadDir": "/downloads/?"}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("paused", 0),
        ("done", 0),
        ("failed", 0),
        ("hashing", 2),
        ("checking", 2),
        ("queued", 3),
        ("waiting", 4),
        ("metadata", 4),
        ("downloading", 4),
        ("seeding", 6),
    ],
)
async def test_the_states_have_the_numbers_of_transmission(state: Any, status: int) -> None:
    assert (await got(PlainTorrent(1, state=state), "status"))["status"] == status


async def test_a_whole_torrent_that_waits_is_queued_to_seed() -> None:
    told = await got(PlainTorrent(1, state="queued", have=1_000_000), "status", "leftUntilDone")
    assert told == {"status": 5, "leftUntilDone": 0}


async def test_wanted_is_1_in_the_old_dialect_and_true_in_the_new_one() -> None:
    # Transmission's rpc-spec 4.1: "in the old bespoke API, `wanted` is serialized as 0 or 1".
    told = await got(PlainTorrent(1), "wanted", "fileStats", "priorities")
    assert told["wanted"] == [1, 1]
    assert [type(each) for each in told["wanted"]] == [int, int]
    assert told["fileStats"][0] == {"bytesCompleted": 262_144, "wanted": True, "priority": 0}
    assert told["priorities"] == [0, 0]
    new = await Remote(PlainTorrent(1)).new_result("torrent_get", fields=["wanted"])
    assert new["torrents"] == [{"wanted": [True, True]}]


async def test_files_tell_the_pieces_they_lie_in() -> None:
    told = (await got(PlainTorrent(1), "files"))["files"]
    assert told[0] == {
        "begin_piece": 0,
        "bytesCompleted": 262_144,
        "end_piece": 14,
        "length": 900_000,
        "name": "film/a.mkv",
    }
    assert (told[1]["begin_piece"], told[1]["end_piece"]) == (13, 16)


async def test_trackers_have_every_key_without_which_transmission_remote_leaves_them_out() -> None:
    first, second = (await got(PlainTorrent(1), "trackerStats"))["trackerStats"]
    assert set(STATS_OF_TRACKER) <= first.keys() == second.keys()
    assert first["lastAnnounceSucceeded"] is True
    assert first["nextAnnounceTime"] == 1_001_890
    assert (second["seederCount"], second["lastAnnounceTime"]) == (-1, 0)


async def test_peers_have_every_key_of_both_dialects() -> None:
    old = (await got(PlainTorrent(1), "peers"))["peers"][0]
    assert {"clientName", "flagStr", "isUTP", "rateToClient", "address", "port"} <= old.keys()
    assert old["flagStr"] == "D"
    new = await Remote(PlainTorrent(1)).new_result("torrent_get", fields=["peers"])
    peer = new["torrents"][0]["peers"][1]
    assert {"client_name", "flag_str", "is_utp", "rate_to_client"} <= peer.keys()
    assert (peer["flag_str"], peer["is_incoming"]) == ("UI", True)


async def test_unknown_numbers_are_minus_one_and_dates_zero() -> None:
    told = await got(unknown_torrent(1), "eta", "uploadRatio", "doneDate", "dateCreated", "pieces")
    assert told == {"eta": -1, "uploadRatio": -1, "doneDate": 0, "dateCreated": 0, "pieces": ""}


async def test_pieces_are_base64_high_bit_first() -> None:
    told = await got(PlainTorrent(1), "pieces")
    assert base64.b64decode(told["pieces"]) == b"\xf0\x00"


async def test_what_peers_have_of_the_missing_pieces_is_counted() -> None:
    no_seeder = PlainTorrent(1, piece_holders=(1, 0, 0, 0, 1, 2) + (0,) * 10)
    no_seeder.peer_list = no_seeder.peer_list[1:]
    told = await got(no_seeder, "desiredAvailable", "availability")
    assert told["desiredAvailable"] == 2 * 65_536
    assert told["availability"] == [-1, -1, -1, -1, 1, 2] + [0] * 10
    told = await got(PlainTorrent(1), "desiredAvailable")
    assert told["desiredAvailable"] == 1_000_000 - 262_144


async def test_a_failure_of_its_own_comes_before_that_of_a_tracker() -> None:
    silent = TrackerFacts("udp://t:1", 0, result="no answer", announced_at=5.0)
    assert await got(PlainTorrent(1, tracker_list=(silent,)), "error", "errorString") == {
        "error": 2,
        "errorString": "no answer",
    }
    failed = PlainTorrent(1, state="failed", error="disk full", tracker_list=(silent,))
    assert await got(failed, "error", "errorString") == {"error": 3, "errorString": "disk full"}
    assert await got(PlainTorrent(1), "error", "errorString") == {"error": 0, "errorString": ""}


async def test_one_tracker_that_answers_is_enough() -> None:
    silent = TrackerFacts("udp://t:1", 0, result="no answer", announced_at=5.0)
    fine = TrackerFacts("udp://u:1", 0, has_succeeded=True)
    assert await got(PlainTorrent(1, tracker_list=(silent, fine)), "error") == {"error": 0}


async def test_a_table_has_the_names_once() -> None:
    # Transmission's rpc-spec 4.1, `format`.
    remote = Remote(PlainTorrent(1), PlainTorrent(2, name="book"))
    told = await remote.old_arguments("torrent-get", fields=["id", "name", "none"], format="table")
    assert told["torrents"] == [["id", "name"], [1, "film"], [2, "book"]]
    told = await remote.new_result("torrent_get", fields=["hash_string"], format="table", ids=[2])
    assert told["torrents"] == [["hash_string"], [f"{2:040x}"]]


async def test_a_field_is_answered_by_the_name_it_was_asked_for_with() -> None:
    # tewi-torrent 3.0.0 asks for `left_until_done` beside `leftUntilDone`.
    told = await got(PlainTorrent(1), "left_until_done", "leftUntilDone", "announceUrl")
    assert told == {"left_until_done": 737_856, "leftUntilDone": 737_856}


HASH_OF_255 = f"{255:040x}"


@pytest.mark.parametrize(
    ("ids", "meant"),
    [
        (1, [1]),
        ([1, 255], [1, 255]),
        ([255, 1, 1], [1, 255]),
        (HASH_OF_255, [255]),
        (HASH_OF_255.upper(), [255]),
        ([1, HASH_OF_255], [1, 255]),
        ([], []),
        (None, []),
        (True, []),
        ([True, 1.0, "1", {}, None], []),
        (10**30, []),
        ("ff", []),
        (HASH_OF_255[1:], []),
    ],
)
async def test_ids_come_bare_listed_as_number_or_hash(ids: Any, meant: list[int]) -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(255))
    told = await remote.old_arguments("torrent-get", ids=ids, fields=["id"])
    assert [each["id"] for each in told["torrents"]] == meant
    assert "removed" not in told


async def test_without_ids_all_are_meant() -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2))
    assert len((await remote.old_arguments("torrent-get", fields=["id"]))["torrents"]) == 2


@pytest.mark.parametrize("word", ["recently-active", "recently_active"])
async def test_recently_active_tells_what_changed_and_what_went(word: str) -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2), PlainTorrent(3))

    async def recent() -> tuple[list[int], list[int]]:
        told = await remote.old_arguments("torrent-get", ids=word, fields=["id"])
        return [each["id"] for each in told["torrents"]], told["removed"]

    assert await recent() == ([1, 2, 3], [])
    remote.now += 61
    assert await recent() == ([], [])
    remote.target.listed[1].have += 1
    remote.target.listed.pop(0)
    remote.now += 1000  # nobody asked for a while
    assert await recent() == ([2], [1])
    remote.now += 59
    assert await recent() == ([2], [1])
    remote.now += 2
    assert await recent() == ([], [])


async def test_an_id_that_comes_again_is_no_longer_gone() -> None:
    remote = Remote(PlainTorrent(1))
    await remote.old("torrent-get", fields=["id"])
    gone = remote.target.listed.pop()
    told = await remote.old_arguments("torrent-get", ids="recently-active", fields=["id"])
    assert told["removed"] == [1]
    remote.target.listed.append(gone)
    told = await remote.old_arguments("torrent-get", ids="recently-active", fields=["id"])
    assert told == {"removed": [], "torrents": [{"id": 1}]}


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({}, ""),
        ({"we_are_interested": True}, "d"),
        ({"we_are_interested": True, "chokes_us": False, "download_rate": 5.0}, "D"),
        ({"is_interested": True}, "u"),
        (
            {"is_interested": True, "is_choked": False, "upload_rate": 5.0, "is_incoming": True},
            "UI",
        ),
        ({"chokes_us": False}, "K"),
        ({"is_choked": False}, "?"),
    ],
)
def test_the_flags_of_a_peer_are_those_of_transmission(values: Any, flags: str) -> None:
    assert flags_of(a_peer(**values)) == flags


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("udp://tracker.example.org:6969", "example"),
        ("http://localhost:80/announce", "localhost"),
        ("http://user:word@10.0.0.1:80/a", "10.0.0.1"),
        ("http://[::1]:80/a", "::1"),
        ("no url", ""),
    ],
)
def test_the_site_of_a_tracker(url: str, name: str) -> None:
    assert site_name(url) == name


async def test_a_trackers_password_is_not_part_of_its_host() -> None:
    torrent = PlainTorrent(1, tracker_list=(TrackerFacts("http://user:word@t.org:80/a", 0),))
    told = await got(torrent, "trackerStats")
    assert told["trackerStats"][0]["host"] == "t.org:80"


async def test_a_thousand_torrents_are_told_between_which_others_have_their_turn() -> None:
    remote = Remote(*(PlainTorrent(number) for number in range(1, 1001)))
    told = await remote.old_arguments("torrent-get", fields=["id", "files", "peers"])
    assert len(told["torrents"]) == 1000
