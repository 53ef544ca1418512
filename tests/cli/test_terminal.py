"""What a person at a terminal sees and is asked, through a pseudo-terminal."""

import filecmp

import pytest

from command_line import CommandLine
from commands_at_work import LOCAL, make_file, seeding
from terminals import terminal, terminal_of_a_shell


def test_progress_is_live_with_a_row_per_peer_and_ctrl_c_gives_the_terminal_back(
    line: CommandLine, tracker: str
) -> None:
    make_file(line.folder / "film.mkv", 4_000_000)
    get = ("get", "film.mkv", "--tracker", tracker, "--dir", "out", *LOCAL)
    with (
        seeding(line, tracker, "film.mkv"),
        terminal(line, *get, "--download-limit", "1M") as shown,
    ):
        shown.wait_for(r"\d % of 3\.81 MiB")
        shown.wait_for(r"pieces")
        shown.wait_for(r"127\.0\.0\.1:\d+ +trio-swarm")
        assert "\x1b[?25l" in shown.text
        shown.type("\x03")
        assert shown.end() == 1
        assert shown.text.rindex("\x1b[?25h") > shown.text.rindex("\x1b[?25l")
        assert "stopping" in shown.text
        assert "Traceback" not in shown.text


def test_ctrl_z_gives_the_cursor_back_and_the_display_goes_on_after_it(
    line: CommandLine, tracker: str
) -> None:
    make_file(line.folder / "film.mkv", 4_000_000)
    get = ("get", "film.mkv", "--tracker", tracker, "--dir", "out", *LOCAL)
    with (
        seeding(line, tracker, "film.mkv"),
        terminal_of_a_shell(line, *get, "--download-limit", "500k") as shown,
    ):
        shown.wait_for(r"\d % of 3\.81 MiB")
        shown.type("\x1a")
        stop = shown.wait_for(r"\[1\]\+ Stopped").start()
        assert shown.text.rindex("\x1b[?25h", 0, stop) > shown.text.rindex("\x1b[?25l", 0, stop)
        shown.wait_for(r"(?s)Stopped.*\x1b\[\?25l.*\d % of 3\.81 MiB")
        shown.type("\x03")
        assert shown.end() == 1
        assert "Traceback" not in shown.text


def test_get_without_an_argument_asks_what_to_fetch(line: CommandLine, tracker: str) -> None:
    film = make_file(line.folder / "my film.mkv")
    get = ("get", "--tracker", tracker, "--dir", "out", "--no-seed", *LOCAL)
    with seeding(line, tracker, film):
        with terminal(line, *get) as shown:
            shown.wait_for(r"What to fetch: .*\? ")
            shown.type("'my film.mkv'\n")
            assert shown.end() == 0, shown.text
        assert filecmp.cmp(film, line.folder / "out/my film.mkv", shallow=False)


@pytest.mark.parametrize(("keys", "code"), [("\n", 2), (" ''\n", 2), ("\x04", 2), ("\x03", 1)])
def test_get_ends_when_nothing_is_named_or_the_question_is_interrupted(
    line: CommandLine, keys: str, code: int
) -> None:
    with terminal(line, "get", *LOCAL) as shown:
        shown.wait_for(r"What to fetch: .*\? ")
        shown.type(keys)
        assert shown.end() == code
        assert ("say what to fetch" in shown.text) == (code == 2)
        assert "Traceback" not in shown.text


def test_a_dumb_terminal_and_quiet_get_no_display(line: CommandLine, tracker: str) -> None:
    make_file(line.folder / "film.mkv")
    get = ("get", "film.mkv", "--tracker", tracker, "--dir", "out", "--no-seed", *LOCAL)
    with seeding(line, tracker, "film.mkv"):
        with terminal(line, *get, term="dumb") as shown:
            assert shown.end() == 0
        assert "film.mkv: complete in" in shown.text
        assert "\x1b" not in shown.text
        with terminal(line, *get, "--quiet") as shown:
            assert shown.end() == 0
        assert shown.text == ""


def test_seed_without_a_path_asks_what_to_share(line: CommandLine, tracker: str) -> None:
    make_file(line.folder / "my film.mkv")
    with terminal(line, "seed", "--tracker", tracker, *LOCAL) as shown:
        shown.wait_for("Which files or folders to share")
        shown.type("no such file\n")
        shown.wait_for("There is no no such file")
        shown.type("'my film.mkv'\n")
        shown.wait_for("2> ")
        shown.type("\n")
        shown.wait_for("sharing    my film.mkv")
        shown.type("\x03")
        assert shown.end() == 0


def test_seed_ends_when_nothing_is_named_or_the_question_is_interrupted(
    line: CommandLine,
) -> None:
    with terminal(line, "seed", *LOCAL) as shown:
        shown.wait_for("1> ")
        shown.type("\x04")
        assert shown.end() == 2
        assert "nothing to share was named" in shown.text
    with terminal(line, "seed", *LOCAL) as shown:
        shown.wait_for("1> ")
        shown.type("\x03")
        assert shown.end() == 1
        assert "Traceback" not in shown.text


def test_a_name_of_two_torrents_is_chosen_by_number(line: CommandLine, tracker: str) -> None:
    one = make_file(line.folder / "1/film.mkv")
    two = make_file(line.folder / "2/film.mkv")
    get = ("get", "film.mkv", "--tracker", tracker, "--no-seed", "--dir", "out", *LOCAL)
    with seeding(line, tracker, one), seeding(line, tracker, two) as second:
        (sharing,) = second.events("sharing")
        with terminal(line, *get) as shown:
            shown.wait_for("film.mkv stands for 2 different torrents")
            number = shown.wait_for(rf"(\d)  {sharing['info_hash']}")[1]
            shown.wait_for("Which one")
            shown.type("7\n")
            shown.wait_for("Which one.*\r\n.*Which one")
            shown.type(f"{number}\n")
            assert shown.end() == 0, shown.text
        assert filecmp.cmp(two, line.folder / "out/film.mkv", shallow=False)
        with terminal(line, *get) as shown:
            shown.wait_for("Which one")
            shown.type("\n")
            assert shown.end() == 1
            assert "choose one with --info-hash" in shown.text


def test_names_of_strangers_cannot_steer_the_terminal(line: CommandLine) -> None:
    make_file(line.folder / "film.mkv", 5)
    comment = "a\x1b[2J\x07b[bold]c"
    assert line.run("create", "film.mkv", "--comment", comment).returncode == 0
    with terminal(line, "show", "film.mkv.torrent") as shown:
        assert shown.end() == 0
    assert "\x1b" not in shown.text
    assert "\x07" not in shown.text
    assert "comment    a\\x1b[2J\\x07b[bold]c" in shown.text
