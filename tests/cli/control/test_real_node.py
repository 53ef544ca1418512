"""Every command of control against a real `trio-swarm run`."""

import json
import signal
from typing import Any

import pytest

from command_line import CommandLine
from commands_at_work import make_file

HEAD = '[node]\nlisten = "127.0.0.1:0"\nstate_folder = "state"\ndownload_folder = "down"\n'
NOWHERE = "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=far"


def ask(line: CommandLine, *words: str) -> list[dict[str, Any]]:
    done = line.run(*words, "--state-folder", "state", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(each) for each in done.stdout.splitlines()]


def states(line: CommandLine) -> dict[str, str]:
    told = ask(line, "status")
    return {each["share_name"]: each["state"] for each in told if "share_name" in each}


def test_a_node_says_where_its_page_is(line: CommandLine) -> None:
    (line.folder / "peer.toml").write_text(f'{HEAD}[control]\nlisten = "127.0.0.1:0"\n')
    with line.start("run", "peer.toml") as peer:
        port = peer.wait_for("control_listening", host="127.0.0.1")["port"]
        address = f"http://127.0.0.1:{port}"
        done = line.run("stop", "--url", address, "--json")
        assert done.returncode == 0, done.stderr
        assert peer.end()[0] == 0


@pytest.mark.parametrize("words", [("status", "--watch"), ("log", "--follow")], ids=" ".join)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_watches_a_node_hears_that_it_has_ended(
    line: CommandLine, words: tuple[str, ...], number: int
) -> None:
    (line.folder / "peer.toml").write_text(f'{HEAD}[log]\nlevel = "debug"\n')
    with line.start("run", "peer.toml") as peer:
        peer.wait_for("listening")
        with line.start("add", NOWHERE, "--state-folder", "state") as adding:
            assert adding.end() == (0, "")
        with line.start(*words, "--state-folder", "state") as watcher:
            watcher.wait_for("torrent_status" if words[0] == "status" else "node_logged")
            peer.end(number)
            assert watcher.end() == (1, "trio-swarm: the node has ended\n")


def test_a_node_without_a_task_stays_and_is_told_everything_by_commands(line: CommandLine) -> None:
    make_file(line.folder / "notes.txt")
    (line.folder / "peer.toml").write_text(HEAD)
    with line.start("run", "peer.toml") as peer:
        peer.wait_for("listening")
        ask(line, "add", NOWHERE, "--label", "far", "--up", "10k", "--scheduler", "round-robin")
        ask(line, "add", "--share", "notes.txt")
        peer.wait_for("sharing")
        told = [each["message"] for each in ask(line, "log")]
        assert [each for each in told if each.startswith("notes.txt: sharing ")] == [
            f"notes.txt: sharing {line.folder / 'notes.txt'} (293 KiB, 19 pieces)"
        ]
        assert states(line) == {"far": "metadata", "notes.txt": "seeding"}
        for words in (
            ("limit",),
            ("limit", "--up", "1MiB", "--active-downloads", "3"),
            ("limit", "far", "--up", "none"),
            ("files", "notes"),
            ("peers", "notes"),
            ("trackers", "notes"),
            ("scheduler", "far", "rarest-first"),
            ("explain", "far"),
            ("verify", "notes"),
            ("reannounce", "notes"),
            ("move", "notes", "down/more"),
            ("log",),
            ("reload", "--dry-run"),
            ("reload",),
            ("pause", "far"),
        ):
            ask(line, *words)
        assert (line.folder / "down" / "more" / "notes.txt").exists()
        assert ask(line, "stop")[0]["has_ended"]
        assert peer.end()[0] == 0
    with line.start("run", "peer.toml") as peer:
        peer.wait_for("sharing", share_name="notes.txt")
        assert states(line) == {"far": "paused", "notes.txt": "seeding"}
        ask(line, "resume", "--all")
        ask(line, "remove", "far", "--yes")
        ask(line, "remove", "notes.txt", "--delete-data", "--yes")
        assert states(line) == {}
        assert not (line.folder / "down" / "more" / "notes.txt").exists()
        ask(line, "stop")
        assert peer.end()[0] == 0
