"""The commands at work, as processes that find each other through a tracker on 127.0.0.1."""

import filecmp
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import quote

import pytest

from command_line import PATIENCE, CommandLine, read_event
from commands_at_work import LOCAL, make_file, seeding, url_of
from trio_swarm import read_torrent


def test_a_file_is_fetched_by_name_and_then_seeded_until_stopped(
    line: CommandLine, tracker: str
) -> None:
    film = make_file(line.folder / "film.mkv")
    get = ("get", "film.mkv", "--tracker", tracker, *LOCAL)
    with (
        seeding(line, tracker, film) as seeder,
        line.start(*get, "--dir", "new/in") as leecher,
    ):
        completed = leecher.wait_for("completed")
        assert completed["downloaded"] == 300_000
        assert filecmp.cmp(film, line.folder / "new/in/film.mkv", shallow=False)
        leecher.wait_for("announced", seeders=2)
        (listed,) = line.events("ls", "--tracker", tracker)
        assert (listed["share_name"], listed["seeders"], listed["size"]) == (
            "film.mkv",
            2,
            300_000,
        )
        assert seeder.end(signal.SIGTERM)[0] == 0
        done = line.run(*get, "--dir", "third", "--no-seed")
        assert done.returncode == 0, done.stderr
        assert filecmp.cmp(film, line.folder / "third/film.mkv", shallow=False)
        code, errors = leecher.end(signal.SIGINT)
        assert (code, errors) == (0, "")
        assert leecher.events("progress")
    assert sum(each["seeders"] for each in line.events("ls", "--tracker", tracker)) == 0


def test_people_who_pipe_it_get_plain_lines(line: CommandLine, tracker: str) -> None:
    folder = make_file(line.folder / "album/one.flac").parent
    make_file(folder / "two.flac", 5)
    with seeding(line, tracker, folder, "--name", "the album"):
        done = line.run("get", "the album", "--tracker", tracker, "--no-seed", *LOCAL)
        listed = line.run("ls", "the*", "--tracker", tracker)
        quiet = line.run("get", "the album", "--tracker", tracker, "--no-seed", "--quiet", *LOCAL)
        verbose = line.run("get", "the album", "--tracker", tracker, "--no-seed", "-v", *LOCAL)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"the album: found at {tracker}" in done.stdout
    assert "the album: complete in" in done.stdout
    assert "\x1b" not in done.stdout
    assert (line.folder / "the album/two.flac").read_bytes() == (folder / "two.flac").read_bytes()
    heading, row = listed.stdout.splitlines()
    assert heading.split() == ["NAME", "SIZE", "SEEDERS", "LEECHERS", "INFO-HASH"]
    assert row.startswith("the album  293 KiB        1")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert "connected to 127.0.0.1:" in verbose.stdout


def what_a_seeder_prints(line: CommandLine, tracker: str) -> str:
    """Return what a seeder of `my film.mkv` says at its start."""
    make_file(line.folder / "my film.mkv")
    seed = ("seed", "my film.mkv", "--tracker", tracker, *LOCAL)
    with line.running(*seed) as (process, stdout, _):
        lines = []
        while not lines or "seeding until stopped" not in lines[-1]:
            lines.append(stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    return "".join(lines)


def test_a_seeder_prints_what_to_type_elsewhere(line: CommandLine, tracker: str) -> None:
    text = what_a_seeder_prints(line, tracker)
    assert "sharing    my film.mkv\nsize       293 KiB in 19 pieces\ninfo-hash  " in text
    assert "magnet     magnet:?xt=urn:btih:" in text
    assert "elsewhere  trio-swarm get 'my film.mkv' --tracker udp://" in text


def test_elsewhere_the_info_hash_is_typed_where_no_tracker_knows_names(line: CommandLine) -> None:
    text = what_a_seeder_prints(line, "http://127.0.0.1:1/announce")
    (info_hash,) = re.findall(r"^info-hash  (\w{40})$", text, re.MULTILINE)
    assert f"elsewhere  trio-swarm get {info_hash} --tracker http://" in text


def test_a_torrent_file_a_magnet_link_and_a_hash_work_without_the_name(
    line: CommandLine, tracker: str
) -> None:
    film = make_file(line.folder / "film.mkv")
    with seeding(line, tracker, film, "--torrent-out", "film.torrent") as seeder:
        (sharing,) = seeder.events("sharing")
        port = seeder.events("listening")[0]["port"]
        wanted = {
            "film.torrent": (),
            sharing["magnet"]: (),
            sharing["info_hash"]: ("--tracker", tracker),
            f"magnet:?xt=urn:btih:{sharing['info_hash']}&x.pe=127.0.0.1:{port}": (),
            sharing["info_hash"].upper(): ("--peer", f"127.0.0.1:{port}"),
        }
        for number, (what, flags) in enumerate(wanted.items()):
            done = line.run("get", what, *flags, "--dir", number, "--no-seed", *LOCAL)
            assert (done.returncode, done.stderr) == (0, ""), what
            assert filecmp.cmp(film, line.folder / str(number) / "film.mkv", shallow=False)


def test_what_is_there_already_is_not_fetched(line: CommandLine, tracker: str) -> None:
    film = make_file(line.folder / "film.mkv")
    (line.folder / "out").mkdir()
    (line.folder / "out/film.mkv").write_bytes(film.read_bytes())
    with seeding(line, tracker, film):
        found = line.events(
            "get", "film.mkv", "-d", "out", "--tracker", tracker, "--no-seed", *LOCAL
        )
    (completed,) = [event for event in found if event["event"] == "completed"]
    assert completed["downloaded"] == 0


def test_seeding_ends_after_a_time_or_at_a_ratio(line: CommandLine, tracker: str) -> None:
    film = make_file(line.folder / "film.mkv")
    get = ("get", "film.mkv", "--tracker", tracker, *LOCAL)
    with seeding(line, tracker, film) as seeder:
        done = line.run(*get, "--dir", "a", "--seed-for", "0.2")
        assert (done.returncode, done.stderr) == (0, "")
        with line.start(*get, "--dir", "b", "--seed-ratio", "0.5") as generous:
            generous.wait_for("announced", seeders=2)
            seeder.end(signal.SIGTERM)
            assert line.run(*get, "--dir", "c", "--no-seed").returncode == 0
            assert generous.end() == (0, "")


def test_an_unknown_name_fails_or_is_waited_for(line: CommandLine, tracker: str) -> None:
    get = ("get", "film.mkv", "--tracker", tracker, "--dir", "out", "--no-seed", *LOCAL)
    done = line.run(*get)
    assert done.returncode == 1
    assert done.stderr == f"trio-swarm: nobody shares 'film.mkv' (asked {tracker})\n"
    film = make_file(line.folder / "film.mkv")
    with line.start(*get, "--wait") as waiting:
        assert "nobody shares" in waiting.wait_for("waiting")["reason"]
        with seeding(line, tracker, film):
            assert waiting.end() == (0, "")
    assert filecmp.cmp(film, line.folder / "out/film.mkv", shallow=False)


def test_an_unfinished_download_that_is_interrupted_fails(line: CommandLine, tracker: str) -> None:
    unknown = "magnet:?xt=urn:btih:" + "ab" * 20
    for number in (signal.SIGINT, signal.SIGTERM):
        with line.start("get", unknown, "--tracker", tracker, *LOCAL) as leecher:
            leecher.wait_for("announced")
            assert leecher.end(number) == (1, "")


def test_a_name_of_two_torrents_needs_an_info_hash(line: CommandLine, tracker: str) -> None:
    one = make_file(line.folder / "1/film.mkv")
    two = make_file(line.folder / "2/film.mkv")
    get = ("get", "film.mkv", "--tracker", tracker, "--no-seed", "--dir", "out", *LOCAL)
    with seeding(line, tracker, one) as first, seeding(line, tracker, two) as second:
        hashes = [each.events("sharing")[0]["info_hash"] for each in (first, second)]
        done = line.run(*get)
        assert done.returncode == 1
        assert "'film.mkv' stands for 2 different torrents" in done.stderr
        assert all(each in done.stderr for each in hashes)
        assert line.run(*get, "--info-hash", hashes[1]).returncode == 0
    assert filecmp.cmp(two, line.folder / "out/film.mkv", shallow=False)


def test_a_plugin_and_its_options_can_be_chosen(line: CommandLine, tracker: str) -> None:
    plugin = line.folder / "mine.py"
    plugin.write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            from trio_swarm.schedulers.api import Assignment
            from trio_swarm.schedulers.hookspecs import hookimpl

            @dataclass
            class Last:
                '''The last piece first.'''
                step: int = 1
                def assign(self, view, rng):
                    for peer in view.peers:
                        pieces = view.wanted & peer.pieces
                        if pieces:
                            yield Assignment(peer.key, pieces.bit_length() - self.step)

            @hookimpl
            def trio_swarm_schedulers():
                return {"last": Last}
        """)
    )
    listed = line.run("schedulers", "--plugin", "mine.py")
    assert listed.returncode == 0, listed.stderr
    assert (
        f"last  (file {plugin})\n      The last piece first.\n      step: int = 1" in listed.stdout
    )
    make_file(line.folder / "film.mkv")
    with seeding(line, tracker, "film.mkv"):
        done = line.run(
            *("get", "film.mkv", "--tracker", tracker, "--dir", "out", "--no-seed", *LOCAL),
            *("--plugin", "mine.py", "--scheduler", "last", "--option", "step=1"),
        )
    assert (done.returncode, done.stderr) == (0, "")


def write_config(line: CommandLine, text: str) -> Path:
    file = line.folder / "peer.toml"
    file.write_text(text)
    return file


def test_one_file_runs_a_tracker_a_share_and_a_fetch(line: CommandLine) -> None:
    film = make_file(line.folder / "films/film.mkv")
    (line.folder / "other").mkdir()
    server = write_config(
        line,
        """
        [tracker]
        listen = "127.0.0.1:0"
        [node]
        listen = "127.0.0.1:0"
        [[share]]
        path = "films/film.mkv"
        """,
    )
    with line.start("run", server) as program:
        tracker = url_of(program)
        program.wait_for("announced")
        client = line.folder / "client.toml"
        client.write_text(
            f"""
            trackers = ["{tracker}"]
            [node]
            listen = "127.0.0.1:0"
            download_folder = "other"
            state_folder = "client-state"
            [[fetch]]
            what = "film.mkv"
            seed = false
            scheduler = {{ name = "round-robin", options = {{ chunk_kib = 64 }} }}
            [[fetch]]
            what = "film.mkv"
            info_hash = "{program.events("sharing")[0]["info_hash"]}"
            folder = "another"
            """
        )
        with line.start("run", client) as two_of_one:
            # The same torrent twice in one node cannot be; the other fetch is not disturbed.
            assert "in this node already" in two_of_one.wait_for("torrent_failed")["reason"]
            two_of_one.wait_for("completed")
            two_of_one.end(signal.SIGTERM)
        assert program.end(signal.SIGTERM) == (0, "")
    folder = next(
        name for name in ("other", "another") if (line.folder / name / "film.mkv").exists()
    )
    assert filecmp.cmp(film, line.folder / folder / "film.mkv", shallow=False)


def test_a_run_ends_when_everything_has_and_says_whether_anything_failed(
    line: CommandLine, tracker: str
) -> None:
    film = make_file(line.folder / "film.mkv")
    fetch = f"""
        trackers = ["{tracker}"]
        [node]
        listen = "127.0.0.1:0"
        download_folder = "out"
        [[fetch]]
        what = "film.mkv"
        seed = false
    """
    with seeding(line, tracker, film):
        done = line.run("run", write_config(line, fetch))
        assert (done.returncode, done.stderr) == (0, "")
        assert filecmp.cmp(film, line.folder / "out/film.mkv", shallow=False)
        failing = write_config(line, fetch + '[[share]]\npath = "not-there"')
        done = line.run("run", failing)
        assert done.returncode == 1
        assert "not-there" in done.stderr
        assert "film.mkv: complete" in done.stdout
        checked = line.run("check", failing)
        assert checked.returncode == 2
        assert "share[0].path" in checked.stderr


@pytest.mark.parametrize(("share", "code"), [("", 0), ('[[share]]\npath = "not-there"', 1)])
def test_a_run_that_is_stopped_fails_if_a_part_of_it_did_and_not_if_a_fetch_still_waits(
    line: CommandLine, tracker: str, share: str, code: int
) -> None:
    config = write_config(
        line,
        f"""
        trackers = ["{tracker}"]
        [node]
        listen = "127.0.0.1:0"
        [[fetch]]
        what = "film.mkv"
        {share}
        """,
    )
    with line.start("run", config) as program:
        program.wait_for("torrent_failed" if share else "waiting")
        assert program.end(signal.SIGTERM)[0] == code


def test_a_fetch_of_a_run_waits_for_its_name(line: CommandLine, tracker: str) -> None:
    config = write_config(
        line,
        f"""
        trackers = ["{tracker}"]
        [node]
        listen = "127.0.0.1:0"
        [[fetch]]
        what = "film.mkv"
        folder = "out"
        seed_for = 0.1
        """,
    )
    with line.start("run", config) as program:
        program.wait_for("waiting")
        with seeding(line, tracker, make_file(line.folder / "film.mkv")):
            assert program.end() == (0, "")


def test_a_tracker_whose_port_is_taken_says_so_with_the_place_to_change_it(
    line: CommandLine, tracker: str
) -> None:
    port = tracker.rpartition(":")[2]
    done = line.run("tracker", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    config = write_config(line, f'[tracker]\nlisten = "127.0.0.1:{port}"')
    done = line.run("run", config)
    assert done.returncode == 2
    assert done.stderr.startswith(f"trio-swarm: {config}: tracker: ")


def test_check_tells_all_problems_in_json_too(line: CommandLine) -> None:
    write_config(line, "[tracker]\n[limits]\nconnections = 0\nuplaod = 3")
    done = line.run("check", "peer.toml", "--json")
    assert done.returncode == 2
    first, second, last = map(read_event, done.stdout.splitlines())
    assert [first["key"], second["key"]] == ["limits.uplaod", "limits.connections"]
    assert last == {"event": "config_checked", "file": "peer.toml", "problems": 2}


@pytest.mark.parametrize(("flags", "told"), [((), 1), (("--tracker", "udp://192.0.2.8:1"), 0)])
def test_a_private_torrent_says_whose_tracker_it_names(
    line: CommandLine, flags: tuple[str, ...], told: int
) -> None:
    """BEP 27: it is announced to the trackers in it only, so nobody should wonder which."""
    make_file(line.folder / "film.mkv")
    environment = {"TRIO_SWARM_TRACKER": "udp://192.0.2.9:1"}
    created = line.run("create", "film.mkv", "--private", *flags, environment=environment)
    assert created.returncode == 0
    assert created.stdout.count("by TRIO_SWARM_TRACKER only: udp://192.0.2.9:1") == told


@pytest.mark.parametrize("flags", [(), ("--private",)])
@pytest.mark.parametrize("path", ["/announce?token={}", "/announce/{}", "/{}/announce"])
def test_the_key_of_a_trackers_user_is_in_the_file_and_in_nothing_that_is_shown(
    line: CommandLine, path: str, flags: tuple[str, ...]
) -> None:
    """qBittorrent's and Transmission's .torrent files of private trackers have it as well."""
    make_file(line.folder / "film.mkv")
    key = "0123456789abcdef0123456789abcdef"
    url = f"udp://192.0.2.9:6969{path.format(key)}"
    created = line.run("create", "film.mkv", "--tracker", url, *flags)
    assert created.returncode == 0
    assert ("do not give it away" in created.stdout) is (not flags)
    assert read_torrent(line.folder / "film.mkv.torrent").announce_tiers == ((url,),)
    shown = line.run("show", "film.mkv.torrent")
    for said in (created, shown):
        assert quote("udp://192.0.2.9:6969/announce", safe="") in said.stdout
        assert key not in said.stdout + said.stderr
    assert "***" in shown.stdout
    assert key not in str(line.events("show", "film.mkv.torrent"))


def test_create_and_show_tell_the_same(line: CommandLine) -> None:
    folder = make_file(line.folder / "album/one.flac", 100_000).parent
    make_file(folder / "two.flac", 5)
    flags = ("--tracker", "udp://127.0.0.1:1", "--comment", "a\x1b[31m word", "--private")
    create = ("create", "album", "-o", "a.torrent", "--piece-length", "32k")
    created = line.events(*create, *flags)[-1]
    (shown,) = line.events("show", "a.torrent")
    same = ("info_hash", "size", "pieces", "piece_length", "magnet", "share_name")
    assert {key: created[key] for key in same} == {key: shown[key] for key in same}
    assert shown["files"] == [
        {"path": "album/one.flac", "size": 100_000},
        {"path": "album/two.flac", "size": 5},
    ]
    assert (shown["private"], shown["piece_length"]) == (True, 32768)
    assert shown["trackers"] == [["udp://127.0.0.1:1"]]
    text = line.run("show", "a.torrent").stdout
    assert "comment    a\\x1b[31m word" in text
    assert "5 B  album/two.flac" in text
    (from_magnet,) = line.events("show", shown["magnet"])
    assert from_magnet["info_hash"] == shown["info_hash"]
    again = line.run("create", "album", "-o", "a.torrent")
    assert again.returncode == 1
    assert "not overwritten" in again.stderr


def test_the_same_files_make_the_same_torrent_unless_a_date_is_asked_for(
    line: CommandLine,
) -> None:
    """The other folder has its files in another order, with other times, and no stored hashes."""
    for copy, names in (("one", ("a-b", "a/z", "c")), ("two", ("c", "a/z", "a-b"))):
        for number, name in enumerate(names):
            file = make_file(line.folder / copy / "album" / name, 0)
            file.write_bytes(name.encode() * 20_000)
            os.utime(file, (number, number))
        made = line.run(
            "create", f"{copy}/album", "-o", f"{copy}.torrent", "--state-dir", copy + "-s"
        )
        assert made.returncode == 0, made.stderr
    assert (line.folder / "one.torrent").read_bytes() == (line.folder / "two.torrent").read_bytes()
    (told,) = line.events("show", "one.torrent")
    assert told["creation_date"] is None
    line.run("create", "one/album", "-o", "dated.torrent", "--date")
    (dated,) = line.events("show", "dated.torrent")
    assert isinstance(dated["creation_date"], int)
    assert dated["info_hash"] == told["info_hash"]


def test_a_torrent_names_its_web_seeds_and_show_tells_them(line: CommandLine) -> None:
    """libtorrent 2.1.1 reads the same URLs from `url-list` (BEP 19)."""
    make_file(line.folder / "film.mkv")
    urls = ["https://a.example/film.mkv", "http://b.example/"]
    flags = [part for url in urls for part in ("--web-seed", url)]
    assert line.run("create", "film.mkv", *flags).returncode == 0
    (told,) = line.events("show", "film.mkv.torrent")
    assert told["web_seeds"] == urls
    assert (
        f"web seeds  {urls[0]}\n           {urls[1]}\n"
        in line.run("show", "film.mkv.torrent").stdout
    )
    libtorrent = pytest.importorskip("libtorrent")
    theirs = libtorrent.load_torrent_buffer((line.folder / "film.mkv.torrent").read_bytes())
    assert theirs.url_seeds == urls


def test_of_a_hybrid_both_hashes_are_told_and_padding_apart_from_data(line: CommandLine) -> None:
    lt = pytest.importorskip("libtorrent")
    for name, size in (("a.bin", 20_000), ("b.bin", 5)):
        make_file(line.folder / "album" / name, size)
    maker = lt.create_torrent(lt.list_files(str(line.folder / "album")), 16384)
    lt.set_piece_hashes(maker, str(line.folder))
    (line.folder / "h.torrent").write_bytes(lt.bencode(maker.generate()))
    hashes = lt.load_torrent_file(str(line.folder / "h.torrent")).info_hashes
    (told,) = line.events("show", "h.torrent")
    assert (told["info_hash"], told["info_hash_v2"]) == (str(hashes.v1), str(hashes.v2))
    assert (told["size"], told["padding"]) == (20_005, 3 * 16384 - 20_005)
    text = line.run("show", "h.torrent").stdout
    assert f"version 2  {hashes.v2}\n" in text
    assert "(20,005 bytes), and 28.5 KiB of padding\n" in text


def test_where_a_torrent_cannot_be_written_is_told_before_anything_is_hashed(
    line: CommandLine,
) -> None:
    """Hours of hashing would be lost: the state folder, where hashes are kept, stays empty."""
    make_file(line.folder / "film.mkv")
    taken = make_file(line.folder / "film.mkv.torrent", 5)
    (line.folder / "folder").mkdir()
    for command, told in (
        (("create", "film.mkv"), "film.mkv.torrent: exists already and is not overwritten"),
        (("create", "film.mkv", "-o", "no/a"), "no/a: cannot be written: its folder does not"),
        (("create", "film.mkv", "-o", "folder"), "folder: exists already"),
        (("seed", "film.mkv", "--torrent-out", "no/a"), "no/a: cannot be written: its folder"),
        (("seed", "film.mkv", "--torrent-out", "folder"), "folder: cannot be written: it is a"),
    ):
        done = line.run(*command, *(LOCAL if command[0] == "seed" else ()))
        assert done.returncode == 1
        assert told in done.stderr
        assert "hashing" not in done.stdout
    assert taken.stat().st_size == 5
    hashes = line.folder / "state/trio-swarm/hashes"
    assert not list(hashes.glob("*"))


def test_the_second_signal_ends_the_process_at_once(line: CommandLine) -> None:
    script = """
        import sys, trio
        from trio_swarm.cli.options import OutputOptions
        from trio_swarm.cli.output.reporting import Reporter
        from trio_swarm.cli.running import run_until_interrupted

        async def stubborn():
            try:
                print("running", flush=True)
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    print("closing", flush=True)
                    await trio.sleep_forever()

        reporter = Reporter(OutputOptions(quiet=True))
        trio.run(lambda: run_until_interrupted(stubborn, reporter, interrupted=lambda: 0))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=line.folder) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "running\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "closing\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 1
        finally:
            process.kill()


def test_a_reader_that_goes_away_ends_a_seeder_quietly(line: CommandLine, tracker: str) -> None:
    make_file(line.folder / "film.mkv")
    seed = ("seed", "film.mkv", "--tracker", tracker, "--json", *LOCAL)
    with line.running(*seed) as (process, stdout, stderr):
        while "sharing" not in stdout.readline():
            pass
        stdout.close()
        assert process.wait(PATIENCE) == 1
        assert stderr.seek(0, os.SEEK_END) == 0
