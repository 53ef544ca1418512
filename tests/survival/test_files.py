"""Full disks, changed and deleted files, folders that cannot be written: one line, nothing lost."""

import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from mounts import in_memory
from swarm_processes import HOST, Processes, RunningCommand, digest, make_big_file, processes
from trio_swarm.cli.app import run
from trio_swarm.protocol import bencode

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """20 MiB, of which `filler` takes 12."""
    with in_memory(tmp_path / "disk", "size=20m") as folder:
        (folder / "filler").write_bytes(bytes(12 * MIB))
        yield folder


async def _seeded(start: Processes, original: Path) -> str:
    url = await start.tracker_here()
    await start.seed(original, tracker=url, state="s")
    return url


async def test_a_full_disk_ends_get_with_one_line_and_it_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 16 * MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await _seeded(start, original)
            fetch = {"tracker": url, "state": "l", "flags": ["--no-seed"]}
            stopped = await start.get("x.bin", small_disk / "out", **fetch)
            assert await stopped.wait() == 1
            assert "Traceback" not in stopped.stderr
            (error,) = stopped.of("error")
            assert "x.bin.part: the disk is full (" in error["message"]
            line, advice = stopped.errors
            assert line == f"trio-swarm: {error['message']}"
            assert "same command again" in advice
            verified = len(stopped.of("piece_verified"))
            assert verified > 0
            (small_disk / "filler").unlink()
            resumed = await start.get("x.bin", small_disk / "out", **fetch)
            assert await resumed.wait() == 0
            assert digest(small_disk / "out" / "x.bin") == digest(original)
    (checked,) = resumed.of("checked")
    assert checked["hashed"] == 0
    pieces = resumed.of("metadata_received")[0]["pieces"]
    # The pieces that were written while the last one found no room are kept too, unsaid.
    assert verified * 16 * MIB // pieces <= checked["have"] < 16 * MIB
    assert resumed.of("completed")[0]["downloaded"] == 16 * MIB - checked["have"]


async def test_a_full_disk_makes_a_peer_wait_and_it_goes_on_by_itself_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 16 * MIB)
    config = tmp_path / "peer.toml"
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await _seeded(start, original)
            config.write_text(
                f'trackers = ["{url}"]\n'
                f'[node]\nlisten = "{HOST}:0"\ndownload_folder = "{small_disk / "out"}"\n'
                '[[fetch]]\nwhat = "x.bin"\n'
            )
            peer = await start.run(config, state="l")
            await peer.wait_for("waiting", lambda event: "the disk is full" in event["reason"])
            (small_disk / "filler").unlink()
            await peer.wait_for("completed")
            assert digest(small_disk / "out" / "x.bin") == digest(original)
            assert peer.stderr == ""
    first, second = peer.of("checked")
    assert (first["have"], second["hashed"]) == (0, 0)
    assert peer.of("completed")[0]["downloaded"] == 16 * MIB - second["have"]


def _flip_a_byte(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("finished", [False, True], ids=["unfinished", "finished"])
async def test_data_that_was_changed_while_stopped_is_noticed_and_fetched_again(
    tmp_path: Path, *, finished: bool
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 8 * MIB)
    out = tmp_path / "out"
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            await start.seed(original, tracker=url, state="s", flags=["--upload-limit", "8MiB"])
            first = await start.get("x.bin", out, tracker=url, state="l")
            if finished:
                await first.wait_for("completed")
            else:
                await first.wait_for_share(0.5)
            await first.stop()
            written = out / ("x.bin" if finished else "x.bin.part")
            # A byte of a piece that was verified: the first piece that is there.
            _flip_a_byte(written, _first_data(written) + 5)
            again = await start.get("x.bin", out, tracker=url, state="l", flags=["--no-seed"])
            assert await again.wait() == 0
    (checked,) = again.of("checked")
    assert checked["hashed"] > 0
    assert checked["have"] < 8 * MIB
    assert digest(out / "x.bin") == digest(original)


def _first_data(path: Path) -> int:
    with path.open("rb") as file:
        return os.lseek(file.fileno(), 0, os.SEEK_DATA)


def _delete(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    os.truncate(path, MIB)


@pytest.mark.parametrize(
    ("harm", "command", "served"),
    [
        pytest.param(_delete, "seed", False, id="deleted"),
        pytest.param(_cut, "run", False, id="cut"),
        pytest.param(_delete, "run", True, id="deleted while served"),
        pytest.param(_cut, "seed", True, id="cut while served"),
    ],
)
async def test_a_share_that_is_harmed_is_one_line_and_the_others_go_on(
    tmp_path: Path, harm: Callable[[Path], None], command: str, *, served: bool
) -> None:
    lost = make_big_file(tmp_path / "in" / "lost.bin", 24 * MIB)  # takes long
    kept = make_big_file(tmp_path / "in" / "kept.bin", MIB // 4)
    config = tmp_path / "peer.toml"
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            if command == "seed":
                flags = ["--upload-limit", "1MiB"]
                seeder = await start.seed(lost, kept, tracker=url, state="s", flags=flags)
            else:
                config.write_text(
                    f'trackers = ["{url}"]\n[node]\nlisten = "{HOST}:0"\n'
                    f'[limits]\nupload = "1MiB"\n'
                    f'[[share]]\npath = "{lost}"\n[[share]]\npath = "{kept}"\n'
                )
                seeder = await start.run(config, state="s")
                await start.ls_until(url, lambda names: len(names) == 2)
            if not served:
                harm(lost)
            waiting = await start.get("lost.bin", tmp_path / "out", tracker=url, state="l1")
            if served:
                await waiting.wait_for("piece_verified")
                harm(lost)
            failed = await seeder.wait_for("torrent_failed")
            assert failed["share_name"] in ("lost.bin", str(lost))
            assert str(lost) in failed["reason"]
            assert "\n" not in failed["reason"]
            leecher = await start.get(
                "kept.bin", tmp_path / "out", tracker=url, state="l2", flags=["--no-seed"]
            )
            assert await leecher.wait() == 0
            await start.ls_until(url, lambda names: [each["seeders"] for each in names] == [1, 0])
            assert await waiting.stop() == 1
            assert await seeder.stop() == 1  # it did not do all it was asked for
            assert seeder.stderr == ""
            assert not waiting.of("peer_banned")
    assert digest(tmp_path / "out" / "kept.bin") == digest(kept)


def _touch(path: Path) -> None:
    os.utime(path)


def _change(path: Path) -> None:
    # Not where the leecher begins.
    _flip_a_byte(path, path.stat().st_size - 1)


def _replace_by_a_copy(path: Path) -> None:
    path.with_name("copy").write_bytes(path.read_bytes())
    path.with_name("copy").replace(path)


@pytest.mark.parametrize("harm", [_touch, _replace_by_a_copy, _change])
async def test_a_share_that_is_touched_goes_on_with_what_is_right_of_it(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 12 * MIB)
    is_spoilt = harm is _change
    expected = digest(original)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeder = await start.seed(
                original, tracker=url, state="s", flags=["--upload-limit", "4MiB"]
            )
            leecher = await start.get(
                "x.bin", tmp_path / "out", tracker=url, state="l", flags=["--no-seed"]
            )
            await leecher.wait_for("piece_verified")
            harm(original)
            changed = await seeder.wait_for("files_changed")
            assert changed["files"] == ["x.bin"]
            assert (changed["count"], changed["lost"]) == (1, int(is_spoilt))
            assert changed["have"] == changed["pieces"] - is_spoilt
            if is_spoilt:
                # All the rest comes, and the last piece as soon as somebody has it.
                share = 1 - 1 / changed["pieces"] - 0.001
                await leecher.wait_for_share(share)
                _flip_a_byte(original, original.stat().st_size - 1)
            assert await leecher.wait() == 0
            assert not leecher.of("peer_banned")
            assert not leecher.of("piece_failed")
            assert not seeder.of("torrent_failed")
            assert await seeder.stop() == 0
    assert digest(tmp_path / "out" / "x.bin") == expected


def _cut_and_extend(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 100)
    os.truncate(path, size)


def _overwrite_what_is_there(path: Path) -> None:
    at = _first_data(path)
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(1000))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


HARMS = {"cut": _cut, "cut and extended": _cut_and_extend, "overwritten": _overwrite_what_is_there}
ENDS = ("goes on", "is stopped", "is killed")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """The digest of what comes of each harmed download, and of what they all fetch.

    They run beside each other, and mostly wait: each is so slow that it is harmed before its end.
    """
    folder = tmp_path_factory.mktemp("harmed")
    original = make_big_file(folder / "in" / "x.bin", 4 * MIB)
    made = {("original", ""): digest(original)}

    async def harmed(start: Processes, url: str, what: str, then: str) -> None:
        state = f"{what} {then}".replace(" ", "-")
        out = folder / state
        flags = ["--no-seed", "--download-limit", "1MiB"]
        fetch = partial(start.get, "x.bin", out, tracker=url, state=state, flags=flags)
        leecher = await fetch()
        await leecher.wait_for_share(0.4)
        HARMS[what](out / "x.bin.part")
        if then != "goes on":
            await (leecher.kill() if then == "is killed" else leecher.stop())
            leecher = await fetch()
        code = await leecher.wait()
        assert (code, leecher.of("torrent_failed")) == (0, []), (what, then, leecher.stderr)
        made[what, then] = digest(out / "x.bin")

    async def run_all() -> None:
        with trio.fail_after(100):
            async with processes(folder) as start:
                url = await start.tracker_here()
                await start.seed(original, tracker=url, state="s")
                async with trio.open_nursery() as nursery:
                    for what, then in itertools.product(HARMS, ENDS):
                        nursery.start_soon(harmed, start, url, what, then)

    trio.run(run_all)
    return made


@pytest.mark.parametrize("then", ENDS)
@pytest.mark.parametrize("what", HARMS)
def test_an_unfinished_file_that_others_change_never_comes_out_wrong(
    copies: dict[tuple[str, str], str], what: str, then: str
) -> None:
    assert copies[what, then] == copies["original", ""]


async def _fails(start: Processes, url: str, folder: Path) -> str:
    """Fetch into a folder that will not do; return the one line that says so."""
    leecher: RunningCommand = await start.get(
        "x.bin", folder, tracker=url, state="l", flags=["--no-seed"]
    )
    assert await leecher.wait() == 1
    (line,) = leecher.errors
    assert [event["message"] for event in leecher.of("error")] == [
        line.removeprefix("trio-swarm: ")
    ]
    return line


async def test_a_target_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", MIB)
    (tmp_path / "1" / "x.bin").mkdir(parents=True)
    (tmp_path / "2" / "x.bin.part").mkdir(parents=True)
    (tmp_path / "3").write_text("a file")
    make_big_file(tmp_path / "4" / "x.bin", 1000)
    with in_memory(tmp_path / "5", "ro"), trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await _seeded(start, original)
            assert "1/x.bin: exists and is not a file" in await _fails(start, url, tmp_path / "1")
            assert "2/x.bin.part: exists and is" in await _fails(start, url, tmp_path / "2")
            assert "3: cannot be used as a folder" in await _fails(start, url, tmp_path / "3")
            assert "4/x.bin: exists already" in await _fails(start, url, tmp_path / "4")
            assert "5/x.bin.part: the file system is read-only" in await _fails(
                start, url, tmp_path / "5"
            )
            assert "5/deeper: " in await _fails(start, url, tmp_path / "5" / "deeper")
    assert (tmp_path / "4" / "x.bin").stat().st_size == 1000


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (b"..", None),
        (b"../x.bin", None),
        (b"/etc/x.bin", None),
        (b"..", [[b"x.bin"]]),
        (b"x", [[b"a", b"..", b"..", b"..", b"x.bin"]]),
        (b"x", [[b"../x.bin"]]),
        (b"x", [[b"/etc/x.bin"]]),
    ],
)
def test_a_torrent_that_would_leave_its_folder_is_refused_in_one_line(
    tmp_path: Path,
    name: bytes,
    paths: list[list[bytes]] | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    info: dict[bytes, bencode.Value] = {b"name": name, b"piece length": 16384, b"pieces": bytes(20)}
    if paths is None:
        info[b"length"] = 10
    else:
        info[b"files"] = [{b"length": 10, b"path": [*path]} for path in paths]
    torrent = tmp_path / "evil.torrent"
    torrent.write_bytes(bencode.encode({b"info": info}))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    peer = ["--peer", f"{HOST}:1", "--listen", f"{HOST}:0"]
    for command in (["show"], ["get", "--dir", str(tmp_path / "out"), *peer]):
        assert run([*command, str(torrent)]) == 1
        errors = capsys.readouterr().err
        assert errors.startswith(f"trio-swarm: {torrent}: unsafe file name ")
        assert errors.count("\n") == 1
    assert list((tmp_path / "out").glob("*")) == []
