"""Complete data and state folders that cannot be written to: verified, shared, and said in a line.

Root may write wherever the mode says otherwise, so the folders are mounted read-only.
"""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trio

from mounts import mounted
from swarm_processes import digest, make_big_file, processes

MIB = 1 << 20


def read_only(folder: Path) -> AbstractContextManager[Path]:
    """Have a folder read-only, where mounting is allowed."""
    return mounted(
        folder,
        ["mount", "--bind", str(folder), str(folder)],
        ["mount", "-o", "remount,bind,ro", str(folder)],
    )


@pytest.mark.parametrize("is_state_read_only", [False, True])
async def test_complete_data_on_read_only_media_is_verified_and_served(
    tmp_path: Path, *, is_state_read_only: bool
) -> None:
    media = tmp_path / "media"
    original = make_big_file(media / "x.bin", 4 * MIB)
    make_big_file(media / "album" / "a.bin", MIB)
    state = tmp_path / "ro-state"
    state.mkdir()
    with read_only(media), trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            flags = ["--state-dir", str(state)] if is_state_read_only else []
            with read_only(state):
                seeder = await start.seed(
                    original, media / "album", tracker=url, state="s", flags=flags
                )
                torrent = tmp_path / "x.torrent"
                made = await start.start("create", original, "--out", torrent, *flags, state="c")
                assert await made.wait() == 0
                again = await start.get(
                    str(torrent), media, tracker=url, state="g", flags=[*flags, "--no-seed"]
                )
                assert await again.wait() == 0
                assert again.of("completed")[0]["downloaded"] == 0
                other = await start.get(
                    "album", tmp_path / "out", tracker=url, state="l", flags=[*flags, "--no-seed"]
                )
                assert await other.wait() == 0
                assert await seeder.stop() == 0
                for command in (seeder, again, other):
                    told = command.of("state_not_kept")
                    assert len(told) == int(is_state_read_only)
                    if told:
                        assert str(state) in told[0]["path"]
                        assert told[0]["reason"] == "the file system is read-only"
    assert digest(tmp_path / "out" / "album" / "a.bin") == digest(media / "album" / "a.bin")


async def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", MIB)
    (tmp_path / "file").write_text("not a folder")
    flags = ["--state-dir", str(tmp_path / "file" / "state")]
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeder = await start.seed(original, tracker=url, state="s", flags=flags)
            leecher = await start.get(
                "x.bin", tmp_path / "out", tracker=url, state="l", flags=[*flags, "--no-seed"]
            )
            assert await leecher.wait() == 0
            assert leecher.stderr == ""
            assert await seeder.stop() == 0
            for command in (seeder, leecher):
                (told,) = command.of("state_not_kept")
                assert told["path"].startswith(str(tmp_path / "file"))
    assert digest(tmp_path / "out" / "x.bin") == digest(original)
