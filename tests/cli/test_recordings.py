"""`get --record`, `explain` and `replay`: what people and programs read, and what is said of files
that are none.
"""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from command_line import CommandLine, run_here
from commands_at_work import LOCAL, seeding
from recording_samples import STORY_HEADER, file_of, told_story
from trio_swarm.cli.lab.explained_summary import summary_lines
from trio_swarm.cli.output.text import size_text
from trio_swarm.lab.pictures.course import completed, matrix
from trio_swarm.lab.pictures.from_recordings import swarm_of
from trio_swarm.recording import Header, read_recording, records
from trio_swarm.recording.story.summary import summarize
from trio_swarm.service.fetches import _unused

SIZE = 3_000_000

ASKED = """\
piece 1 of 2: 63.9 KiB in 4 blocks
   0.010 s  rarest-first asked 10.0.0.2:6881 for 4 blocks, which took 600 ms
            2 pieces wanted, 0 rarer, 0 as rare; 2 of 3 peers had it
            10.0.0.2:6881 had room for 3 blocks, 0 in flight, at a rate not yet known
            it could have been 10.0.0.1:6881 (had room for 8 blocks, 2 in flight, at 4 MiB/s)
            dropped by the guard: the strategy assigned piece 7 of 2 to peer 3
   0.510 s  the host (endgame) asked 10.0.0.1:6881 for 3 blocks, which took 100 ms
            a second time, since 10.0.0.2:6881 had owed 4 blocks for 500 ms
            no room, or not in turn: 10.0.0.2:6881 (4 in flight)
   0.540 s  1 block had come from 10.0.0.2:6881
   0.610 s  3 blocks had come from 10.0.0.1:6881
   0.610 s  10.0.0.2:6881 was told that 3 blocks need not come
   0.620 s  verified
"""


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.rec"
    file.write_bytes(file_of(STORY_HEADER, [told_story()]))
    return file


@pytest.fixture
def swarm(line: CommandLine, tracker: str) -> Iterator[str]:
    """A tracker, and a seeder of `film.mkv`; the tracker's URL."""
    film = line.folder / "film.mkv"
    film.write_bytes(bytes(range(256)) * (SIZE // 256))
    with seeding(line, tracker, film):
        yield tracker


# get --record


def test_a_download_is_recorded_explained_and_replayed(line: CommandLine, swarm: str) -> None:
    get = ("get", "film.mkv", "--tracker", swarm, *LOCAL, "--dir", "in", "--no-seed")
    line.events(*get, "--record", "film.rec", "--scheduler", "round-robin")
    (summary,) = line.events("explain", "film.rec")
    assert summary["cut_off"] is None
    assert summary["summary"]["verified"] == summary["pieces"]
    recorded, own, other = line.events("replay", "film.rec", "--scheduler", "rarest-first")
    assert [each["scheduler"] for each in (recorded, own, other)] == [
        "as recorded",
        "round-robin",
        "rarest-first",
    ]
    # There is one peer to have it from, so it gives all in each of them.
    size = (SIZE // 256) * 256
    assert [sum(each["received"].values()) for each in (recorded, own, other)] == [size] * 3
    assert own["digest"] == line.events("replay", "film.rec")[1]["digest"]


def test_what_several_real_peers_recorded_is_one_swarm(line: CommandLine) -> None:
    film = line.folder / "film.mkv"
    film.write_bytes(bytes(range(256)) * (SIZE // 256))
    with line.start("tracker", *LOCAL) as tracker:
        url = f"udp://127.0.0.1:{tracker.wait_for('tracker_listening')['port']}"
        get = ("get", "film.mkv", "--tracker", url, *LOCAL)
        with line.start("seed", film, "--tracker", url, *LOCAL) as seeder:
            seeder.wait_for("announced")
            with line.start(*get, "--dir", "a", "--record", "a.rec") as first:
                first.wait_for("completed")
                seeder.end(signal.SIGINT)  # the second has all from the first
                line.events(*get, "--dir", "b", "--record", "b.rec", "--no-seed")
                first.end(signal.SIGINT)
    made = []
    for name in ("a", "b"):
        with (line.folder / f"{name}.rec").open("rb") as file:
            made.append((name, read_recording(file, name)))
    swarm = swarm_of(made, "all")
    names, sent = matrix(swarm.course, 9)
    size = film.stat().st_size
    assert names[:2] == ["a", "b"]
    assert sent == [[0, size, 0], [0, 0, 0], [size, 0, 0]]
    assert not swarm.strangers
    assert swarm.course.peers[2].role == "seeder"
    told = [each for _, one in made for each in one.events if isinstance(each, records.Named)]
    assert {each.uploads_only for each in told if each.client} >= {True}
    ends = completed(swarm.course, swarm.course.recorders)
    assert ends[0] < swarm.course.peers[1].joined < ends[1]


def test_a_file_that_is_there_is_no_place_for_a_recording(line: CommandLine) -> None:
    (line.folder / "film.rec").write_text("mine")
    done = line.run("get", "film.mkv", "--record", "film.rec")
    assert done.returncode == 2
    assert done.stderr.startswith("trio-swarm: --record: film.rec is there already")


def test_a_program_that_is_killed_leaves_what_was_recorded_by_then(
    line: CommandLine, swarm: str
) -> None:
    get = ("get", "film.mkv", "--tracker", swarm, *LOCAL, "--dir", "in", "--record", "film.rec")
    with line.start(*get, "--download-limit", "500k") as leecher:
        while leecher.wait_for("progress")["have"] == 0:
            pass
        leecher.end(signal.SIGKILL)
    with (line.folder / "film.rec").open("rb") as file:
        recording = read_recording(file, "film.rec")
    assert recording.cut_off == "the program was killed, or is still running"
    assert any(isinstance(event, records.Arrived) for event in recording.events)
    done = line.run("explain", "film.rec")
    assert done.returncode == 0
    assert done.stderr == f"trio-swarm: film.rec: has no end: {recording.cut_off}\n"
    assert "not complete when it ended" in done.stdout


def test_what_is_fetched_anew_after_a_wait_is_recorded_to_another_file(tmp_path: Path) -> None:
    record = tmp_path / "film.rec"
    assert _unused(None) is None
    for expected in ("film.rec", "film.rec.2", "film.rec.3"):
        path = _unused(record)
        assert path == tmp_path / expected
        path.touch()


# explain


def test_a_piece_is_explained_in_words(story: Path) -> None:
    assert run_here("explain", story, "--piece", 1) == (0, ASKED, "")


def test_a_peer_is_explained_by_its_address_or_its_number(story: Path) -> None:
    code, out, err = run_here("explain", story, "--peer", "10.0.0.2:6881")
    assert (code, err) == (0, "")
    assert out == run_here("explain", story, "--peer", 2)[1]
    assert "joined" in out
    assert "rarest-first asked it for 4 blocks of piece 1, which took 600 ms" in out
    assert out.endswith("0.700 s  it left\n")


def test_a_time_is_explained_by_the_decision_before_it(story: Path) -> None:
    code, out, _ = run_here("explain", story, "--at", 0.4)
    assert code == 0
    assert out.startswith("   0.010 s  rarest-first made 2 requests, in 120 µs\n")
    assert "    0       4  3 of 3      1  10.0.0.1:6881  1 more could have\n" in out


def test_without_a_question_there_is_a_summary(story: Path) -> None:
    code, out, _ = run_here("explain", story)
    assert code == 0
    assert out.startswith(
        f"film.mkv: {size_text(STORY_HEADER.size)} in 2 pieces, by rarest-first, complete after "
    )
    assert "   1  10.0.0.1:6881  libtorrent 2.1   0.0 s              2  112 KiB  87.4 %" in out
    assert "fault, once: the strategy assigned piece 7 of 2 to peer 3\n" in out


def test_programs_are_told_the_same(story: Path) -> None:
    _, out, _ = run_here("explain", story, "--piece", 1, "--json")
    events = [json.loads(text) for text in out.splitlines()]
    assert {event["event"] for event in events} == {"explained_moment"}
    assert events[1]["choice"]["by"] == "endgame"
    assert events[1]["choice"]["slow"][0]["address"] == "10.0.0.2:6881"
    _, out, _ = run_here("explain", story, "--at", 0.4, "--json")
    assert json.loads(out)["decision"]["choices"][0]["piece"] == 0


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("--piece", 2), "--piece: 2 is none of 2 pieces, counted from 0"),
        (("--peer", "10.9.9.9:1"), "--peer: 10.9.9.9:1 was never connected (peers: 10.0.0.1:6881"),
        (("--at", 99), "--at: the recording is from 0 to 0.800 s"),
        (("--at", 0.001), "--at: nothing had been asked of anybody 0.001 s after the beginning"),
        (("--at", 1, "--piece", 1), "--piece, --peer and --at are three questions"),
    ],
)
def test_a_question_without_an_answer_is_one_line(
    story: Path, question: tuple[object, ...], answer: str
) -> None:
    code, out, err = run_here("explain", story, *question)
    assert (code, out) == (2, "")
    assert err.startswith(f"trio-swarm: {answer}")
    assert err.count("\n") == 1


# replay


def test_a_replay_compares_the_recording_with_itself_and_others(story: Path) -> None:
    code, out, err = run_here("replay", story, "--scheduler", "round-robin", "--seeds", 2)
    assert (code, err) == (0, "")
    _, titles, recorded, own, other, *remarks = out.splitlines()
    assert titles.split()[:2] == ["scheduler", "time"]
    assert recorded.split()[:4] == ["as", "recorded", "0.62", "s"]
    assert own.startswith("rarest-first ")
    assert other.startswith("round-robin ")
    assert "that is the error of the replay" in remarks[0]
    assert remarks[1] == (
        "never asked for anything, so taken to be as fast as the others: 10.0.0.3:6881"
    )


def test_the_same_seed_gives_the_same_replay(story: Path) -> None:
    def digests() -> list[str]:
        _, out, _ = run_here("replay", story, "--seeds", 2, "--json")
        return [json.loads(text)["digest"] for text in out.splitlines()[1:]]

    first = digests()
    assert len(first) == 2
    assert digests() == first


def test_a_strategy_of_ones_own_is_replayed(story: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from trio_swarm.schedulers.hookspecs import hookimpl\n"
        "from trio_swarm.schedulers.round_robin import RoundRobin\n\n"
        "@hookimpl\n"
        "def trio_swarm_schedulers():\n"
        "    return {'mine': RoundRobin}\n"
    )
    code, out, _ = run_here("replay", story, "--plugin", plugin, "--scheduler", "mine", "--json")
    assert code == 0
    events = [json.loads(text) for text in out.splitlines()]
    assert [each["scheduler"] for each in events] == ["as recorded", "rarest-first", "mine"]
    assert events[0]["digest"] is None
    assert len(events[2]["digest"]) == 64


def test_a_recorded_strategy_that_is_not_here_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "other.rec"
    head: Header = msgspec.structs.replace(STORY_HEADER, scheduler="theirs")
    file.write_bytes(file_of(head, [told_story()]))
    code, out, err = run_here("replay", file, "--scheduler", "round-robin", "--json")
    assert code == 0
    assert err.startswith("trio-swarm: the recorded strategy cannot be replayed: ")
    assert [json.loads(text)["scheduler"] for text in out.splitlines()] == [
        "as recorded",
        "round-robin",
    ]


def test_what_never_would_be_complete_is_said_and_fails(tmp_path: Path) -> None:
    events = [
        records.Held(event.at, event.peer, [0]) if isinstance(event, records.Held) else event
        for event in told_story()
    ]
    file = tmp_path / "half.rec"
    file.write_bytes(file_of(STORY_HEADER, [events]))
    code, out, _ = run_here("replay", file)
    assert code == 1
    assert "rarest-first   never" in out


def test_an_unknown_strategy_is_wrong_usage(story: Path) -> None:
    code, _, err = run_here("replay", story, "--scheduler", "nobody's")
    assert code == 2
    assert err.count("\n") == 1


# Files that are no recordings


def _cut(content: bytes) -> bytes:
    return content[: content.index(b"\n") + 20]


@pytest.mark.parametrize("command", ["explain", "replay"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: b"[[peers]]\n", "is not a recording of trio-swarm"),
        (lambda _: b"", "is empty: no recording of trio-swarm"),
        (lambda content: content.replace(b" 1\n", b" 7\n", 1), "is a recording of format 7"),
        (_cut, "is cut off before anything was recorded"),
        (lambda content: content.replace(b'{"prog', b"[", 1), "is damaged: its header"),
        (
            lambda content: b"\n".join(content.split(b"\n")[:2]) + b"\n",
            "nothing was recorded",
        ),
    ],
)
def test_a_file_that_is_no_recording_is_one_line(
    tmp_path: Path, command: str, change: Callable[[bytes], bytes], reason: str
) -> None:
    file = tmp_path / "film.rec"
    file.write_bytes(change(file_of(STORY_HEADER, [told_story()])))
    code, out, err = run_here(command, file)
    assert (code, out) == (1, "")
    assert err.startswith(f"trio-swarm: {file}: {reason}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["explain", "replay"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, command: str) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "no", "No such file")):
        code, out, err = run_here(command, path)
        assert (code, out) == (1, "")
        assert err.startswith(f"trio-swarm: {path}: cannot be read: {reason}")
        assert err.count("\n") == 1


def test_strangers_words_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "evil.rec"
    events = [
        records.Named(event.at, event.peer, "\x1b[2Jevil")
        if isinstance(event, records.Named)
        else event
        for event in told_story()
    ]
    file.write_bytes(file_of(STORY_HEADER, [events]))
    for question in ((), ("--peer", "1")):
        code, out, _ = run_here("explain", file, *question)
        assert code == 0
        assert "evil" in out
        assert "\x1b" not in out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--at", "nan"), "--at: the recording is from 0 to "),
        (("--piece", "2"), "--piece: 2 is none of 2 pieces, counted from 0"),
    ],
)
def test_a_question_about_what_is_not_there_is_wrong_usage(
    story: Path, flags: tuple[str, ...], said: str
) -> None:
    code, out, err = run_here("explain", story, *flags)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("command", ["explain", "replay", "plot"])
def test_a_recording_nested_deeply_is_one_line(story: Path, command: str) -> None:
    first, second, rest = story.read_bytes().split(b"\n", 2)
    nest = b'"scheduler_options":{"x":' + b"[" * 1_000 + b"]" * 1_000
    start, end = second.split(b'"scheduler_options":{', 1)
    comma = b"" if end.startswith(b"}") else b","
    story.write_bytes(b"\n".join((first, start + nest + comma + end, rest)))
    code, out, err = run_here(command, story)
    assert (code, out) == (1, "")
    assert err == f"trio-swarm: {story}: is damaged: its header: is nested too deeply\n"


def test_a_narrow_terminal_has_no_clients_in_the_table_of_peers(story: Path) -> None:
    with story.open("rb") as file:
        recording = read_recording(file, "story")
    summary = summarize(recording)
    wide = list(summary_lines(summary, recording.header, 200))
    assert wide == list(summary_lines(summary, recording.header))
    narrow = list(summary_lines(summary, recording.header, 50))
    assert "client" in wide[1]
    assert "client" not in narrow[1]
    assert [line.split()[:2] for line in wide[2:5]] == [line.split()[:2] for line in narrow[2:5]]


def test_more_runs_than_can_be_held_are_refused(story: Path) -> None:
    for command in ("simulate", "replay"):
        code, out, err = run_here(command, story, "--seeds", 10**9)
        assert (code, out) == (2, "")
        assert "--seeds: must be at most 10,000, got 1,000,000,000" in err
    code, _, err = run_here("simulate", story, "--workers", 10**6)
    assert (code, err) == (2, "trio-swarm: --workers: must be at most 256, got 1,000,000\n")
