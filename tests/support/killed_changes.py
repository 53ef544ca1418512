"""Every change that a node can be killed in, tried at each of its steps.

A program of its own: `killed_changes.py FOLDER [--steps N] [--only WORDS] [--jobs N]`, by `make
kills`. Prints a line of a table for each change: its steps, tries, how many found the old state and
how many the new one, and faults. Exits with 1 if there is a fault. A change whose new state is also
the old one after a restart, such as a pause of a download that then goes on, counts as old.
"""

import argparse
import base64
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from killed_nodes import (
    DATA,
    OTHER_MAGNET,
    PATIENCE,
    Do,
    Killer,
    Node,
    Operation,
    Place,
    Report,
    add,
    all_of,
    delete,
    in_place,
    make_torrents,
    other_disk,
    patch,
    post,
    rpc,
    write_config,
    write_data,
)


def other_config(place: Place, _node: Node) -> None:
    write_config(place, "unlisted")


def begins_in(folder: str, name: str) -> Do:
    """Let fetches begin in a folder, which has all the data of one that is to be added."""

    def do(place: Place, node: Node) -> None:
        where = in_place(place, folder)
        write_data(Path(where), name)
        if DATA[name]:
            (Path(where) / name / "notes").write_text("mine")
        node.ask("PATCH", "/session", {"incomplete_folder": where})

    return do


def come_home(name: str) -> Do:
    """Add what is complete where it begins, and wait until it is seeded from its own folder."""
    return all_of(add(metainfo=f"*{name}"), is_at("down", name))


def begins_empty(folder: str) -> Do:
    """Let fetches begin in a folder."""
    return lambda place, node: node.ask(
        "PATCH", "/session", {"incomplete_folder": in_place(place, folder)}
    )


def is_at(folder: str, name: str) -> Do:
    """Wait until a fetch is seeded from a folder."""

    def reached(place: Place, node: Node) -> bool:
        home = str((place.root / folder / name).resolve())
        listed = node.ask("GET", "/torrents")["torrents"]
        return any((each["path"], each["state"]) == (home, "seeding") for each in listed)

    return waits(reached, f"{name} is never in {folder}")


def goes_home(place: Place, node: Node) -> None:
    """Wait until the album is home, if it is in the list."""
    if any(each["name"] == "album" for each in node.ask("GET", "/torrents")["torrents"]):
        is_at("down", "album")(place, node)


def waits(reached: Callable[[Place, Node], bool], words: str) -> Do:
    """Wait until something is so."""

    def do(place: Place, node: Node) -> None:
        end = time.monotonic() + PATIENCE
        while not reached(place, node):
            assert time.monotonic() < end, f"{words}: {node.ask('GET', '/torrents')}"
            time.sleep(0.01)

    return do


def is_in(*states: str, name: str) -> Do:
    """Wait until a torrent is in one of some states."""

    def reached(_place: Place, node: Node) -> bool:
        listed = node.ask("GET", "/torrents")["torrents"]
        return any(each["name"] == name and each["state"] in states for each in listed)

    return waits(reached, f"{name} is never {states}")


def verified(name: str, state: str, do: Do) -> Do:
    """Hash a torrent, which ends in the state that it began in."""
    pause: Do = lambda _place, _node: time.sleep(0.3)  # noqa: E731 - while it hashes
    return all_of(do, pause, is_in(state, name=name))


def download(**more: Any) -> Do:
    """Add the album, which the helper shares."""

    def do(place: Place, node: Node) -> None:
        add(metainfo="*album", peers=[address(place.helper)], **more)(place, node)

    return do


def download_by_magnet(place: Place, node: Node) -> None:
    assert place.helper is not None
    known = place.helper.ask("GET", "/torrents")["torrents"]
    info_hash = next(each["info_hash"] for each in known if each["name"] == "album")
    link = f"magnet:?xt=urn:btih:{info_hash}&dn=album"
    add(what=link, peers=[address(place.helper)])(place, node)


def address(node: Node | None) -> str:
    assert node is not None
    return f"127.0.0.1:{node.ask('GET', '/session')['port']}"


SLOW = {"download_rate": 30_000}
"""The album takes some ten seconds."""


def begins_slowly(place: Place, node: Node) -> None:
    """Begin to download the album."""

    def has_begun(_place: Place, node: Node) -> bool:
        listed = node.ask("GET", "/torrents")["torrents"]
        return any(each["name"] == "album" and each["have"] > 0 for each in listed)

    download(limits=SLOW)(place, node)
    waits(has_begun, "the album does not begin")(place, node)


def goes_on(place: Place, node: Node) -> None:
    """Let the album come, if it is in the list, and wait until it is complete."""
    for each in node.ask("GET", "/torrents")["torrents"]:
        if each["name"] in {"album", "disc"}:
            node.ask("PATCH", f"/torrents/{each['id']}", {"limits": {"download_rate": None}})
            if each["state"] == "paused":
                node.ask("POST", f"/torrents/{each['id']}/resume")
            comes_or_goes(each["id"])(place, node)


def comes_or_goes(number: int) -> Do:
    """Wait until a torrent is seeded, by whatever name, or is in the list no more.

    What a killed node had begun, to rename or remove it say, may be done after the first look.
    """

    def reached(_place: Place, node: Node) -> bool:
        listed = node.ask("GET", "/torrents")["torrents"]
        return all(each["state"] == "seeding" for each in listed if each["id"] == number)

    return waits(reached, f"torrent {number} is never seeded")


def is_fetched(name: str) -> Do:
    """Let the helper fetch a torrent from the node."""

    def do(place: Place, node: Node) -> None:
        assert place.helper is not None
        place.helper.ask(
            "POST",
            "/torrents",
            {
                "metainfo": base64.b64encode(place.torrents[name]).decode(),
                "peers": [address(node)],
                "limits": {"download_rate": 2000},
            },
        )

        def has_peer(_place: Place, node: Node) -> bool:
            listed = node.ask("GET", "/torrents")["torrents"]
            return any(each["name"] == name and each["peers"] > 0 for each in listed)

        waits(has_peer, f"nobody fetches {name}")(place, node)

    return do


def other_files(*names: str) -> Do:
    """Write files of somebody else."""

    def do(place: Place, _node: Node) -> None:
        for name in names:
            path = Path(in_place(place, name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")

    return do


def is_refused(asked: Do) -> Do:
    """Ask what the node must refuse."""

    def do(place: Place, node: Node) -> None:
        try:
            asked(place, node)
        except AssertionError as error:
            assert ": 4" in str(error), error  # noqa: PT017 - a status
        else:
            raise AssertionError("it was not refused")

    return do


def drops(name: str, content: Callable[[Place], bytes]) -> Do:
    """Drop a file into the watched folder, and wait until it is taken."""

    def do(place: Place, node: Node) -> None:
        new = place.root / "dropping"
        new.write_bytes(content(place))
        new.rename(place.root / "dropped" / name)
        is_taken(place, node)

    return do


def is_taken(place: Place, node: Node) -> None:
    """Wait until no file that was dropped is left."""

    def reached(place: Place, _node: Node) -> bool:
        return all(each.suffix == ".added" for each in (place.root / "dropped").iterdir())

    waits(reached, "what was dropped is not taken")(place, node)


LINKS = b"magnet:?xt=urn:btih:" + b"01" * 20 + b"\nmagnet:?xt=urn:btih:" + b"02" * 20 + b"\n"


def stops(_place: Place, node: Node) -> None:
    node.ask("POST", "/stop")
    end = time.monotonic() + PATIENCE
    while not node.has_ended():
        assert time.monotonic() < end, "it does not stop"
        time.sleep(0.01)


MORE = """
[schedule]
begin = "00:00"
upload = "1MiB"
download = "1MiB"
[[fetch]]
what = "magnet:?xt=urn:btih:0303030303030303030303030303030303030303"
"""


def more_config(place: Place, _node: Node) -> None:
    write_config(place, "unlisted", MORE)


EVERYTHING = {
    "limits": {"upload_rate": 5000, "seed_ratio": 7},
    "labels": ["a", "b"],
    "queue_position": 0,
    "scheduler": {"name": "round-robin", "options": {}},
}
AWAY = {"folder": "@away"}

OPERATIONS: dict[str, Operation] = {
    "add a file": Operation(add(metainfo="*new.bin", labels=["x"])),
    "add a magnet": Operation(add(what=OTHER_MAGNET)),
    "add a share": Operation(add(path="@extra.bin", name="extra")),
    "change limits": Operation(patch("film", limits={"upload_rate": 4000})),
    "change labels": Operation(patch("film", labels=["x"])),
    "change the queue": Operation(patch("half", queue_position=0)),
    "change the scheduler": Operation(patch("half", scheduler=EVERYTHING["scheduler"])),
    "change everything": Operation(patch("half", **EVERYTHING)),
    "pause": Operation(post("film", "pause")),
    "resume": Operation(post("far", "resume")),
    "resume what is done": Operation(post("song.bin", "resume")),
    "verify": Operation(verified("film", "seeding", post("film", "verify")), lasts=False),
    "verify what is paused": Operation(
        verified("film", "paused", post("film", "verify")), post("film", "pause"), lasts=False
    ),
    "verify what is done": Operation(
        verified("song.bin", "done", post("song.bin", "verify")), lasts=False
    ),
    "verify what is unfinished": Operation(
        verified("half", "downloading", post("half", "verify")), lasts=False
    ),
    "move a share": Operation(post("pics", "move", AWAY)),
    "move beside other files": Operation(post("film", "move", AWAY)),
    "move a file": Operation(post("song.bin", "move", AWAY)),
    "move what is unfinished": Operation(post("half", "move", AWAY)),
    "move to another disk": Operation(
        post("film", "move", {"folder": "@@"}), needs_other_disk=True
    ),
    "move a file to another disk": Operation(
        post("song.bin", "move", {"folder": "@@"}), needs_other_disk=True
    ),
    "move without data": Operation(post("far", "move", AWAY | {"move_data": False})),
    "set and move by RPC": Operation(
        rpc(
            "torrent-set",
            "song.bin",
            location="@away",
            labels=["x"],
            uploadLimit=5,
            uploadLimited=True,
        )
    ),
    "rename all": Operation(post("film", "rename", {"name": "movie"})),
    "rename a file in it": Operation(
        post("film", "rename", {"path": "in/two.bin", "name": "three.bin"})
    ),
    "rename a folder by RPC": Operation(
        rpc("torrent-rename-path", "film", path="film/in", name="out")
    ),
    "rename a file": Operation(post("song.bin", "rename", {"name": "tune.bin"})),
    "rename what is unfinished": Operation(post("half", "rename", {"name": "quarter"})),
    "rename what is renamed": Operation(
        post("movie", "rename", {"name": "reel"}), post("film", "rename", {"name": "movie"})
    ),
    "move what is renamed": Operation(
        post("movie", "move", AWAY), post("film", "rename", {"name": "movie"})
    ),
    "remove what is renamed with data": Operation(
        delete("movie", "?delete_data=true"), post("film", "rename", {"name": "movie"})
    ),
    "come home": Operation(come_home("new.bin"), begins_in("@begins", "new.bin"), leaves_data=True),
    "come home beside other files": Operation(
        come_home("tape"), begins_in("@begins", "tape"), leaves_data=True
    ),
    "come home from another disk": Operation(
        come_home("new.bin"), begins_in("@@", "new.bin"), needs_other_disk=True, leaves_data=True
    ),
    "come home from beside other files on another disk": Operation(
        come_home("tape"), begins_in("@@", "tape"), needs_other_disk=True, leaves_data=True
    ),
    "remove": Operation(delete("film"), leaves_data=True),
    "remove with data": Operation(delete("film", "?delete_data=true")),
    "remove a share with data": Operation(delete("pics", "?delete_data=true")),
    "remove unfinished data": Operation(delete("half", "?delete_data=true")),
    "remove a file with data": Operation(delete("song.bin", "?delete_data=true")),
    "remove what the file names": Operation(delete("listed"), leaves_data=True),
    "remove what the file names with data": Operation(delete("listed", "?delete_data=true")),
    "change the node": Operation(
        lambda _place, node: node.ask("PATCH", "/session", {"upload_rate": 100000})
    ),
    "change where fetches begin": Operation(
        lambda place, node: node.ask(
            "PATCH",
            "/session",
            {"incomplete_folder": in_place(place, "@begins"), "upload_rate": 5000},
        )
    ),
    "reload": Operation(
        lambda _place, node: node.ask("POST", "/reload"),
        other_config,
        lasts=False,
        leaves_data=True,
    ),
    "reload more": Operation(
        lambda _place, node: node.ask("POST", "/reload"),
        more_config,
        lasts=False,
        leaves_data=True,
    ),
    "change slots": Operation(
        lambda _place, node: node.ask(
            "PATCH", "/session", {"max_active_downloads": 3, "max_active_seeds": 9}
        )
    ),
    "stop": Operation(stops, lasts=False),
    "reannounce": Operation(post("film", "reannounce"), lasts=False),
    "pause by RPC": Operation(rpc("torrent-stop", "film")),
    "start by RPC": Operation(rpc("torrent-start", "far")),
    "start now by RPC": Operation(rpc("torrent-start-now", "song.bin")),
    "verify by RPC": Operation(
        verified("film", "seeding", rpc("torrent-verify", "film")), lasts=False
    ),
    "reannounce by RPC": Operation(rpc("torrent-reannounce", "film"), lasts=False),
    "add by RPC": Operation(
        rpc(
            "torrent-add",
            metainfo="*new.bin",
            paused=True,
            labels=["x"],
            **{"download-dir": "@away"},
        )
    ),
    "set by RPC": Operation(
        rpc(
            "torrent-set",
            "half",
            labels=["y"],
            downloadLimit=7,
            downloadLimited=True,
            seedRatioLimit=3,
            seedRatioMode=1,
            queuePosition=0,
        )
    ),
    "set nothing new by RPC": Operation(
        rpc("torrent-set", "half", bandwidthPriority=0), lasts=False
    ),
    "remove by RPC": Operation(rpc("torrent-remove", "film"), leaves_data=True),
    "remove with data by RPC": Operation(
        rpc("torrent-remove", "film", **{"delete-local-data": True})
    ),
    "move by RPC": Operation(
        all_of(
            rpc("torrent-set-location", "film", location="@away", move=True), is_at("away", "film")
        )
    ),
    "find elsewhere by RPC": Operation(
        all_of(
            rpc("torrent-set-location", "film", location="@away", move=False),
            is_at("away", "film"),
        ),
        lambda place, _node: write_data(place.root / "away", "film"),
        after=is_in("seeding", name="film"),
        leaves_data=True,
    ),
    "change the node by RPC": Operation(
        rpc(
            "session-set",
            **{
                "speed-limit-up": 9,
                "speed-limit-up-enabled": True,
                "download-queue-size": 4,
                "seedRatioLimited": False,
                "incomplete-dir": "@begins",
                "download-dir": "@away",
                "incomplete-dir-enabled": True,
            },
        )
    ),
    "queue top by RPC": Operation(rpc("queue-move-top", "half")),
    "queue up by RPC": Operation(rpc("queue-move-up", "half")),
    "queue down by RPC": Operation(rpc("queue-move-down", "half")),
    "queue bottom by RPC": Operation(rpc("queue-move-bottom", "half")),
    "close by RPC": Operation(
        all_of(rpc("session-close"), waits(lambda _place, node: node.has_ended(), "it goes on")),
        lasts=False,
    ),
    "take a dropped torrent": Operation(
        drops("new.torrent", lambda place: place.torrents["new.bin"]), after=is_taken
    ),
    "take dropped links": Operation(drops("new.magnet", lambda _place: LINKS), after=is_taken),
    "move beside others' files": Operation(
        post("film", "move", AWAY), other_files("@away/other", "@down/film/other")
    ),
    "move beside others' files on another disk": Operation(
        post("film", "move", {"folder": "@@"}),
        other_files("@@/other", "@down/film/other"),
        needs_other_disk=True,
    ),
    "move onto others' files": Operation(
        is_refused(post("film", "move", AWAY)),
        other_files("@away/film/in/two.bin"),
        lasts=False,
        untold=("error",),
    ),
    "move onto others' files on another disk": Operation(
        is_refused(post("film", "move", {"folder": "@@"})),
        other_files("@@/film/other"),
        lasts=False,
        untold=("error",),
        needs_other_disk=True,
    ),
    "rename to others' file": Operation(
        is_refused(post("song.bin", "rename", {"name": "other"})),
        other_files("@down/other"),
        lasts=False,
        untold=("error",),
    ),
    "move what is seeded to a peer": Operation(
        post("film", "move", AWAY), is_fetched("film"), needs_helper=True
    ),
    "move what is seeded to a peer to another disk": Operation(
        post("film", "move", {"folder": "@@"}),
        is_fetched("film"),
        needs_helper=True,
        needs_other_disk=True,
    ),
    "remove what is seeded to a peer": Operation(
        delete("film", "?delete_data=true"), is_fetched("film"), needs_helper=True
    ),
    "rename what is seeded to a peer": Operation(
        post("film", "rename", {"name": "movie"}), is_fetched("film"), needs_helper=True
    ),
    "download": Operation(
        all_of(download(), is_in("seeding", name="album")), after=goes_on, needs_helper=True
    ),
    "download by magnet": Operation(
        all_of(download_by_magnet, is_in("seeding", name="album")),
        after=goes_on,
        needs_helper=True,
    ),
    "complete beside others' files": Operation(
        goes_on,
        all_of(begins_slowly, other_files("@down/album.part/other")),
        after=goes_on,
        needs_helper=True,
        lasts=False,
    ),
    "download and come home": Operation(
        all_of(download(), is_at("down", "album")),
        begins_empty("@begins"),
        after=goes_home,
        needs_helper=True,
    ),
    "download and come home from another disk": Operation(
        all_of(download(), is_at("down", "album")),
        begins_empty("@@"),
        after=goes_home,
        needs_helper=True,
        needs_other_disk=True,
    ),
    "move what downloads": Operation(
        post("album", "move", AWAY), begins_slowly, after=goes_on, needs_helper=True
    ),
    "move what downloads beside others' files": Operation(
        post("album", "move", AWAY),
        all_of(begins_slowly, other_files("@away/other", "@down/album.part/other")),
        after=goes_on,
        needs_helper=True,
    ),
    "move what downloads to another disk": Operation(
        post("album", "move", {"folder": "@@"}),
        begins_slowly,
        after=goes_on,
        needs_helper=True,
        needs_other_disk=True,
    ),
    "rename what downloads": Operation(
        post("album", "rename", {"name": "disc"}), begins_slowly, after=goes_on, needs_helper=True
    ),
    "rename a file of what downloads": Operation(
        post("album", "rename", {"path": "in/two.bin", "name": "three.bin"}),
        begins_slowly,
        after=goes_on,
        needs_helper=True,
    ),
    "pause what downloads": Operation(
        post("album", "pause"), begins_slowly, after=goes_on, needs_helper=True, lasts=False
    ),
    "verify what downloads": Operation(
        verified("album", "downloading", post("album", "verify")),
        begins_slowly,
        after=goes_on,
        needs_helper=True,
        lasts=False,
    ),
    "change the scheduler of what downloads": Operation(
        patch("album", scheduler=EVERYTHING["scheduler"], labels=["x"]),
        begins_slowly,
        after=goes_on,
        needs_helper=True,
    ),
    "remove what downloads": Operation(
        delete("album"), begins_slowly, after=goes_on, needs_helper=True, leaves_data=True
    ),
    "remove what downloads with data": Operation(
        delete("album", "?delete_data=true"), begins_slowly, after=goes_on, needs_helper=True
    ),
    "stop while it downloads": Operation(
        stops, begins_slowly, after=goes_on, needs_helper=True, lasts=False
    ),
}


# --- the program ---------------------------------------------------------------------------------


def tried(words: str, folder: Path, steps: int) -> Report:
    """Try a change, in a folder of its own."""
    folder.mkdir(parents=True)
    killer = Killer(folder, make_torrents(folder / "torrents"))
    try:
        return killer.run(OPERATIONS[words], steps)
    except AssertionError as error:
        return Report(0, faults=[str(error)])


def asked_for(options: argparse.Namespace) -> list[str]:
    """Return the changes to try."""
    disk = other_disk(options.folder)
    if disk is not None:
        disk.rmdir()
    return [
        words
        for words, operation in OPERATIONS.items()
        if options.only in words
        and options.exactly in {"", words}
        and (disk is not None or not operation.needs_other_disk)
    ]


def row(words: str, report: Report) -> str:
    numbers = (report.steps, report.tries, report.old, report.new, len(report.faults))
    return f"| {words:50} |" + "".join(f" {number:6} |" for number in numbers) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10**6, help="most tries of a change")
    parser.add_argument("--only", default="", help="changes with these words")
    parser.add_argument("--exactly", default="", help="one change")
    parser.add_argument("--jobs", type=int, default=1, help="changes that are tried at once")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    names = asked_for(options)
    heads = "".join(f" {head:6} |" for head in ("steps", "tries", "old", "new", "faults"))
    sys.stdout.write(f"| {'change':50} |{heads}\n|---|--:|--:|--:|--:|--:|\n")
    sys.stdout.flush()
    all_reports = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("fork")) as pool:
        places = [options.folder / f"change-{number}" for number in range(len(names))]
        trying: list[Future[Report]] = [
            pool.submit(tried, words, place, options.steps)
            for words, place in zip(names, places, strict=True)
        ]
        for words, future in zip(names, trying, strict=True):
            report = future.result()
            all_reports.append(report)
            sys.stdout.write(row(words, report) + "".join(f"  {each}\n" for each in report.faults))
            sys.stdout.flush()
    tries = sum(each.tries for each in all_reports)
    faults = sum(len(each.faults) for each in all_reports)
    sys.stdout.write(f"{len(names)} changes, {tries} kills, {faults} faults\n")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
