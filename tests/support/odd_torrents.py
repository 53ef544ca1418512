"""Odd torrents of many kinds: each is a good torrent with one thing that is not as it should be.

`odd_torrents` makes them from good ones of version 1, version 2 and hybrids, of a single file and
of a folder. Their names tell what is odd.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo import merkle

PIECE = 16_384

Torrent = dict[str, Any]
"""A .torrent file before it is encoded; `info` is in it."""


class Raw(bytes):
    """Bencode as it is to stand in the file."""


class Ordered:
    """A dictionary whose keys are written in this order, also twice."""

    def __init__(self, *entries: tuple[Any, Any]) -> None:
        self.entries = entries


def write(value: Any) -> bytes:
    """Return bencode with every fault that `value` holds."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, Ordered):
        return b"d" + b"".join(write(key) + write(each) for key, each in value.entries) + b"e"
    if isinstance(value, dict):
        inner = sorted((_bytes(key), each) for key, each in value.items())
        return b"d" + b"".join(write(key) + write(each) for key, each in inner) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(write, value)) + b"e"
    return bencode.encode(value)


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


# --- good torrents ---


def content_of(length: int, seed: int = 1) -> bytes:
    """Return the bytes of a file."""
    return hashlib.shake_128(b"%d" % seed).digest(length)


def leaf(data: bytes, piece_length: int = PIECE) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """Return what a file tree has for a file, and its piece layer by its root, if it has one."""
    if not data:
        return {"": {"length": 0}}, {}
    layer = b"".join(
        merkle.piece_hash(
            merkle.leaf_hashes(data[start : start + piece_length]),
            piece_length,
            is_whole_file=len(data) < piece_length,
        )
        for start in range(0, len(data), piece_length)
    )
    is_short = len(data) <= piece_length
    root = layer if is_short else merkle.file_root(layer, merkle.height_of(piece_length))
    return {"": {"length": len(data), "pieces root": root}}, {} if is_short else {root: layer}


Files = Mapping[tuple[str | bytes, ...], int]
"""Lengths of the files of a folder, by their paths."""

FILES: Files = {("a",): 2 * PIECE + 5, ("d", "b"): 7, ("d", "c"): PIECE}


def sha1s(data: bytes, piece_length: int = PIECE) -> bytes:
    """Return the hashes of pieces, joined."""
    return b"".join(
        hashlib.sha1(data[start : start + piece_length]).digest()
        for start in range(0, len(data), piece_length)
    )


def v1_single() -> Torrent:
    data = content_of(2 * PIECE + 5)
    return {
        "announce": "udp://t.example:1",
        "info": {"length": len(data), "name": "n", "piece length": PIECE, "pieces": sha1s(data)},
    }


def v1_folder(files: Files = FILES) -> Torrent:
    data = b"".join(content_of(length) for length in files.values())
    listed = [{"length": length, "path": list(path)} for path, length in files.items()]
    return {"info": {"files": listed, "name": "n", "piece length": PIECE, "pieces": sha1s(data)}}


def v2_single() -> Torrent:
    entry, layers = leaf(content_of(2 * PIECE + 5))
    info = {"file tree": {"n": entry}, "meta version": 2, "name": "n", "piece length": PIECE}
    return {"info": info, "piece layers": layers}


def v2_folder(files: Files = FILES) -> Torrent:
    tree: dict[Any, Any] = {}
    layers: dict[bytes, bytes] = {}
    for path, length in files.items():
        folder = tree
        for part in path[:-1]:
            folder = folder.setdefault(part, {})
        folder[path[-1]], more = leaf(content_of(length))
        layers |= more
    info = {"file tree": tree, "meta version": 2, "name": "n", "piece length": PIECE}
    return {"info": info, "piece layers": layers}


def hybrid_single() -> Torrent:
    torrent = v2_single()
    torrent["info"] |= {key: v1_single()["info"][key] for key in ("length", "pieces")}
    return torrent


def hybrid_folder(files: Files = FILES) -> Torrent:
    torrent = v2_folder(files)
    listed, data = [], b""
    ordered = sorted(files.items(), key=lambda file: [*map(_bytes, file[0])])
    for number, (path, length) in enumerate(ordered, 1):
        listed.append({"length": length, "path": list(path)})
        data += content_of(length)
        gap = -length % PIECE
        if gap and number < len(files):
            listed.append({"attr": "p", "length": gap, "path": [".pad", str(gap)]})
            data += bytes(gap)
    torrent["info"] |= {"files": listed, "pieces": sha1s(data)}
    return torrent


FOLDERS: dict[str, Callable[[Files], Torrent]] = {
    "v1 folder": v1_folder,
    "v2 folder": v2_folder,
    "hybrid folder": hybrid_folder,
}

GOOD: dict[str, Callable[[], Torrent]] = {
    "v1 file": v1_single,
    "v1 folder": v1_folder,
    "v2 file": v2_single,
    "v2 folder": v2_folder,
    "hybrid file": hybrid_single,
    "hybrid folder": hybrid_folder,
}


# --- what is odd ---

WRONG: dict[str, Any] = {
    "a number": 7,
    "0": 0,
    "-1": -1,
    "2^63-1": 2**63 - 1,
    "a text": "x",
    "an empty text": "",
    "an empty list": [],
    "a list": ["x"],
    "an empty dictionary": {},
}
"""Values that most keys must not have."""

NAMES: dict[str, bytes] = {
    "empty": b"",
    "a dot": b".",
    "two dots": b"..",
    "three dots": b"...",
    "absolute": b"/x",
    "a slash": b"x/y",
    "a slash at the end": b"x/",
    "out and in": b"x/../y",
    "out": b"../x",
    "a backslash": b"x\\y",
    "a NUL": b"x\0y",
    "a newline": b"x\ny",
    "an escape": b"x\x1b[31my",
    "not UTF-8": b"x\xffy",
    "half a character": b"x\xe2\x82",
    "Latin-1": b"caf\xe9",
    "a surrogate": b"x\xed\xa0\x80",
    "an overlong slash": b"x\xc0\xafy",
    "right to left": "x\u202ey".encode(),
    "a drive": b"C:",
    "of Windows": b"aux.txt",
    "a dot at the end": b"x.",
    "a space at the end": b"x ",
    "a tilde": b"~",
    "255 bytes": b"x" * 255,
    "256 bytes": b"x" * 256,
    "1,000 bytes": b"x" * 1000,
    "two forms of one character": "e\u0301".encode(),
}

PIECE_LENGTHS = [0, -1, 1, 1000, 8192, 16_383, 16_385, 3 * PIECE, 2**20, 2**29, 2**30, 2**31, 2**62]

LENGTHS = [-1, 0, 1, 2**31, 2**40, 2**48, 2**62, 2**63 - 1]


def odd_torrents() -> Iterator[tuple[str, bytes]]:
    """Yield the name of each odd torrent, and its bytes."""
    for base, make in GOOD.items():
        kinds = [_odd_keys, _odd_numbers, _odd_orders, _odd_names]
        if not base.startswith("v2"):
            kinds.append(_odd_v1)
        if not base.startswith("v1"):
            kinds += [_odd_v2, _odd_trees, _odd_links_of_v2, _odd_layers]
        if base.startswith("hybrid"):
            kinds.append(_odd_halves)
        yield f"{base}: good", write(make())
        yield f"{base}: keys backwards", write(Ordered(*sorted(make().items(), reverse=True)))
        for kind in kinds:
            for what, torrent in kind(make):
                yield f"{base}: {what}", write(torrent)
        if base in FOLDERS:
            for what, torrent in _odd_paths(FOLDERS[base]):
                yield f"{base}: {what}", write(torrent)


def _odd_keys(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    """Keys that are missing, of another type, or more than there should be."""
    for key in make():
        torrent = make()
        del torrent[key]
        yield f"no {key}", torrent
        for what, value in WRONG.items():
            torrent = make()
            torrent[key] = value
            yield f"{key} is {what}", torrent
    for key in make()["info"]:
        torrent = make()
        del torrent["info"][key]
        yield f"no {key} in info", torrent
        for what, value in WRONG.items():
            torrent = make()
            torrent["info"][key] = value
            yield f"{key} of info is {what}", torrent
    for key, value in {
        "x": "y",
        "private": 1,
        "source": "s",
        "attr": "x",
        "symlink path": ["x"],
        "md5sum": "x",
        "meta version": 1,
        "file tree": {},
        "files": [],
        "pieces": b"",
        "length": 5,
        "root hash": b"r" * 20,
        "similar": [b"s" * 20],
        "collections": ["c"],
        "ssl-cert": "c",
        "": "empty",
    }.items():
        torrent = make()
        if key not in torrent["info"]:
            torrent["info"][key] = value
            yield f"{key or 'an empty key'} in info as well", torrent
    for what, value in WRONG.items():
        torrent = make()
        if "file tree" not in torrent["info"]:
            torrent["info"]["file tree"] = value
            yield f"a file tree more that is {what}", torrent
    for attr in ("p", "l", "h", "xh", "pl", "", "?"):
        torrent = make()
        torrent["info"]["attr"] = attr
        yield f"attr {attr!r} in info", torrent
    for version in (0, 1, 2, 3, 2**40, "2"):
        torrent = make()
        torrent["info"]["meta version"] = version
        yield f"meta version {version!r}", torrent


def _odd_numbers(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    for length in PIECE_LENGTHS:
        torrent = make()
        torrent["info"]["piece length"] = length
        yield f"pieces of {length}", torrent
    if "pieces" in make()["info"]:
        for what, change in {
            "one hash more": lambda pieces: pieces + b"h" * 20,
            "one hash less": lambda pieces: pieces[:-20],
            "a byte more": lambda pieces: pieces + b"h",
            "a byte less": lambda pieces: pieces[:-1],
        }.items():
            torrent = make()
            torrent["info"]["pieces"] = change(torrent["info"]["pieces"])
            yield what, torrent


def _odd_orders(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    torrent = make()
    torrent["info"] = Ordered(*sorted(torrent["info"].items(), reverse=True))
    yield "keys of info backwards", torrent
    for what, number in {
        "zeros before a number": b"i007e",
        "minus zero": b"i-0e",
        "zeros before the length of a text": b"001:x",
    }.items():
        torrent = make()
        torrent["info"]["x"] = Raw(number)
        yield f"{what} in info", torrent
        torrent = make()
        torrent["x"] = Raw(number)
        yield f"{what} outside info", torrent
    torrent = make()
    torrent["info"]["x"] = [Ordered(("b", 1), ("a", 2))]
    yield "keys out of order deep in info", torrent
    for key in ("name", "piece length", "x"):
        torrent = make()
        value = torrent["info"].get(key, "y")
        entries = sorted({**torrent["info"], key: value}.items())
        torrent["info"] = Ordered(
            *(each for entry in entries for each in _twice(entry, key, value))
        )
        yield f"{key} of info twice, the same", torrent
        torrent = make()
        other = "z" if isinstance(value, str) else 2 * PIECE
        torrent["info"] = Ordered(
            *(each for entry in entries for each in _twice(entry, key, other))
        )
        yield f"{key} of info twice, with two values", torrent


def _twice(entry: tuple[Any, Any], key: str, again: Any) -> list[tuple[Any, Any]]:
    return [entry, (key, again)] if entry[0] == key else [entry]


def _odd_v1(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    """Files of version 1 that are odd."""
    if "files" not in make()["info"]:
        for length in LENGTHS:
            torrent = make()
            torrent["info"]["length"] = length
            yield f"length {length}", torrent
        return
    for key in ("length", "path"):
        torrent = make()
        del torrent["info"]["files"][0][key]
        yield f"a file without {key}", torrent
        for what, value in WRONG.items():
            torrent = make()
            torrent["info"]["files"][0][key] = value
            yield f"{key} of a file is {what}", torrent
    for what, value in WRONG.items():
        torrent = make()
        torrent["info"]["files"][1] = value
        yield f"a file is {what}", torrent
    for length in LENGTHS:
        torrent = make()
        torrent["info"]["files"][1]["length"] = length
        yield f"length of a file {length}", torrent
    torrent = make()
    torrent["info"]["files"].insert(1, {"length": 0, "path": ["aa"]})
    yield "an empty file more in version 1", torrent
    torrent = make()
    torrent["info"]["files"].reverse()
    yield "files backwards", torrent
    for what, path in {
        "the same path twice": ["a"],
        "a path in another case": ["A"],
        "a file where a folder is": ["d"],
        "a folder where a file is": ["a", "b"],
        "a number in a path": ["x", 5],
        "a list in a path": ["x", []],
        "no path at all": [],
        "101 folders": ["x"] * 101,
        "99 folders": ["x"] * 100,
    }.items():
        torrent = make()
        torrent["info"]["files"][-1]["path"] = path
        yield what, torrent
    for attr in ("p", "x", "h", "l", "pl", "", 5, ["p"]):
        torrent = make()
        torrent["info"]["files"][0]["attr"] = attr
        yield f"attr of a file {attr!r}", torrent
    for what, target in {
        "to a file": ["a"],
        "to nothing": ["nowhere"],
        "to a folder": ["d"],
        "to itself": ["link"],
        "out of the folder": ["..", "..", "x"],
        "to an absolute path": ["/x"],
        "with an empty target": [],
        "without a target": None,
        "with a text for a target": "a",
    }.items():
        link: dict[str, Any] = {"attr": "l", "length": 0, "path": ["link"]}
        if target is not None:
            link["symlink path"] = target
        torrent = make()
        torrent["info"]["files"].append(link)
        yield f"a link of version 1 {what}", torrent
    torrent = make()
    torrent["info"]["files"].append({"attr": "l", "path": ["link"], "symlink path": ["a"]})
    yield "a link of version 1 without a length", torrent


def _tree(torrent: Torrent) -> dict[str, Any]:
    tree: dict[str, Any] = torrent["info"]["file tree"]
    return tree


def _first(torrent: Torrent) -> dict[str, Any]:
    tree = _tree(torrent)
    entry: dict[str, Any] = next(iter(tree.values()))
    return entry


def _odd_v2(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    """File trees and piece layers that are odd."""
    for key in ("length", "pieces root"):
        torrent = make()
        del _first(torrent)[""][key]
        yield f"no {key} in the tree", torrent
        for what, value in WRONG.items():
            torrent = make()
            _first(torrent)[""][key] = value
            yield f"{key} in the tree is {what}", torrent
    for what, value in WRONG.items():
        torrent = make()
        _first(torrent)[""] = value
        yield f"a file of the tree is {what}", torrent
        torrent = make()
        _tree(torrent)["z"] = value
        yield f"an entry more of the tree is {what}", torrent
    for length in LENGTHS:
        torrent = make()
        _first(torrent)[""]["length"] = length
        yield f"length in the tree {length}", torrent
    for size in (0, 20, 31, 33, 64):
        torrent = make()
        _first(torrent)[""]["pieces root"] = b"r" * size
        yield f"a root of {size} bytes", torrent
    torrent = make()
    _first(torrent)[""]["pieces root"] = bytes(32)
    yield "a root of zeros", torrent


def _odd_trees(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    torrent = make()
    _tree(torrent)["z"] = {"": {"length": 0}}
    yield "an empty file more in the tree", torrent
    torrent = make()
    _tree(torrent)["z"] = {"": {"length": 0, "pieces root": b"r" * 32}}
    yield "an empty file with a root in the tree", torrent
    torrent = make()
    _first(torrent)["x"] = {"": {"length": 0}}
    yield "a file that is a folder, too", torrent
    torrent = make()
    _tree(torrent)[""] = {"length": 0}
    yield "a tree that is a file itself", torrent
    torrent = make()
    torrent["info"]["file tree"] = Ordered(
        ("zz", {"": {"length": 0}}), *sorted(_tree(torrent).items())
    )
    yield "an unsorted tree", torrent
    torrent = make()
    entries = sorted(_tree(torrent).items())
    torrent["info"]["file tree"] = Ordered(*entries, entries[-1])
    yield "a name twice in the tree", torrent
    torrent = make()
    torrent["info"]["file tree"] = Ordered(*entries, (entries[-1][0], leaf(b"other")[0]))
    yield "a name twice in the tree, with two files", torrent
    torrent = make()
    _tree(torrent)[entries[0][0].upper()] = {"": {"length": 0}}
    yield "a name in another case in the tree", torrent
    torrent = make()
    tree: dict[Any, Any] = {"": {"length": 0}}
    for _ in range(96):
        tree = {"x": tree}
    _tree(torrent)["z"] = tree
    yield "a tree 96 folders deep", torrent
    for attr in ("p", "x", "h", "l", "pl", "", 5):
        torrent = make()
        _first(torrent)[""]["attr"] = attr
        yield f"attr {attr!r} in the tree", torrent


def _odd_links_of_v2(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    name = next(iter(_tree(make())))
    for what, target in {
        "to a file": [name],
        "to nothing": ["nowhere"],
        "out of the folder": ["..", "..", "x"],
        "with an empty target": [],
        "without a target": None,
        "with a text for a target": name,
    }.items():
        link: dict[str, Any] = {"attr": "l", "length": 0}
        if target is not None:
            link["symlink path"] = target
        torrent = make()
        _tree(torrent)["zlink"] = {"": link}
        yield f"a link of version 2 {what}", torrent


def _odd_layers(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    ((root, layer),) = make()["piece layers"].items()
    for what, layers in {
        "no layer at all": {},
        "a layer too short": {root: layer[:-32]},
        "a layer too long": {root: layer + bytes(32)},
        "a layer a byte too long": {root: layer + b"x"},
        "an empty layer": {root: b""},
        "a wrong layer": {root: bytes(len(layer))},
        "a layer that is a number": {root: 5},
        "a layer of no file": {root: layer, b"r" * 32: layer},
        "a layer with a short root": {root: layer, b"r" * 5: layer},
        "a layer of another file alone": {b"r" * 32: layer},
    }.items():
        torrent = make()
        torrent["piece layers"] = layers
        yield what, torrent
    torrent = make()
    entry, _ = leaf(content_of(9, 3))
    _tree(torrent)["z"] = entry
    if "files" not in torrent["info"] and "length" not in torrent["info"]:
        torrent["piece layers"] = {root: layer, entry[""]["pieces root"]: content_of(32)}
        yield "a layer of a file of one piece", torrent


def _odd_halves(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    """Hybrids whose halves differ."""
    torrent = make()
    _tree(torrent)["z"] = leaf(content_of(5))[0]
    yield "a file more in version 2", torrent
    torrent = make()
    name = next(iter(_tree(torrent)))
    _tree(torrent)["y"] = _tree(torrent).pop(name)
    yield "another name in version 2", torrent
    torrent = make()
    _first(torrent)[""] = leaf(content_of(2 * PIECE + 6))[0][""]
    torrent["piece layers"] = leaf(content_of(2 * PIECE + 6))[1]
    yield "another length in version 2", torrent
    torrent = make()
    _first(torrent)[""] = leaf(content_of(2 * PIECE + 5, 9))[0][""]
    torrent["piece layers"] = leaf(content_of(2 * PIECE + 5, 9))[1]
    yield "other content in version 2", torrent
    if "files" not in torrent["info"]:
        return
    files = hybrid_folder()["info"]["files"]
    for what, listed in {
        "no padding": [each for each in files if each.get("attr") != "p"],
        "padding too short": _changed(files, 1, length=files[1]["length"] - 1),
        "padding too long": _changed(files, 1, length=files[1]["length"] + 1),
        "padding a piece too long": _changed(files, 1, length=files[1]["length"] + PIECE),
        "padding behind the last file": [*files, {"attr": "p", "length": 5, "path": [".pad", "5"]}],
        "padding before the first file": [
            {"attr": "p", "length": PIECE, "path": [".pad", "x"]},
            *files,
        ],
        "empty padding": [{"attr": "p", "length": 0, "path": [".pad", "0"]}, *files],
        "padding that is a file": _changed(files, 1, attr="x"),
        "padding with another name": _changed(files, 1, path=["other"]),
        "padding with a number in its path": _changed(files, 1, path=[".pad", 5]),
        "a file more in version 1": [*files, {"length": 5, "path": ["z"]}],
        "a file less in version 1": files[:-1],
        "another path in version 1": _changed(files, 0, path=["y"]),
        "another case in version 1": _changed(files, 0, path=["A"]),
    }.items():
        torrent = make()
        torrent["info"]["files"] = listed
        total = sum(each["length"] for each in listed)
        torrent["info"]["pieces"] = b"h" * 20 * -(-total // PIECE)
        yield what, torrent

    torrent = make()
    link = {"attr": "l", "length": 0, "path": ["zlink"], "symlink path": ["a"]}
    torrent["info"]["files"].append(link)
    _tree(torrent)["zlink"] = {"": {"attr": "l", "length": 0, "symlink path": ["a"]}}
    yield "a link in both versions", torrent


def _changed(files: list[dict[str, Any]], at: int, **changes: Any) -> list[dict[str, Any]]:
    changed = copy.deepcopy(files)
    changed[at] |= changes
    return changed


def _odd_names(make: Callable[[], Torrent]) -> Iterator[tuple[str, Torrent]]:
    for what, name in NAMES.items():
        torrent = make()
        info = torrent["info"]
        info["name"] = name
        if "file tree" in info and "n" in info["file tree"]:
            info["file tree"] = {name: info["file tree"]["n"]}
        yield f"a name that is {what}", torrent


def _odd_paths(make: Callable[[Files], Torrent]) -> Iterator[tuple[str, Torrent]]:
    for what, name in NAMES.items():
        yield f"a path that is {what}", make({(name,): 2 * PIECE + 5, ("d", "b"): 7})
        yield f"a folder that is {what}", make({("a",): 2 * PIECE + 5, (name, "b"): 7})
    yield "a folder of one file", make({("a",): 2 * PIECE + 5})
    yield "a folder of one file of its name", make({("n",): 2 * PIECE + 5})
    yield "a folder of one file in a folder", make({("d", "a"): 2 * PIECE + 5})
    yield "paths in two cases", make({("A",): 2 * PIECE + 5, ("a",): 7})
    yield "folders in two cases", make({("D", "a"): 2 * PIECE + 5, ("d", "a"): 7})
