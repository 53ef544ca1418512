"""What a real tracker says, and that it is understood."""

from pathlib import Path

import pytest
import trio

from foreign_clients import TRACKER_PORT, events, opentracker, trio_swarm
from foreign_network import Network
from foreign_programs import last_output
from trio_swarm.metainfo_files import create_torrent

INFO_HASH = bytes(range(20))


@pytest.mark.foreign("opentracker")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("udp://{}", "refused, without saying why"),
        ("http://{}/announce", "Requested download is not authorized"),
    ],
)
async def test_opentrackers_refusal_is_one_and_is_not_asked_again_soon(
    network: Network, tmp_path: Path, url: str, words: str
) -> None:
    """0.0~git20210823: an info-hash that is not on its list is answered by 8 bytes over UDP."""
    try:
        with trio.fail_after(60):
            async with opentracker(network, tmp_path / "tracker") as tracker:
                place = f"{tracker.program.address}:{TRACKER_PORT}"
                fetching = ("get", INFO_HASH.hex(), "--tracker", url.format(place))
                async with trio_swarm(
                    network, tmp_path, *fetching, "--dir", tmp_path / "out"
                ) as leecher:
                    await leecher.until(lambda: bool(events(leecher, "tracker_failed")))
                    (failed,) = events(leecher, "tracker_failed")
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    assert words in str(failed["reason"])
    assert failed["retry_in"] == 120


@pytest.mark.foreign("opentracker")
async def test_opentracker_is_scraped_and_announced_to_over_http(
    network: Network, tmp_path: Path
) -> None:
    share = tmp_path / "share.bin"
    share.write_bytes(bytes(100_000))
    try:
        with trio.fail_after(60):
            async with opentracker(network, tmp_path / "tracker") as tracker:
                place = f"{tracker.program.address}:{TRACKER_PORT}"
                url = f"http://{place}/announce"
                metainfo = create_torrent(share, trackers=[url], state_folder=tmp_path)
                (tmp_path / "x.torrent").write_bytes(metainfo.to_bytes())
                info_hash = metainfo.info.info_hash
                tracker.admit(info_hash)
                fetching = ("get", tmp_path / "x.torrent", "--dir", tmp_path)
                async with trio_swarm(network, tmp_path / "b", *fetching) as seeder:
                    await tracker.until_seeded(seeder, info_hash)
                    await seeder.until(lambda: bool(events(seeder, "announced")))
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    assert not events(seeder, "tracker_failed")
