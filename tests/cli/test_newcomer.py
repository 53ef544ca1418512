"""What a person meets first: names typed nearly right, no tracker, and being told what goes on."""

import json
import signal

import pytest

from command_line import PATIENCE, CommandLine, run_here
from commands_at_work import LOCAL, make_file, seeding
from trio_swarm.errors import ConfigError
from trio_swarm.protocol.trackers.urls import parse_tracker_url


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("192.168.1.5:6969", "udp://192.168.1.5:6969"),
        ("192.168.1.5", "udp://192.168.1.5:6969"),
        ("host.example", "udp://host.example:6969"),
        ("localhost:7000", "udp://localhost:7000"),
        ("::1", "udp://[::1]:6969"),
        ("[::1]:7000", "udp://[::1]:7000"),
        ("udp://host", "udp://host:6969"),
        ("udp:/host:7000", "udp://host:7000"),
        ("udp:host:7000", "udp://host:7000"),
        ("udp//host:7000", "udp://host:7000"),
        ("upd://host:7000", "udp://host:7000"),
        ("udp:///host:7000", "udp://host:7000"),
        ("http//host/announce", "http://host/announce"),
        ("htp://host/announce", "http://host/announce"),
        ("host:6969/announce", "udp://host:6969/announce"),
        ("host.example/announce", "http://host.example/announce"),
    ],
)
def test_a_tracker_typed_nearly_right_is_suggested(typed: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=r"did you mean (\S+)\?") as caught:
        parse_tracker_url(typed)
    assert str(caught.value).endswith(f"did you mean {meant}?")
    parse_tracker_url(meant)


@pytest.mark.parametrize(
    "typed", ["", "ftp://a", "udp://", "udp:6969", ":6969", "a b", "x@y:1", "a\nb", "\x1b[2J"]
)
def test_what_is_like_no_tracker_gets_no_suggestion(typed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_tracker_url(typed)
    assert "did you mean" not in str(caught.value)


def test_suggestions_come_for_flags_files_and_the_environment(line: CommandLine) -> None:
    (line.folder / "peer.toml").write_text('trackers = ["10.0.0.5:6969"]\n[tracker]\n')
    for done in (
        line.run("ls", "--tracker", "10.0.0.5:6969"),
        line.run("ls", environment={"TRIO_SWARM_TRACKER": "10.0.0.5:6969"}),
        line.run("check", "peer.toml"),
    ):
        assert done.returncode == 2
        assert "did you mean udp://10.0.0.5:6969?" in done.stderr


@pytest.mark.parametrize("arguments", [("ls",), ("get", "film.mkv"), ("show", "abcdef")])
def test_where_no_tracker_was_named_the_failure_says_which_was_asked_and_how_to_name_one(
    line: CommandLine, arguments: tuple[str, ...]
) -> None:
    done = line.run(*arguments)
    assert done.returncode == 1
    *_, advice = done.stderr.splitlines()
    assert "no tracker was named" in advice
    assert "--tracker udp://HOST:6969" in advice
    assert "TRIO_SWARM_TRACKER" in advice
    named = line.run(*arguments, environment={"TRIO_SWARM_TRACKER": "udp://127.0.0.1:6969"})
    assert "no tracker was named" not in named.stderr


def test_a_name_typed_nearly_right_is_suggested(line: CommandLine, tracker: str) -> None:
    make_file(line.folder / "ubuntu.iso", 5)
    with seeding(line, tracker, "ubuntu.iso"):
        for nearly in ("ubunut.iso", "Ubuntu.ISO", "ubuntu"):
            done = line.run("get", nearly, "--tracker", tracker, *LOCAL)
            assert done.returncode == 1
            assert "did you mean 'ubuntu.iso'?" in done.stderr
        assert "did you mean" not in line.run("get", "film", "-t", tracker, *LOCAL).stderr
        assert "did you mean 'ubuntu.iso'?" in line.run("ls", "ubunut*", "-t", tracker).stdout


def test_the_beginning_of_an_info_hash_is_enough(line: CommandLine, tracker: str) -> None:
    make_file(line.folder / "1/film.mkv")
    make_file(line.folder / "2/film.mkv")
    with seeding(line, tracker, "1/film.mkv"), seeding(line, tracker, "2/film.mkv") as second:
        whole = second.events("sharing")[0]["info_hash"]
        begin = whole[:12]
        flags = ("--tracker", tracker, "--no-seed", *LOCAL)
        done = line.run("get", "film.mkv", "--info-hash", begin.upper(), "--dir", "a", *flags)
        assert done.returncode == 0, done.stderr
        assert line.run("get", begin, "--dir", "b", *flags).returncode == 0
        for folder in ("a", "b"):
            got = (line.folder / folder / "film.mkv").read_bytes()
            assert got == (line.folder / "2/film.mkv").read_bytes()
        shown = line.run("show", begin, "--json", environment={"TRIO_SWARM_TRACKER": tracker})
        assert json.loads(shown.stdout)["info_hash"] == whole
        shown = line.run("show", begin, "--json", "--tracker", tracker)
        assert json.loads(shown.stdout)["info_hash"] == whole
        (line.folder / "peer.toml").write_text(
            f'trackers = ["{tracker}"]\n[node]\nlisten = "127.0.0.1:0"\n[[fetch]]\n'
            f'what = "film.mkv"\ninfo_hash = "{begin}"\nfolder = "c"\nseed = false\n'
        )
        assert line.run("run", "peer.toml").returncode == 0
        assert (line.folder / "c/film.mkv").read_bytes() == got
        wrong = "0000" if not whole.startswith("0000") else "1111"
        done = line.run("get", "film.mkv", "--info-hash", wrong, *flags)
        assert done.returncode == 1
        assert f"no info-hash of that name begins with {wrong}" in done.stderr


def test_a_whole_info_hash_is_shown_as_a_link() -> None:
    code, out, _ = run_here("show", "ab" * 20)
    assert code == 0
    assert f"magnet:?xt=urn:btih:{'ab' * 20}" in out


def test_without_a_terminal_get_does_not_ask(line: CommandLine) -> None:
    done = line.run("get")
    assert (done.returncode, done.stdout) == (2, "")
    assert "say what to fetch: trio-swarm get WHAT" in done.stderr


def test_a_large_file_that_is_no_torrent_is_told_in_sizes_people_read(line: CommandLine) -> None:
    with (line.folder / "big.iso").open("wb") as file:
        file.truncate(200 * 2**20)
    done = line.run("show", "big.iso")
    assert done.returncode == 1
    assert done.stderr == "trio-swarm: big.iso: is no .torrent file, which has 64 MiB at most\n"


def test_an_interrupted_get_says_what_is_kept_and_how_it_goes_on(
    line: CommandLine, tracker: str
) -> None:
    make_file(line.folder / "film.mkv", 4_000_000)
    get = ("get", "film.mkv", "--tracker", tracker, "--dir", "my films", *LOCAL)
    with (
        seeding(line, tracker, "film.mkv", "--upload-limit", "1M"),
        line.running(*get) as (process, stdout, _),
    ):
        next(each for each in stdout if "pieces" in each)
        process.send_signal(signal.SIGINT)
        rest = list(stdout)
        assert process.wait(PATIENCE) == 1
    told = rest[-1]
    assert told.startswith("stopped")
    assert "the same command goes on: trio-swarm get film.mkv" in told
    assert "--dir 'my films'" in told


def test_the_link_that_seed_prints_works_elsewhere_or_a_warning_says_why(
    line: CommandLine, tracker: str
) -> None:
    make_file(line.folder / "film.mkv", 5)
    done = line.run("create", "film.mkv", "--tracker", "udp://127.0.0.1:6969")
    assert "only this machine reaches udp://127.0.0.1:6969" in done.stdout
    (link,) = (each for each in done.stdout.split() if each.startswith("magnet:"))
    assert "127.0.0.1" not in link
    done = line.run("create", "film.mkv", "--tracker", "udp://10.0.0.5:6969", "-o", "b.torrent")
    assert "only this machine" not in done.stdout
    assert "10.0.0.5" in done.stdout
