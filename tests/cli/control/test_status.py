"""`status`: the table, one torrent, what is typed wrong, and what is live."""

import signal

import pytest

from command_line import PATIENCE, CommandLine
from fake_control import FakeNode, fake_node
from terminals import terminal


def test_the_table_has_a_line_for_each_torrent_and_one_about_the_node(
    line: CommandLine, node: FakeNode
) -> None:
    done = line.run("status")
    assert (done.returncode, done.stderr) == (0, "")
    heading, film, notes, sums = done.stdout.splitlines()
    assert heading.split() == [
        *("NAME", "STATE", "DONE", "SIZE", "DOWN", "UP", "LEFT", "PEERS", "RATIO", "INFO-HASH"),
    ]
    assert film.split() == [
        *("film.mkv", "downloading", "33.3", "%", "3", "MiB", "1.91", "MiB/s", "1:15", "min", "3"),
        "1" * 12,
    ]
    assert notes.split()[:4] == ["notes.txt", "seeding", "100", "%"]
    assert sums == ("1 downloading, 1 seeding · 0 B/s down · 0 B/s up · limits: 1 MiB/s down")


def test_programs_get_the_node_and_each_torrent_as_an_event(
    line: CommandLine, node: FakeNode
) -> None:
    told, film, notes = line.events("status")
    assert (told["event"], told["version"]) == ("node_status", "1.2.3")
    assert (film["event"], film["share_name"], film["have"]) == (
        "torrent_status",
        "film.mkv",
        1024**2,
    )
    assert film["scheduler"] == {"name": "rarest-first", "options": {"window": 4}}
    assert notes["info_hash"] == "2" * 40


@pytest.mark.parametrize("name", ["film.mkv", "film", "1", "1111"])
def test_a_torrent_is_named_by_name_info_hash_id_or_a_beginning(
    line: CommandLine, node: FakeNode, name: str
) -> None:
    done = line.run("status", name)
    assert done.returncode == 0
    assert "info-hash  " + "1" * 40 in done.stdout
    assert "state      downloading, 33.3 % of 3 MiB, 1:15 min left" in done.stdout
    assert "scheduler  rarest-first (window=4)" in done.stdout


def test_a_name_with_a_slash_is_found_in_the_list(line: CommandLine, node: FakeNode) -> None:
    """A magnet link may call a torrent so (BEP 9, `dn`); it would be another path of the API."""
    node.torrent("a/../b")
    assert "name       a/../b" in line.run("status", "a/../b").stdout


@pytest.mark.parametrize(
    ("name", "message", "note"),
    [
        ("fylm.mkv", "the node has no torrent 'fylm.mkv'", "did you mean 'film.mkv'?"),
        ("TXT", "the node has no torrent 'TXT'", "did you mean 'notes.txt'?"),
        ("zebra", "the node has no torrent 'zebra'", "`trio-swarm status` lists its torrents"),
    ],
)
def test_an_unknown_torrent_is_told_with_the_ones_that_may_be_meant(
    line: CommandLine, node: FakeNode, name: str, message: str, note: str
) -> None:
    done = line.run("status", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"trio-swarm: {message}\ntrio-swarm: {note}\n"


def test_an_ambiguous_name_is_told_with_all_it_stands_for(
    line: CommandLine, node: FakeNode
) -> None:
    node.torrent("film 2")
    done = line.run("pause", "notes.txt", "film")
    assert done.returncode == 1
    assert done.stderr == (
        "trio-swarm: 'film' stands for 2 torrents, name one by its info-hash: "
        "111111111111 (film.mkv, downloading); 333333333333 (film 2, seeding)\n"
    )
    assert not node.told("POST")  # nothing is done to the one that was clear


def test_failures_have_a_line_of_their_own(line: CommandLine, node: FakeNode) -> None:
    node.torrents[0] |= {"state": "failed", "error": "no space\x1b[2J left"}
    node.torrent("far", state="waiting", size=0, waits_for="nobody shares 'far'\x1b")
    out = line.run("status").stdout
    assert "film.mkv: no space\\x1b[2J left" in out
    assert "far: waits: nobody shares 'far'\\x1b" in out
    assert "waits      nobody shares 'far'\\x1b" in line.run("status", "far").stdout


def test_states_and_labels_choose(line: CommandLine, node: FakeNode) -> None:
    done = line.run("status", "--state", "seeding")
    assert "film" not in done.stdout
    assert "notes.txt" in done.stdout
    assert node.asked[-1].query == {"state": "seeding"}
    assert line.run("status", "--state", "paused").stdout == "no torrent is so\n"
    assert line.run("status", "film", "--label", "x").returncode == 2


def test_where_no_node_runs_one_line_says_so(line: CommandLine) -> None:
    done = line.run("status")
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    folder = line.folder / "state" / "trio-swarm"
    assert first == f"trio-swarm: no node runs with the state folder {folder}"
    assert "--state-folder" in second


def test_the_node_is_the_one_of_a_folder_a_configuration_or_a_url(
    line: CommandLine, node: FakeNode
) -> None:
    with fake_node(line.folder / "here") as other, fake_node(line.folder, on_tcp=True) as third:
        other.torrent("other")
        third.torrent("third")
        config = line.folder / "etc" / "peer.toml"
        config.parent.mkdir()
        # What else is wrong does not matter: that is why `reload` is typed.
        config.write_text('[node]\nstate_folder = "../here"\nlisten = 7.5\ncolour = "blue"\n')
        assert "other" in line.run("status", "--state-folder", "here").stdout
        assert "other" in line.run("status", "--config", config).stdout
        config.write_text("[limits]\n")
        assert "film.mkv" in line.run("status", "--config", config).stdout
        assert "third" in line.run("status", "--url", f"http://127.0.0.1:{third.port}").stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--state-folder", "a", "--url", "http://a"], "name a node each: give one of them"),
        (["--token-file", "a"], "--token-file goes with --url"),
        (["--url", "localhost"], "--url: expected http://HOST:PORT"),
        (["--config", "none.toml"], "none.toml: cannot be read: No such file"),
        (["--config", "bad.toml"], "bad.toml: is not valid TOML"),
        (["--config", "odd.toml"], "odd.toml: node.state_folder: expected a path, got 5"),
    ],
)
def test_flags_that_name_no_node_are_refused(
    line: CommandLine, flags: list[str], message: str
) -> None:
    (line.folder / "bad.toml").write_text("[")
    (line.folder / "odd.toml").write_text("[node]\nstate_folder = 5")
    done = line.run("status", *flags)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


# --- live -----------------------------------------------------------------------------------------


def test_programs_that_watch_get_an_event_for_each_change(
    line: CommandLine, node: FakeNode
) -> None:
    with line.start("status", "--watch") as program:
        program.wait_for("torrent_status", share_name="film.mkv", state="downloading")
        program.wait_for("torrent_status", share_name="notes.txt")
        node.push("torrents", {"torrents": [node.torrents[0] | {"state": "seeding"}]})
        program.wait_for("torrent_status", share_name="film.mkv", state="seeding")
        node.push("torrents", {"torrents": [], "removed": [2]})
        program.wait_for("torrent_removed", share_name="notes.txt", data_deleted=False)
        assert program.end(signal.SIGINT) == (0, "")
        assert len(program.events("torrent_status")) == 3


def test_only_the_torrents_that_are_named_are_watched(line: CommandLine, node: FakeNode) -> None:
    with line.start("status", "--watch", "notes") as program:
        program.wait_for("torrent_status", share_name="notes.txt")
        changed = [each | {"state": "paused"} for each in node.torrents]
        node.push("torrents", {"torrents": changed})
        program.wait_for("torrent_status", state="paused")
        assert {each["share_name"] for each in program.events("torrent_status")} == {"notes.txt"}


def test_who_watches_is_told_when_the_node_ends(line: CommandLine, node: FakeNode) -> None:
    with line.start("status", "--watch") as program:
        program.wait_for("torrent_status")
        node.end_streams()
        code, err = program.end()
    assert (code, err) == (1, "trio-swarm: the node has ended\n")


def test_a_pipe_gets_lines(line: CommandLine, node: FakeNode) -> None:
    with line.running("status", "--watch") as (process, stdout, _):
        assert (
            stdout.readline()
            == "film.mkv: downloading, 33.3 % of 3 MiB, 1:15 min left, 1.91 MiB/s down\n"
        )
        assert stdout.readline() == "notes.txt: seeding, 100 % of 3 MiB, 0.98 KiB/s up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_terminal_gets_a_table_that_is_drawn_anew_and_is_given_back(
    line: CommandLine, node: FakeNode
) -> None:
    with terminal(line, "status", "--watch") as shown:
        shown.wait_for(r"1 downloading, 1 seeding")
        shown.wait_for(r"film\.mkv +downloading +33\.3 %")
        node.push("torrents", {"torrents": [node.torrents[0] | {"have": 2 * 1024**2}]})
        shown.wait_for(r"film\.mkv +downloading +66\.6 %")
        shown.type("\x03")
        assert shown.end() == 0
        assert shown.text.rindex("\x1b[?25h") > shown.text.rindex("\x1b[?25l")
        assert "Traceback" not in shown.text
