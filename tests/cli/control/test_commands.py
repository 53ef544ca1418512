"""What each command asks the node to do, and what it says about it."""

import base64
import json
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import PATIENCE, CommandLine
from fake_control import FakeNode, fake_node, refusal
from terminals import terminal

# --- add ------------------------------------------------------------------------------------------


def added(node: FakeNode) -> dict[str, object]:
    """The body of the one request to add something."""
    (asked,) = node.told("POST")
    assert asked.path == "/torrents"
    body: dict[str, object] = asked.body
    return body


def test_a_name_is_added_with_all_its_flags(line: CommandLine, node: FakeNode) -> None:
    done = line.run(
        *("add", "holiday.mkv", "--dir", "films", "--paused", "--label", "a", "--label", "b"),
        *("--tracker", "udp://10.0.0.1:6969", "--peer", "10.0.0.2:51413", "--no-seed"),
        *("--scheduler", "round-robin", "--option", "chunk_kib=64"),
        *("--up", "500k", "--down", "none", "--slots", "4", "--ratio", "2", "--seed-for", "60"),
    )
    assert (done.returncode, done.stdout) == (0, "added: holiday.mkv: waiting\n")
    assert added(node) == {
        "what": "holiday.mkv",
        "folder": str(line.folder / "films"),
        "paused": True,
        "labels": ["a", "b"],
        "trackers": ["udp://10.0.0.1:6969"],
        "peers": ["10.0.0.2:51413"],
        "seed": False,
        "scheduler": {"name": "round-robin", "options": {"chunk_kib": "64"}},
        "limits": {
            "upload_rate": 500 * 1024,
            "download_rate": None,
            "upload_slots": 4,
            "seed_ratio": 2.0,
            "seed_for": 60.0,
        },
    }


@pytest.mark.parametrize("what", ["magnet:?xt=urn:btih:" + "ab" * 20, "ab" * 20, "no.torrent"])
def test_links_hashes_and_names_are_sent_as_they_are(
    line: CommandLine, node: FakeNode, what: str
) -> None:
    assert line.run("add", what).returncode == 0
    assert added(node)["what"] == what


def test_who_mistypes_a_torrent_file_hears_that_it_is_taken_for_a_name(
    line: CommandLine, node: FakeNode
) -> None:
    said = line.run("add", "big.torrent").stdout
    assert said.startswith("added: big.torrent: waiting\n")
    assert "there is no file big.torrent here: it is taken for a name" in said


def test_the_bytes_of_a_torrent_file_are_sent(line: CommandLine, node: FakeNode) -> None:
    (line.folder / "big.torrent").write_bytes(b"d4:info0:e\xff")
    assert line.run("add", "big.torrent").returncode == 0
    sent = added(node)
    assert base64.b64decode(str(sent["metainfo"])) == b"d4:info0:e\xff"
    assert "what" not in sent


def test_a_path_is_shared_from_where_the_command_was_given(
    line: CommandLine, node: FakeNode
) -> None:
    (line.folder / "photos").mkdir()
    done = line.run("add", "photos", "--share", "--name", "photos-2024", "--up", "1M")
    assert done.returncode == 0, done.stderr
    assert added(node) == {
        "path": str(line.folder / "photos"),
        "name": "photos-2024",
        "paused": False,
        "labels": [],
        "limits": {"upload_rate": 1024**2},
    }


def test_paths_of_a_node_elsewhere_are_sent_as_they_are(line: CommandLine) -> None:
    with fake_node(line.folder, on_tcp=True) as node:
        url = f"http://127.0.0.1:{node.port}"
        assert line.run("add", "/srv/photos", "--share", "--url", url).returncode == 0
        assert added(node)["path"] == "/srv/photos"
        assert line.run("add", "x", "--dir", "films", "--url", url).returncode == 0
        assert node.asked[-1].body["folder"] == "films"


def test_what_is_there_already_is_no_failure(line: CommandLine, node: FakeNode) -> None:
    done = line.run("add", "film.mkv", "other")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith("there already: film.mkv: downloading")
    assert second == "added: other: waiting"


def test_a_refusal_of_the_node_is_one_line(line: CommandLine, node: FakeNode) -> None:
    node.answers["POST", "/torrents"] = refusal(403, "forbidden-folder", "/etc is not allowed")
    done = line.run("add", "x", "--dir", "/etc", "--json")
    assert (done.returncode, done.stderr) == (1, "trio-swarm: /etc is not allowed\n")
    told = json.loads(done.stdout)
    assert (told["event"], told["message"]) == ("error", "/etc is not allowed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", ""], "say what to add"),
        (["add", "none/here.torrent"], "there is no file none/here.torrent"),
        (["add", "https://a/b.torrent"], "is an address: fetch the .torrent file"),
        (["add", "./photos"], "no .torrent file: --share shares it"),
        (["add", "none", "--share"], "there is no none to share"),
        (["add", "photos", "--share", "--dir", "a"], "does not go with --share"),
        (["add", "photos", "--share", "-s", "a"], "not with --share"),
        (["add", "a", "--name", "b"], "--name is the name of one path to share"),
        (["add", "a", "--option", "b=c"], "name it with --scheduler"),
        (["add", "a", "--option", "b", "-s", "c"], "--option: expected KEY=VALUE"),
        (["add", "a", "--up", "fast"], "--up: expected a rate such as 10MiB"),
        (["add", "a", "--slots", "0"], "--slots: expected a whole number above 0, or none"),
        (["add", "a", "--ratio", "nan"], "--ratio: expected a number above 0, or none"),
        (["add", "a", "--peer", "b"], "--peer: expected HOST:PORT"),
        (["add", "a", "-t", "b"], "--tracker: "),
        (["limit", "--slots", "3"], "--slots is a limit of a torrent"),
        (["limit", "film", "--active-seeds", "3"], "--active-seeds is a limit of the whole node"),
        (["limit", "film", "--alternative"], "--alternative is a limit of the whole node"),
        (["limit", "--active-downloads", "1.5"], "--active-downloads: expected a whole number"),
        (["pause"], "say what to pause: trio-swarm pause TORRENT, or --all"),
        (["resume", "film", "--all"], "say what to resume"),
        (["verify"], "say what to verify: trio-swarm verify FILE.torrent FOLDER"),
        (["remove", "film", "--delete-data"], "nobody can be asked here, so say --yes as well"),
        (["scheduler", "film", "--option", "a=b"], "--option is for a strategy"),
        (["explain", "film", "--at", "2"], "--at is for recordings, and there is no file film"),
        (["status", "", "a"], "a torrent is named by its name"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    line: CommandLine, node: FakeNode, arguments: list[str], message: str
) -> None:
    (line.folder / "photos").mkdir()
    done = line.run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
    assert not [each for each in node.asked if each.method != "GET"]


# --- remove ---------------------------------------------------------------------------------------


def test_torrents_are_removed_and_their_data_stays(line: CommandLine, node: FakeNode) -> None:
    film, notes = line.events("remove", "film", "notes")
    assert (film["event"], film["share_name"], film["data_deleted"]) == (
        "torrent_removed",
        "film.mkv",
        False,
    )
    assert notes["info_hash"] == "2" * 40
    assert [each.query for each in node.told("DELETE")] == [{}, {}]
    assert node.torrents == []


def test_data_is_deleted_without_a_question_if_told_so(line: CommandLine, node: FakeNode) -> None:
    done = line.run("remove", "film", "--delete-data", "--yes")
    assert (done.returncode, done.stdout) == (0, "film.mkv: removed, and its data deleted\n")
    assert node.told("DELETE")[0].query == {"delete_data": "true"}


@pytest.mark.parametrize(("keys", "is_deleted"), [("y\n", True), ("\n", False), ("\x04", False)])
def test_a_person_is_asked_before_data_is_deleted(
    line: CommandLine, node: FakeNode, keys: str, *, is_deleted: bool
) -> None:
    with terminal(line, "remove", "film", "--delete-data") as shown:
        shown.wait_for(r"film\.mkv, 1 MiB")
        shown.wait_for(r"Delete the data of 1 torrent \(1 MiB\) for good \(y/N\)\? ")
        shown.type(keys)
        assert shown.end() == (0 if is_deleted else 1)
    assert bool(node.told("DELETE")) == is_deleted
    assert ("nothing was removed" in shown.text) != is_deleted


# --- pause, resume and others ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "state"),
    [
        ("pause", "paused"),
        ("resume", "seeding"),
        ("verify", "checking"),
        ("reannounce", "seeding"),
    ],
)
def test_a_torrent_is_told_and_its_state_is_the_answer(
    line: CommandLine, node: FakeNode, what: str, state: str
) -> None:
    (told,) = line.events(what, "notes.txt")
    assert (told["event"], told["share_name"], told["state"]) == (
        "torrent_status",
        "notes.txt",
        state,
    )
    assert [each.path for each in node.told("POST")] == [f"/torrents/2/{what}"]


def test_all_torrents_are_paused_at_once(line: CommandLine, node: FakeNode) -> None:
    done = line.run("pause", "--all")
    assert done.stdout.splitlines() == [
        "film.mkv: paused, 33.3 % of 3 MiB, 1.91 MiB/s down",
        "notes.txt: paused, 100 % of 3 MiB, 0.98 KiB/s up",
    ]
    node.torrents.clear()
    assert line.run("pause", "--all").stdout == "the node has no torrent\n"


@pytest.mark.parametrize(("flags", "moves"), [([], True), (["--keep-data"], False)])
def test_data_is_moved_to_a_folder_from_here(
    line: CommandLine, node: FakeNode, flags: list[str], *, moves: bool
) -> None:
    assert line.run("move", "film", "films", *flags).returncode == 0
    (told,) = node.told("POST")
    assert told.path == "/torrents/1/move"
    assert told.body == {"folder": str(line.folder / "films"), "move_data": moves}


@pytest.mark.parametrize(("path", "sent"), [("deep/b.bin", "deep/b.bin"), (".", None)])
def test_a_file_or_the_whole_torrent_is_renamed(
    line: CommandLine, node: FakeNode, path: str, sent: str | None
) -> None:
    assert line.run("rename", "film", path, "Summer.mkv").returncode == 0
    (told,) = node.told("POST")
    assert told.path == "/torrents/1/rename"
    assert told.body == {"path": sent, "name": "Summer.mkv"}


# --- limits and strategies ------------------------------------------------------------------------


def test_limits_of_the_node_are_told_and_changed(line: CommandLine, node: FakeNode) -> None:
    assert line.run("limit").stdout == "the node: 1 MiB/s down\n"
    node.session["alternative"] = {"active": True, "upload_rate": 60_000, "download_rate": None}
    node.session["alternative_limits"] = True
    slow = "the node: 58.6 KiB/s up (the alternative limits)\n"
    assert line.run("limit").stdout == slow
    node.session["alternative_limits"] = False
    assert not node.told("PATCH")
    done = line.run("limit", "--up", "20Mbit", "--down", "none", "--active-downloads", "3")
    assert done.stdout == "the node: 2.38 MiB/s up, 3 active downloads\n"
    (told,) = node.told("PATCH")
    assert told.body == {
        "upload_rate": 2_500_000,
        "download_rate": None,
        "max_active_downloads": 3,
    }
    assert line.run("limit", "--no-alternative").returncode == 0
    assert node.asked[-1].body == {"alternative_limits": False}


def test_limits_of_a_torrent_are_told_and_changed(line: CommandLine, node: FakeNode) -> None:
    assert line.run("limit", "film").stdout == "film.mkv: no limits of its own\n"
    assert not node.told("PATCH")
    done = line.run("limit", "film", "--up", "500k", "--ratio", "1.5", "--seed-for", "3600")
    assert done.stdout == "film.mkv: 500 KiB/s up, until ratio 1.5, for 1:00 h of seeding\n"
    (told,) = node.told("PATCH")
    assert told.body == {
        "limits": {"upload_rate": 500 * 1024, "seed_ratio": 1.5, "seed_for": 3600.0}
    }


def test_the_strategy_of_a_download_is_told_and_changed(line: CommandLine, node: FakeNode) -> None:
    assert line.run("scheduler", "film").stdout == (
        "film.mkv: rarest-first (window=4)\nthe node has rarest-first, round-robin\n"
    )
    assert line.run("scheduler", "notes").stdout.startswith("notes.txt: none: it fetches nothing")
    done = line.run("scheduler", "film", "round-robin", "--option", "chunk_kib=64")
    assert done.stdout == "film.mkv: round-robin (chunk_kib=64)\n"
    (told,) = node.told("PATCH")
    assert told.body == {"scheduler": {"name": "round-robin", "options": {"chunk_kib": "64"}}}


# --- files, peers, trackers -----------------------------------------------------------------------


def test_files_are_listed(line: CommandLine, node: FakeNode) -> None:
    node.parts["files"] = [
        {"index": 0, "path": "a/b\x1b.txt", "length": 2048, "have": 1024},
        {"index": 1, "path": "empty", "length": 0},
    ]
    assert line.run("files", "film").stdout.splitlines() == [
        "FILE          SIZE   DONE",
        "a/b\\x1b.txt  2 KiB   50 %",
        "empty          0 B  100 %",
    ]
    first, _ = line.events("files", "film")
    assert (first["event"], first["path"], first["have"]) == ("file_status", "a/b\x1b.txt", 1024)
    node.parts.clear()
    assert line.run("files", "film").stdout == "its metadata is not here yet\n"


def test_peers_are_listed_the_busiest_first(line: CommandLine, node: FakeNode) -> None:
    node.parts["peers"] = [
        {"address": "10.0.0.1:1", "client": "x", "share": 0.5, "choking_us": True},
        {"address": "10.0.0.2:2", "client": "\x1b[2J", "is_seeder": True, "download_rate": 1e6},
    ]
    lines = line.run("peers", "film").stdout.splitlines()
    assert lines[1].split() == ["10.0.0.2:2", "\\x1b[2J", "977", "KiB/s", "-", "all"]
    assert lines[2].split() == ["10.0.0.1:1", "x", "-", "-", "50", "%", "chokes", "us"]
    assert line.events("peers", "film")[0]["event"] == "peer_status"
    node.parts.clear()
    assert line.run("peers", "film").stdout == "no peer is connected\n"


def test_trackers_are_listed_with_their_answers(line: CommandLine, node: FakeNode) -> None:
    node.parts["trackers"] = [
        {"url": "udp://a:1", "tier": 0, "last_announce": 1.0, "seeders": 3, "leechers": 0},
        {"url": "udp://b:1", "tier": 1, "result": "no answer", "next_announce": 1.0},
    ]
    lines = line.run("trackers", "film").stdout.splitlines()
    assert lines[1].split()[:4] == ["udp://a:1", "1", "3", "0"]
    assert "days ago" in lines[1]
    assert lines[2].split() == ["udp://b:1", "2", "now", "no", "answer"]
    assert line.events("trackers", "film")[1]["result"] == "no answer"
    node.parts.clear()
    assert line.run("trackers", "film").stdout == "it is told to no tracker\n"


# --- explain --------------------------------------------------------------------------------------


def decisions(*numbers: int) -> list[dict[str, object]]:
    return [
        {
            "number": each,
            "time": 1e9 + each,
            "piece": each,
            "peer": "10.0.0.1:1",
            "text": f"asked for {each}",
            "reasons": ["it was rare\x1b"],
        }
        for each in numbers
    ]


def test_the_latest_decisions_of_a_download_are_told(line: CommandLine, node: FakeNode) -> None:
    node.parts["decisions"] = decisions(*range(1, 101))
    told = line.run("explain", "film").stdout.splitlines()
    asked = [f"asked for {each}" for each in range(81, 101)]
    assert [each.split("  ")[1] for each in told[::2]] == asked
    assert told[1] == " " * 14 + "it was rare\\x1b"
    assert len(line.run("explain", "film", "--piece", "7").stdout.splitlines()) == 2
    told = line.run("explain", "film", "--peer", "10.0.0.9:1").stdout
    assert "; nothing was decided with 10.0.0.9:1 lately; --follow waits for it\n" in told
    event = line.events("explain", "film", "--piece", "7")[0]
    assert (event["event"], event["at"], event["text"]) == ("decision_told", 1e9 + 7, "asked for 7")


def test_the_first_look_waits_for_what_is_decided_next(line: CommandLine, node: FakeNode) -> None:
    node.parts["decisions"] = decisions(1)
    node.empty_looks = 2
    assert "asked for 1" in line.run("explain", "film").stdout


def test_no_decisions_of_a_torrent_that_does_not_download_are_waited_for(
    line: CommandLine, node: FakeNode
) -> None:
    node.torrents[0]["state"] = "paused"
    said = line.run("explain", "film").stdout
    assert said.startswith("film.mkv: paused, 33.3 % of 3 MiB")
    assert said.endswith("; decisions come while it downloads\n")
    looks = [each for each in node.asked if each.path.endswith("/decisions")]
    assert len(looks) == 1


def test_a_piece_that_the_torrent_does_not_have_is_wrong(line: CommandLine, node: FakeNode) -> None:
    node.torrents[0]["pieces"] = 12
    for piece in ("12", "-1"):
        done = line.run("explain", "film", "--piece", piece)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--piece: {piece} is none of 12 pieces, counted from 0" in done.stderr


@pytest.mark.parametrize("code", ["wrong-body", "wrong-value", "wrong-parameter"])
def test_a_value_that_the_node_does_not_know_is_wrong_usage(
    line: CommandLine, node: FakeNode, code: str
) -> None:
    node.answers["GET", "/torrents"] = refusal(400, code, "state: expected paused or done, got 'x'")
    done = line.run("status", "--state", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "trio-swarm: state: expected paused or done, got 'x'\n"


def test_decisions_are_followed_each_told_once(line: CommandLine, node: FakeNode) -> None:
    node.parts["decisions"] = decisions(1, 2)
    with line.start("explain", "film", "--follow") as program:
        program.wait_for("decision_told", piece=2)
        node.parts["decisions"] = decisions(1, 2, 3)
        program.wait_for("decision_told", piece=3)
        node.parts["decisions"] = decisions(2, 3, 4)
        program.wait_for("decision_told", piece=4)
        assert program.end(signal.SIGINT) == (0, "")
        assert [each["piece"] for each in program.events("decision_told")] == [1, 2, 3, 4]


def test_who_follows_hears_why_nothing_is_decided_and_the_end(
    line: CommandLine, node: FakeNode
) -> None:
    film = node.torrents[0]
    node.parts["decisions"] = decisions(1)
    with line.running("explain", "film", "--follow") as (process, stdout, _):
        said = iter(stdout)
        assert any("asked for 1" in each for each in said)
        film["state"] = "paused"
        assert any("film.mkv: paused, 33.3 % of 3 MiB" in each for each in said)
        film["state"] = "downloading"
        node.parts["decisions"] = decisions(1, 2)
        assert any("asked for 2" in each for each in said)
        film["state"] = "seeding"
        assert list(said)[-1] == "film.mkv: complete: there is nothing left to decide\n"
        assert process.wait(PATIENCE) == 0
    assert "nothing left to decide" in line.run("explain", "film", "--piece", "9").stdout


def test_data_with_the_name_of_its_torrent_is_not_taken_for_a_recording(
    line: CommandLine, node: FakeNode
) -> None:
    (line.folder / "film.mkv").write_bytes(b"data")
    node.parts["decisions"] = decisions(1)
    assert "asked for 1" in line.run("explain", "film.mkv").stdout


def test_what_is_neither_a_recording_nor_a_torrent_says_both(line: CommandLine) -> None:
    done = line.run("explain", "film")
    assert done.returncode == 1
    assert "no node runs with the state folder" in done.stderr
    assert "nor is there a recording film" in done.stderr
    (line.folder / "film").write_bytes(b"data")
    assert "the file film is no recording" in line.run("explain", "film").stderr
    assert line.run("explain", "./none").returncode == 1


# --- the node -------------------------------------------------------------------------------------


def test_log_lines_are_printed_and_followed(line: CommandLine, node: FakeNode) -> None:
    assert line.run("log").stdout == "nothing was logged yet\n"
    node.log = [
        {"time": 1e9, "severity": "info", "logger": "trio_swarm.a", "message": "one\x1b"},
        {"time": 1e9, "severity": "warning", "logger": "trio_swarm.a", "message": "two"},
    ]
    one, two = line.run("log").stdout.splitlines()
    assert one.endswith("  one\\x1b")
    assert two.endswith("  warning: two")
    assert line.run("log", "--level", "warning").stdout == f"{two}\n"
    assert line.run("log", "--level", "error").stdout == "nothing such was logged\n"
    assert line.run("log", "--level", "loud").returncode == 2
    with line.start("log", "--follow") as program:
        program.wait_for("node_logged", message="two", at=1e9)
        node.push("logged", {"time": 2e9, "severity": "info", "logger": "b", "message": "three"})
        program.wait_for("node_logged", message="three", logger="b")
        assert program.end(signal.SIGINT) == (0, "")


def test_reload_tells_what_changes(line: CommandLine, node: FakeNode) -> None:
    assert line.run("reload").stdout == "/etc/peer.toml: nothing has changed\n"
    node.changes["changes"] = [
        {"key": "limits.upload", "was": "1MiB", "will_be": None, "how": "live"},
        {"key": "share", "was": None, "will_be": "photos", "how": "added"},
        {"key": "fetch", "was": "film", "will_be": None, "how": "removed"},
        {"key": "node.listen", "was": ":0", "will_be": ":6881", "how": "restart"},
    ]
    assert line.run("reload", "--dry-run").stdout.splitlines() == [
        "limits.upload: 1MiB -> none",
        "share: + photos",
        "fetch: - film",
        "node.listen: :0 -> :6881 (at the next start)",
        "4 changes would be made",
    ]
    assert node.asked[-1].query == {"dry_run": "true"}
    assert line.run("reload").stdout.endswith("4 changes made\n")
    assert node.asked[-1].query == {}
    assert line.events("reload")[0]["key"] == "limits.upload"


def test_a_file_with_mistakes_changes_nothing_and_says_why(
    line: CommandLine, node: FakeNode
) -> None:
    node.changes["errors"] = [
        {"key": "limits.upload", "message": "peer.toml: limits.upload: expected a rate"},
        {"key": None, "message": "peer.toml: gives nothing to do"},
    ]
    done = line.run("reload")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "trio-swarm: peer.toml: limits.upload: expected a rate\n"
        "trio-swarm: peer.toml: gives nothing to do\n"
    )
    problem = json.loads(line.run("reload", "--json").stdout.splitlines()[0])
    assert (problem["event"], problem["file"], problem["key"]) == (
        "problem",
        "/etc/peer.toml",
        "limits.upload",
    )


def test_a_node_elsewhere_has_stopped_when_its_events_end(line: CommandLine) -> None:
    with fake_node(line.folder, on_tcp=True) as node:
        done = line.run("stop", "--url", f"http://127.0.0.1:{node.port}")
        assert (done.returncode, done.stdout) == (0, "the node stopped\n")
        assert node.has_stopped


STOPPING = """
import os, sys, threading
from pathlib import Path
from fake_control import fake_node
with fake_node(Path(sys.argv[1])) as node:
    asked = threading.Event()
    node.on_stop = asked.set
    print("serving", flush=True)
    asked.wait()
    print("asked", flush=True)
    sys.stdin.read(1)  # as if it announced to trackers that it stops
    os._exit(0)
"""


def test_a_node_here_has_stopped_when_its_process_has_ended(line: CommandLine) -> None:
    """Another with the same state folder may begin then."""
    folder = line.folder / "state" / "trio-swarm"
    with subprocess.Popen(
        [sys.executable, "-c", STOPPING, folder],
        env=line.environment | {"PYTHONPATH": str(Path(__file__).parents[2] / "support")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdout is not None
        assert node.stdin is not None
        assert node.stdout.readline() == "serving\n"
        with line.running("stop") as (process, stdout, _):
            assert node.stdout.readline() == "asked\n"
            assert not select.select([stdout], [], [], 0.3)[0]  # it would come at once
            node.stdin.write("x")
            node.stdin.flush()
            assert stdout.readline() == "the node stopped\n"
            assert node.wait(PATIENCE) == 0
            assert process.wait(PATIENCE) == 0
