"""`tracker status` and `ls --watch`, with a real tracker and a seeder that comes and goes."""

import signal

import pytest

from command_line import CommandLine
from commands_at_work import make_file, seeding


def test_a_tracker_tells_what_it_holds_and_answered(line: CommandLine, tracker: str) -> None:
    film = make_file(line.folder / "film.mkv")
    with seeding(line, tracker, film):
        done = line.run("tracker", "status", "--tracker", tracker)
        (told,) = line.events("tracker-status", "--tracker", tracker)
    assert (done.returncode, done.stderr) == (0, "")
    assert "holds    1 peer in 1 swarm, 1 name\n" in done.stdout
    assert "film.mkv" in done.stdout
    assert (told["total"]["peers"], told["top"][0]["name"]) == (1, "film.mkv")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("udp://127.0.0.1:1", "does not answer over HTTP"),
        ("nonsense", "not a tracker"),
    ],
)
def test_a_tracker_that_does_not_tell_is_one_line(line: CommandLine, url: str, why: str) -> None:
    done = line.run("tracker", "status", "--tracker", url)
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert url in done.stderr
    assert why in done.stderr or done.returncode == 2


def test_names_are_told_as_they_come_and_go(line: CommandLine, tracker: str) -> None:
    film = make_file(line.folder / "film.mkv")
    with line.start("ls", "film*", "--watch", "--tracker", tracker) as watcher:
        with seeding(line, tracker, film) as seeder:
            watcher.wait_for("listed", share_name="film.mkv", seeders=1)
            assert seeder.end(signal.SIGTERM)[0] == 0
        watcher.wait_for("unlisted", share_name="film.mkv")
        assert watcher.end(signal.SIGINT) == (0, "")
