"""SIGHUP makes `run` read its file again; systemd is told of that, and of everything else."""

import os
import pty
import signal
import socket
import time

from command_line import PATIENCE, CommandLine
from commands_at_work import LOCAL, make_file, seeding, url_of
from forked_commands import ForkedCommand

HEAD = '[node]\nlisten = "127.0.0.1:0"\nstate_folder = "state"\n'


def write(line: CommandLine, text: str) -> None:
    (line.folder / "peer.toml").write_text(text + HEAD, encoding="utf-8")


def test_sighup_applies_what_differs_and_a_wrong_file_changes_nothing(line: CommandLine) -> None:
    make_file(line.folder / "one", 20_000)
    make_file(line.folder / "two", 20_000)
    write(line, '[[share]]\npath = "one"\n')
    with line.start("run", "peer.toml") as peer:
        peer.wait_for("sharing", share_name="one")
        write(line, '[tracker]\n[[share]]\npath = "one"\n[[share]]\npath = "two"\n')
        peer.process.send_signal(signal.SIGHUP)
        peer.wait_for("sharing", share_name="two")
        write(line, "[[shares]]\n")
        peer.process.send_signal(signal.SIGHUP)
        said = peer.wait_for("logged", severity="warning")["message"]
        assert "peer.toml: shares: unknown key, did you mean 'share'?" in said
        assert said.endswith("; nothing was changed")
        assert peer.end(signal.SIGTERM)[0] == 0
    said = [each["message"] for each in peer.events("logged")]
    assert "peer.toml was read again: 2 changes, 1 of them after a restart" in said


def test_sighup_has_a_tracker_read_its_lists_and_a_seeder_is_known_by_its_token(
    line: CommandLine,
) -> None:
    token = "ann-0123456789abcdef"
    film = make_file(line.folder / "film.mkv", 20_000)
    deny, tokens = line.folder / "deny.txt", line.folder / "tokens.txt"
    deny.write_text("")
    tokens.write_text(token)
    tokens.chmod(0o600)
    lists = ("--deny", deny, "--register-tokens", tokens)
    with line.start("tracker", *LOCAL, *lists) as tracker:
        url = url_of(tracker)
        with seeding(line, f"{url}/announce?token={token}", film) as seeder:
            (listed,) = line.events("ls", "--tracker", url)
            deny.write_text(f"{listed['info_hash']}  a film\n")
            tracker.process.send_signal(signal.SIGHUP)
            tracker.wait_for("logged", logger="trio_swarm.tracker.admission.reloading")
            while line.events("ls", "--tracker", url):
                time.sleep(0.05)
            deny.write_text("a film\n")
            tracker.process.send_signal(signal.SIGHUP)
            said = tracker.wait_for("logged", severity="warning")["message"]
            assert f"{deny}:1: expected an info-hash" in said
            assert line.events("ls", "--tracker", url) == []
            assert seeder.end(signal.SIGINT)[0] == 0
        assert tracker.end(signal.SIGTERM)[0] == 0
    for program in (tracker, seeder):
        assert program.seen
        assert token not in str(program.seen)


def test_sighup_has_the_tracker_of_run_read_its_lists(line: CommandLine) -> None:
    (line.folder / "deny.txt").write_text(f"{7:040x}\n")
    write(line, '[tracker]\nlisten = "127.0.0.1:0"\ndeny = "deny.txt"\n')
    read = "deny.txt: 1 entry (tracker.deny)"
    with line.start("run", "peer.toml") as peer:
        peer.wait_for("logged", message=read)
        peer.wait_for("tracker_listening")
        peer.wait_for("listening")
        peer.process.send_signal(signal.SIGHUP)
        peer.wait_for("logged", message=read)
        assert peer.end(signal.SIGTERM)[0] == 0


def test_systemd_hears_when_it_is_ready_reloads_and_stops(line: CommandLine) -> None:
    """sd_notify(3): `RELOADING=1` with its time is followed by `READY=1`."""
    make_file(line.folder / "one", 20_000)
    write(line, '[[share]]\npath = "one"\n')
    name = f"trio-swarm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(f"\0{name}")
        theirs.settimeout(60)
        line.environment |= {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "60000000"}
        heard: list[str] = []

        def wait_for(beginning: str) -> None:
            while not any(each.startswith(beginning) for each in heard):
                heard.append(theirs.recv(4096).decode())

        with line.start("run", "peer.toml") as peer:
            wait_for("READY=1")
            wait_for("WATCHDOG=1")
            peer.wait_for("sharing")
            heard.clear()
            peer.process.send_signal(signal.SIGHUP)
            wait_for("RELOADING=1\nMONOTONIC_USEC=")
            wait_for("READY=1")
            assert peer.end(signal.SIGTERM)[0] == 0
            wait_for("STOPPING=1")


def test_a_hook_is_run_before_a_peer_ends_that_has_nothing_more_to_do(
    line: CommandLine, tracker: str
) -> None:
    film = make_file(line.folder / "film.mkv")
    tool = line.folder / "tell"
    tool.write_text('#!/bin/sh\necho "$TRIO_SWARM_EVENT $TRIO_SWARM_PATH $1" > told\n')
    tool.chmod(0o755)
    with line.start("seed", film, "--tracker", tracker, "--listen", "127.0.0.1:0") as seeder:
        seeder.wait_for("announced")
        write(
            line,
            f'trackers = ["{tracker}"]\n[[fetch]]\nwhat = "film.mkv"\nfolder = "out"\n'
            'seed = false\n[hooks]\non_complete = ["./tell", "a b"]\n',
        )
        done = line.run("run", "peer.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert (line.folder / "told").read_text() == f"complete {line.folder}/out/film.mkv a b\n"


def test_the_log_level_of_the_file_holds(line: CommandLine) -> None:
    make_file(line.folder / "one", 20_000)
    for level, is_told in (("warning", False), ("info", True)):
        write(line, f'[[share]]\npath = "one"\n[log]\nlevel = "{level}"\n')
        with line.start("run", "peer.toml") as peer:
            peer.wait_for("sharing")
            peer.end(signal.SIGTERM)
        assert any("stopping on" in each["message"] for each in peer.events("logged")) is is_told


def test_a_terminal_that_is_closed_ends_it_instead(line: CommandLine) -> None:
    """The kernel sends SIGHUP to who has lost its terminal (tty_ioctl(4)); nobody asked then."""
    make_file(line.folder / "one", 20_000)
    write(line, '[[share]]\npath = "one"\n')
    ours, theirs = pty.openpty()
    with open(line.folder / "out", "w", encoding="utf-8") as out:  # noqa: PTH123
        process = ForkedCommand(
            ("run", "peer.toml", "--quiet"),
            streams=(theirs, out.fileno(), out.fileno()),
            environment=line.environment,
            folder=line.folder,
            is_at_terminal=True,
        )
    os.close(theirs)
    try:
        while not list((line.folder / "state").glob("hashes/*")):
            assert process.poll() is None
            time.sleep(0.01)
        os.close(ours)
        assert process.wait(PATIENCE) in {0, 1}  # it was hashing, perhaps
    finally:
        process.kill()
        process.wait(PATIENCE)
