"""Methods that change something. Sources: what seven clients send; Transmission's rpc-spec 4.1."""

import base64
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from transmission_calls import Remote, words
from transmission_target import PlainTarget, PlainTorrent, a_peer
from trio_swarm.control.transmission.choosing import moved_in_queue
from trio_swarm.control.transmission.facts import TorrentFacts
from trio_swarm.control.transmission.target import Addition, SessionChanges
from trio_swarm.errors import EntryUnknownError

MAGNET = "magnet:?xt=urn:btih:" + "a" * 40


def added(remote: Remote) -> Addition:
    ((what, addition),) = remote.target.done
    assert what == "add"
    assert isinstance(addition, Addition)
    return addition


class SlowTarget(PlainTarget):
    """A node whose torrents take two seconds to stop: their tracker is silent."""

    gone = 3
    """The number of one that somebody else removes meanwhile."""

    async def pause(self, torrent: TorrentFacts) -> None:
        await trio.sleep(2)
        if torrent.id == self.gone:
            raise EntryUnknownError("film")

    async def remove(self, torrent: TorrentFacts, *, delete_data: bool) -> None:
        await self.pause(torrent)

    async def verify(self, torrent: TorrentFacts) -> None:
        await self.pause(torrent)


@pytest.mark.parametrize("method", ["torrent-stop", "torrent-remove", "torrent-verify"])
async def test_torrents_wait_for_their_trackers_side_by_side_not_in_turn(
    autojump_clock: object, method: str
) -> None:
    """transmission-remote gives up after three minutes, libraries after 10 to 30 s."""
    remote = Remote()
    remote.session.target = SlowTarget([PlainTorrent(each) for each in range(1, 101)])
    begun = trio.current_time()
    assert await remote.old_arguments(method) == {}
    assert trio.current_time() - begun == 2


# --- adding -------------------------------------------------------------------------------------


async def test_a_magnet_is_added_and_told_by_id_name_and_hash() -> None:
    remote = Remote()
    told = await remote.old_arguments("torrent-add", filename=MAGNET, paused=True, labels=None)
    assert told == {"torrent-added": {"id": 9, "name": "new", "hashString": "9" * 40}}
    assert added(remote) == Addition(what=MAGNET, is_paused=True)


async def test_one_that_is_there_is_told_as_a_duplicate() -> None:
    told = await Remote().new_result("torrent_add", filename="present")
    assert told == {"torrent_duplicate": {"id": 9, "name": "new", "hash_string": "9" * 40}}


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_torrent_file_comes_as_base64_with_or_without_line_breaks(*, wrapped: bool) -> None:
    remote = Remote()
    data = bytes(range(200))
    text = (base64.encodebytes if wrapped else base64.b64encode)(data).decode()
    await remote.old_arguments("torrent-add", metainfo=text, download_dir="/downloads/films")
    assert added(remote) == Addition(metainfo=data, folder=Path("/downloads/films"))


async def test_what_is_no_base64_is_no_torrent() -> None:
    answered = await Remote().old("torrent-add", metainfo="*")
    assert answered["result"] == "invalid or corrupt torrent file"
    answered = await Remote().new("torrent_add", metainfo="é")
    assert answered["error"]["code"] == 9


async def test_an_address_is_fetched_with_its_cookies() -> None:
    remote = Remote()
    await remote.old_arguments("torrent-add", filename="http://i/x.torrent", cookies="a=b")
    assert added(remote).metainfo == b"fetched:http://i/x.torrent:a=b"


async def test_an_address_may_lead_to_a_magnet_link() -> None:
    remote = Remote()
    await remote.old_arguments("torrent-add", filename="https://i/magnet")
    assert added(remote) == Addition(what="magnet:?xt=urn:btih:" + "c" * 40)


@pytest.mark.parametrize("filename", ["/downloads/x y.torrent", "file:///downloads/x%20y.torrent"])
async def test_a_path_is_a_file_of_the_nodes_machine(filename: str) -> None:
    # transmission-remote 3.00 sends the path if it cannot read the file itself.
    remote = Remote()
    await remote.old_arguments("torrent-add", filename=filename)
    assert added(remote).metainfo == b"file:/downloads/x y.torrent"


async def test_a_name_or_a_hash_is_asked_of_the_trackers() -> None:
    for text in ("holiday films", "holiday/films", "b" * 40):
        remote = Remote()
        await remote.old_arguments("torrent-add", filename=text)
        assert added(remote) == Addition(what=text)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"filename": "ftp://i/x.torrent"}, "http"),
        ({"filename": "films/x.torrent"}, "absolute"),
        ({"filename": "/a\0b"}, "character"),
        ({"filename": 7}, "text"),
        ({"filename": MAGNET, "download-dir": "/etc"}, "outside of /downloads"),
        ({"filename": MAGNET, "download-dir": "films"}, "absolute"),
        ({"filename": MAGNET, "labels": ["a,b"]}, "label"),
        ({"filename": MAGNET, "labels": ["\x1b[31m"]}, "label"),
        ({"filename": MAGNET, "labels": ["a"] * 1000}, "labels"),
        ({"filename": MAGNET, "labels": ["a" * 1000]}, "label"),
        ({"filename": MAGNET, "labels": [1]}, "labels"),
        ({"filename": MAGNET, "paused": "yes"}, "paused"),
        ({"filename": MAGNET, "files-unwanted": [0]}, "fetched whole"),
        ({"filename": MAGNET, "priority-high": [0]}, "preferred"),
        ({"filename": MAGNET, "bandwidthPriority": 1}, "priority"),
        ({"filename": MAGNET, "sequential_download": True}, "scheduler"),
        ({"filename": "http://i/x", "cookies": "a\r\nb"}, "cookies"),
    ],
)
async def test_what_cannot_be_added_is_refused_in_one_line(arguments: Any, word: str) -> None:
    remote = Remote()
    answered = await remote.old("torrent-add", **arguments)
    assert word in answered["result"]
    assert remote.target.done == []


async def test_forms_with_nothing_chosen_are_taken() -> None:
    # transmission-remote-gtk 1.5.1 sends lists of files in each category, most of them empty.
    remote = Remote()
    arguments: Any = {
        "filename": MAGNET,
        "files-wanted": [0, 1],
        "files-unwanted": [],
        "priority-high": [],
        "priority-normal": [0, 1],
        "priority-low": [],
        "bandwidthPriority": 0,
        "labels": ["film", "film"],
    }
    await remote.old_arguments("torrent-add", **arguments)
    assert added(remote).labels == ("film",)


# --- acting -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "arguments", "done"),
    [
        ("torrent-start", {}, ("start", 2)),
        ("torrent-start-now", {}, ("start at once", 2)),
        ("torrent-stop", {}, ("pause", 2)),
        ("torrent-verify", {}, ("verify", 2)),
        ("torrent-reannounce", {}, ("reannounce", 2)),
        ("torrent-remove", {}, ("remove", 2)),
        ("torrent-remove", {"delete-local-data": True}, ("remove with data", 2)),
        ("torrent-remove", {"delete-local-data": 1}, ("remove with data", 2)),
        (
            "torrent-set-location",
            {"location": "/downloads/x", "move": True},
            ("move", 2, "/downloads/x"),
        ),
        ("torrent-set-location", {"location": "/downloads/x"}, ("find", 2, "/downloads/x")),
        ("torrent-set", {"location": "/downloads/x"}, ("move", 2, "/downloads/x")),
    ],
)
async def test_each_action_is_done_to_the_torrents_that_are_meant(
    method: str, arguments: Any, done: tuple[object, ...]
) -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2))
    assert await remote.old_arguments(method, ids=[2], **arguments) == {}
    assert remote.target.done == [done]


async def test_without_ids_everything_goes_and_with_null_nothing() -> None:
    # transmission-remote 3.00 `-tall -r` has no ids.
    remote = Remote(PlainTorrent(1), PlainTorrent(2))
    await remote.old_arguments("torrent-remove", ids=None)
    assert remote.target.done == []
    await remote.old_arguments("torrent-remove")
    assert remote.target.done == [("remove", 1), ("remove", 2)]


async def test_one_that_fails_does_not_keep_others_from_it() -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2), PlainTorrent(3))
    remote.target.failing = {1, 3}
    answered = await remote.old("torrent-stop")
    assert answered["result"] == "film: cannot be done (and 1 more)"
    assert remote.target.done == [("pause", 2)]


async def test_data_goes_nowhere_outside_of_the_allowed_folders() -> None:
    remote = Remote(PlainTorrent(1))
    for method in ("torrent-set-location", "torrent-set"):
        answered = await remote.old(method, ids=1, location="/etc", move=True)
        assert answered["result"] == "/etc is outside of /downloads"
    answered = await remote.old("torrent-set-location", ids=1)
    assert answered["result"] == "location is missing"
    assert remote.target.done == []


async def test_a_path_is_renamed_and_told() -> None:
    remote = Remote(PlainTorrent(1))
    told = await remote.old_arguments("torrent-rename-path", ids=[1], path="film/a", name="b")
    assert told == {"path": "film/a", "name": "b", "id": 1}
    assert remote.target.done == [("rename", 1, "film/a", "b")]


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "film", "name": "b/c"},
        {"path": "film", "name": ".."},
        {"path": "film", "name": ""},
        {"path": "film", "name": "b\0"},
        {"path": "/etc/passwd", "name": "b"},
        {"path": "../x", "name": "b"},
        {"path": "film/../../x", "name": "b"},
        {"name": "b"},
    ],
)
async def test_a_path_is_not_renamed_out_of_its_torrent(arguments: Any) -> None:
    remote = Remote(PlainTorrent(1))
    answered = await remote.old("torrent-rename-path", ids=1, **arguments)
    assert answered["result"] != "success"
    assert remote.target.done == []


async def test_a_path_is_renamed_in_one_torrent_only() -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2))
    for ids in ({}, {"ids": [1, 2]}, {"ids": []}):
        answered = await remote.old("torrent-rename-path", path="film", name="b", **ids)
        assert answered["result"].startswith("a path is renamed in one torrent")


# --- settings -----------------------------------------------------------------------------------


async def limits(remote: Remote) -> Any:
    fields = ["downloadLimit", "downloadLimited", "uploadLimit", "uploadLimited"]
    return (await remote.old_arguments("torrent-get", fields=fields))["torrents"][0]


async def test_limits_of_a_torrent_are_kilobytes_with_a_switch() -> None:
    remote = Remote(PlainTorrent(1))
    await remote.old_arguments("torrent-set", ids=1, downloadLimit=250, downloadLimited=True)
    assert remote.target.listed[0].download_limit == 250_000
    await remote.new_result("torrent_set", ids=1, upload_limit=30, upload_limited=True)
    assert await limits(remote) == {
        "downloadLimit": 250,
        "downloadLimited": True,
        "uploadLimit": 30,
        "uploadLimited": True,
    }


async def test_a_limit_that_is_off_keeps_its_number() -> None:
    remote = Remote(PlainTorrent(1))
    await remote.old_arguments("torrent-set", ids=1, downloadLimit=250)
    assert remote.target.listed[0].download_limit is None
    told = await limits(remote)
    assert (told["downloadLimit"], told["downloadLimited"]) == (250, False)
    await remote.old_arguments("torrent-set", ids=1, downloadLimited=True)
    assert remote.target.listed[0].download_limit == 250_000
    await remote.old_arguments("torrent-set", ids=1, downloadLimited=False)
    assert (await limits(remote))["downloadLimit"] == 250


async def test_a_limit_that_is_no_kilobyte_is_not_shown_as_none() -> None:
    assert (await limits(Remote(PlainTorrent(1, download_limit=1))))["downloadLimit"] == 1


async def test_the_seeding_ratio_has_three_modes_and_a_number_that_is_kept() -> None:
    """Transmission keeps `seedRatioLimit` whatever the mode, and shows it again (3.00, 4.0)."""
    remote = Remote(PlainTorrent(1))
    for arguments, kept, told in [
        ({"seedRatioLimit": 1.5, "seedRatioMode": 1}, 1.5, (1.5, 1)),
        ({"seedRatioLimit": 2}, 2, (2, 1)),
        ({"seedRatioMode": 2}, 1e9, (2.0, 2)),
        ({"seedRatioMode": 1}, 2.0, (2.0, 1)),
        ({"seedRatioMode": 0}, None, (2.0, 0)),
        ({"seedRatioLimit": 3}, None, (3.0, 0)),
        ({"seedRatioMode": 1}, 3.0, (3.0, 1)),
        ({"seedRatioMode": 0, "seedRatioLimit": 4}, None, (4.0, 0)),
        ({"seedRatioMode": 2}, 1e9, (4.0, 2)),
    ]:
        await remote.old_arguments("torrent-set", ids=1, **arguments)
        assert remote.target.listed[0].seed_ratio == kept
        fields = ["seedRatioLimit", "seedRatioMode"]
        (shown,) = (await remote.old_arguments("torrent-get", fields=fields))["torrents"]
        assert (shown["seedRatioLimit"], shown["seedRatioMode"]) == told


async def test_labels_are_set_and_taken_away() -> None:
    remote = Remote(PlainTorrent(1))
    await remote.old_arguments("torrent-set", ids=1, labels=["film", "new"])
    assert remote.target.listed[0].labels == ("film", "new")
    await remote.old_arguments("torrent-set", ids=1, labels=[])
    assert remote.target.listed[0].labels == ()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"files-unwanted": [0]}, "fetched whole"),
        ({"files-unwanted": []}, "fetched whole"),
        ({"priority-high": []}, "preferred"),
        ({"trackerAdd": ["udp://t:1"]}, "tracker_add"),
        ({"trackerList": "udp://t:1"}, "tracker_list"),
        ({"bandwidthPriority": 1}, "bandwidth_priority"),
        ({"honorsSessionLimits": False}, "honors_session_limits"),
        ({"seedIdleMode": 1}, "seed_idle_mode"),
        ({"peer-limit": 60}, "peer_limit"),
        ({"group": "slow"}, "group"),
        ({"downloadLimit": -1}, "download_limit"),
        ({"downloadLimit": 1.5}, "download_limit"),
        ({"downloadLimit": 10**30}, "download_limit"),
        ({"downloadLimit": "5"}, "download_limit"),
        ({"downloadLimit": 0, "downloadLimited": True}, "0"),
        ({"seedRatioMode": 3}, "seed_ratio_mode"),
    ],
)
async def test_what_cannot_be_set_is_refused_by_name_and_nothing_is_set(
    arguments: Any, word: str
) -> None:
    remote = Remote(PlainTorrent(1))
    answered = await remote.old("torrent-set", ids=1, labels=["x"], **arguments)
    assert word in answered["result"]
    assert remote.target.done == []


async def test_a_form_in_which_nothing_was_changed_is_taken() -> None:
    remote = Remote(PlainTorrent(1))
    arguments: Any = {
        "files-wanted": [],
        "priority-normal": [0],
        "bandwidthPriority": 0,
        "honorsSessionLimits": True,
        "seedIdleMode": 0,
        "peer-limit": 250,
        "trackerAdd": [],
    }
    await remote.old_arguments("torrent-set", ids=1, **arguments)
    assert remote.target.done == []


async def test_limits_of_the_node_are_kilobytes_with_a_switch() -> None:
    remote = Remote()
    arguments: Any = {
        "speed-limit-up": 100,
        "speed-limit-up-enabled": True,
        "speed-limit-down-enabled": False,
        "seedRatioLimit": 1.5,
        "seedRatioLimited": True,
        "download-queue-size": 3,
        "download-queue-enabled": True,
        "alt-speed-enabled": True,
        "alt-speed-down": 20,
        "download-dir": "/downloads/films",
        "encryption": "tolerated",
    }
    await remote.old_arguments("session-set", **arguments)
    assert remote.target.changed == [
        SessionChanges(
            upload_limit=100_000,
            download_limit=None,
            seed_ratio=1.5,
            max_active_downloads=3,
            is_alternative=True,
            alternative_download_limit=20_000,
            download_folder=Path("/downloads/films"),
        )
    ]


async def test_a_number_without_its_switch_is_kept_for_later() -> None:
    remote = Remote()
    await remote.old_arguments("session-set", **{"speed-limit-up": 7})
    assert remote.target.changed == []
    told = await remote.old_arguments("session-get")
    assert (told["speed-limit-up"], told["speed-limit-up-enabled"]) == (7, False)
    await remote.old_arguments("session-set", **{"speed-limit-up-enabled": True})
    assert remote.target.changed[0].upload_limit == 7000


async def test_a_number_whose_switch_is_on_holds_at_once() -> None:
    remote = Remote()
    await remote.old_arguments("session-set", **{"speed-limit-down": 7})
    assert remote.target.changed == [SessionChanges(download_limit=7000)]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"encryption": "required"}, "encryption"),
        ({"peer-port": 1}, "peer_port"),
        ({"dht-enabled": True}, "dht_enabled"),
        ({"blocklist-url": "http://x"}, "blocklist_url"),
        ({"alt-speed-time-enabled": False}, "alt_speed_time_enabled"),
        ({"speed-limit-up": "fast"}, "speed_limit_up"),
        ({"download-dir": "/etc"}, "outside"),
        ({"download-queue-size": 0, "download-queue-enabled": True}, "0"),
    ],
)
async def test_settings_that_cannot_change_are_refused_by_name(arguments: Any, word: str) -> None:
    remote = Remote()
    answered = await remote.old("session-set", seedRatioLimited=True, **arguments)
    assert word in answered["result"]
    assert remote.target.changed == []


async def test_settings_that_are_as_they_are_asked_for_are_taken() -> None:
    remote = Remote()
    told = await remote.old_arguments("session-get")
    await remote.old_arguments("session-set", **told)
    (changes,) = remote.target.changed
    assert replace(changes, download_folder=UNSET, alternative_upload_limit=UNSET,
                   alternative_download_limit=UNSET) == SessionChanges()  # fmt: skip


async def test_a_call_that_fails_leaves_no_number_behind() -> None:
    """Of a limit that is off, the number is shown: it is as it was, if anything is refused."""
    remote = Remote(PlainTorrent(1, upload_limit=None))
    before = (await limits(remote))["uploadLimit"]
    wrong = {"queuePosition": "first"}
    for more in (wrong, {"peer-limit": 1}, {"location": "/etc"}):
        answered = await remote.old("torrent-set", ids=1, uploadLimit=77, labels=["x"], **more)
        assert answered["result"] != "success"
    assert (await limits(remote))["uploadLimit"] == before
    assert remote.target.done == []
    told = await remote.old_arguments("session-get")
    more = {"download-queue-size": 0, "download-queue-enabled": True}
    assert (await remote.old("session-set", **{"speed-limit-up": 77}, **more))[
        "result"
    ] != "success"
    assert await remote.old_arguments("session-get") == told


# --- the queue ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "ids", "order"),
    [
        ("queue-move-top", [3, 2], [2, 3, 1, 4]),
        ("queue-move-bottom", [1, 2], [3, 4, 1, 2]),
        ("queue-move-up", [3], [1, 3, 2, 4]),
        ("queue-move-up", [1, 2, 4], [1, 2, 4, 3]),
        ("queue-move-down", [1], [2, 1, 3, 4]),
        ("queue-move-down", [4, 3, 1], [2, 1, 3, 4]),
    ],
)
async def test_torrents_move_in_the_queue(method: str, ids: list[int], order: list[int]) -> None:
    remote = Remote(*(PlainTorrent(number) for number in (1, 2, 3, 4)))
    await remote.old_arguments(method, ids=ids)
    listed = sorted(remote.target.listed, key=lambda each: each.queue_position)
    assert [each.id for each in listed] == order


@given(st.permutations(range(7)), st.sets(st.integers(0, 6)), st.sampled_from(["up", "down"]))
def test_moving_up_and_down_keeps_the_order_of_the_moved(
    order: list[int], moved: set[int], where: str
) -> None:
    current = list(order)
    positions = {each: place for place, each in enumerate(order)}
    for each, place in moved_in_queue(positions, list(moved), where):
        current.remove(each)
        current.insert(place, each)
    assert [each for each in current if each in moved] == [each for each in order if each in moved]
    assert all(abs(current.index(each) - order.index(each)) <= 1 for each in moved)


# --- the node -----------------------------------------------------------------------------------

SESSION_NEEDS = words(
    "alt-speed-down alt-speed-enabled alt-speed-up alt-speed-time-begin alt-speed-time-day "
    "alt-speed-time-enabled alt-speed-time-end cache-size-mb config-dir dht-enabled "
    "download-dir download-dir-free-space encryption lpd-enabled peer-limit-global peer-port "
    "pex-enabled port-forwarding-enabled rpc-version rpc-version-minimum seedRatioLimit "
    "seedRatioLimited speed-limit-down speed-limit-down-enabled speed-limit-up "
    "speed-limit-up-enabled start-added-torrents trash-original-torrent-files utp-enabled "
    "version"
)


async def test_session_get_has_what_clients_need() -> None:
    told = await Remote().old_arguments("session-get")
    assert set(SESSION_NEEDS) <= told.keys()
    # transmission-remote-gtk 1.5.1 shows no torrents below 2.0, and reads the first number.
    assert told["version"] == "4.1.0 (trio-swarm 0.1.0)"
    for name in SESSION_NEEDS:
        assert not isinstance(told[name], float) or name == "seedRatioLimit"
    assert (told["speed-limit-down"], told["speed-limit-up-enabled"]) == (500, False)
    assert (told["alt-speed-time-begin"], told["alt-speed-time-day"]) == (540, 62)
    assert told["encryption"] == "tolerated"
    assert told["units"]["speed-bytes"] == 1000


async def test_session_get_tells_fields_that_were_asked_for() -> None:
    told = await Remote().new_result("session_get", fields=["version", "encryption", "none", 7])
    assert told == {"version": "4.1.0 (trio-swarm 0.1.0)", "encryption": "allowed"}
    told = await Remote().new_result("session_get", fields=["units", "cache_size_mib"])
    assert told["units"]["speed_bytes"] == 1000
    assert told["cache_size_mib"] == 0


async def test_statistics_count_torrents_and_bytes() -> None:
    remote = Remote(PlainTorrent(1), PlainTorrent(2, state="paused", download_rate=0.0))
    told = await remote.old_arguments("session-stats")
    assert told["torrentCount"] == 2
    assert (told["activeTorrentCount"], told["pausedTorrentCount"]) == (1, 1)
    assert (told["downloadSpeed"], told["uploadSpeed"]) == (1234, 20)
    assert told["cumulative-stats"]["downloadedBytes"] == 600_000
    assert told["current-stats"] == {
        "uploadedBytes": 100_000,
        "downloadedBytes": 400_000,
        "filesAdded": 2,
        "sessionCount": 1,
        "secondsActive": 3600,
    }


async def test_free_space_is_told_of_allowed_folders() -> None:
    told = await Remote().old_arguments("free-space", path="/downloads/x")
    assert told == {"path": "/downloads/x", "size-bytes": 10**9, "total_size": 4 * 10**9}
    answered = await Remote().old("free-space", path="/etc")
    assert answered["result"] == "/etc is outside of /downloads"
    assert answered["arguments"] == {"path": "/etc", "size-bytes": -1, "total_size": -1}
    answered = await Remote().new("free_space", path="/etc")
    assert answered["error"]["data"]["result"]["size_bytes"] == -1


@pytest.mark.parametrize(
    ("address", "incoming", "protocol"),
    [
        ("93.184.216.34", True, "ipv4"),
        ("2606:4700::1", True, "ipv6"),
        ("93.184.216.34", False, None),
        ("192.168.1.5", True, None),
        ("127.0.0.1", True, None),
    ],
)
async def test_a_port_is_open_if_a_peer_from_outside_came_in(
    address: str, *, incoming: bool, protocol: str | None
) -> None:
    peer = a_peer(address=address, is_incoming=incoming)
    remote = Remote(PlainTorrent(1, peer_list=(peer,)))
    answered = await remote.old("port-test")
    if protocol is None:
        assert answered["result"].startswith("not known")
        return
    assert answered["arguments"] == {"port-is-open": True, "ip_protocol": protocol}
    other = "ipv6" if protocol == "ipv4" else "ipv4"
    assert (await remote.new("port_test", ip_protocol=other))["error"]["code"] == 8


async def test_what_does_not_exist_here_is_said_so() -> None:
    remote = Remote()
    assert (await remote.old("blocklist-update"))["result"] == "there is no blocklist here"
    assert await remote.old_arguments("group-get") == {"group": []}
    assert "no bandwidth groups" in (await remote.old("group-set", name="x"))["result"]
