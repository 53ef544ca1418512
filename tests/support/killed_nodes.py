"""Nodes that are killed in the middle of a change, started again, and looked at.

The machinery; `killed_changes` has the changes, and is the program. Everything is imported once,
and a node is forked for each try. What a try does is asked of the node by HTTP over its Unix
socket. At one of its steps, a system call that changes something on the disk, the node kills itself
as `kill -9` does. Started again, it must have the state from before the change or the state after
it: list, data, and what is kept in the state folder. Then everything is removed with its data,
which must leave what it leaves without a kill, and no data of a torrent.
"""

import base64
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trio_swarm.cli.app import make_app
from trio_swarm.control import app as _app  # noqa: F401 - imported once, before the forks
from trio_swarm.control import connections as _connections  # noqa: F401 - the same
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.service.entries import entries as _entries  # noqa: F401 - the same

API = "/api/v1"
PATIENCE = 30.0
"""Seconds until a node that does not become what it should be has failed."""

CONFIG = """
[node]
listen = "127.0.0.1:0"
state_folder = "state"
download_folder = "down"
[control]
folders = ["down", "away", "begins", {others}]
[[watch]]
folder = "dropped"
[tracker]
listen = "127.0.0.1:0"
[[share]]
path = "{shared}"
{more}"""

OF_HELPER = """
[node]
listen = "127.0.0.1:0"
state_folder = "state"
download_folder = "down"
[[share]]
path = "album"
"""

FAR = "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=far"
OTHER_MAGNET = "magnet:?xt=urn:btih:" + "cd" * 20 + "&dn=other"


# --- a node that kills itself --------------------------------------------------------------------

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = frozenset(
    ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "os.utime")
)
CALLS = ("fsync", "write", "pwrite", "sendfile", "ftruncate")
tell = os.write


class Steps:
    """Counts what changes the disk, once it is armed, and kills the process at one of them."""

    def __init__(self, root: Path, kill_at: int, told: int) -> None:
        self._root = os.fspath(root)
        self._kill_at = kill_at
        self._told = told
        self._count = 0
        self._is_armed = False
        self._lock = threading.Lock()
        sys.addaudithook(self._audit)
        for name in CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "_is_armed", True))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_armed:
            return
        if event == "open":
            path, mode, flags = arguments
            is_writing = bool((flags or 0) & WRITING) or (mode or "r")[:1] in "wxa+"
            if is_writing:
                self._step(f"open {path}", path)
        elif event in EVENTS:
            self._step(f"{event} {arguments[0]}", arguments[0])

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self._is_armed:
                self._step(name, None)
            return call(*arguments, **options)

        return counted

    def _step(self, what: str, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            text = os.fsdecode(path)
            if text.startswith("/") and not text.startswith((self._root, "/dev/shm/")):
                return
        with self._lock:
            self._count += 1
            tell(self._told, f"{self._count} {what}\n".encode(errors="replace"))
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


class Node:
    """A forked `trio-swarm run`."""

    def __init__(self, root: Path, kill_at: int = 0) -> None:
        self.root = root
        self.socket = root / "state" / "control.sock"
        self._steps, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(kill_at, told)
        os.close(told)
        self._is_gone = False

    def _become(self, kill_at: int, told: int) -> None:
        try:
            log = os.open(self.root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(self.root)
            Steps(self.root, kill_at, told)
            sys.argv = ["trio-swarm", "run", "peer.toml", "--json"]
            make_app()(["run", "peer.toml", "--json"])
        finally:
            os._exit(3)

    def arm(self) -> None:
        """Count from now on."""
        os.kill(self.pid, signal.SIGUSR1)
        with contextlib.suppress(http.client.HTTPException, OSError):
            self.ask("GET", "/openapi.json")  # by then it has heard

    def kill(self) -> list[str]:
        """Kill it, if it lives; return its steps."""
        if not self._is_gone:
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> list[str]:
        """Wait until it has ended; return its steps."""
        if not self._is_gone:
            os.waitpid(self.pid, 0)
            self._is_gone = True
            told = b""
            while part := os.read(self._steps, 65536):
                told += part
            os.close(self._steps)
            self._said = told.decode().splitlines()
        return self._said

    def has_ended(self) -> bool:
        return (
            self._is_gone
            or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        )

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask; return what JSON answers, or raise OSError or HTTPException if it is gone."""
        connection = http.client.HTTPConnection("node", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        with contextlib.closing(connection):
            connection.sock.connect(os.fspath(self.socket))
            data = None if body is None else json.dumps(body).encode()
            named = {"content-type": "application/json"} | headers
            prefix = "" if path.startswith("/transmission") else API
            connection.request(method, prefix + path, data, named)
            answer = connection.getresponse()
            content = answer.read()
            self.last_headers = dict(answer.getheaders())
            if answer.status >= 400 and not path.startswith("/transmission"):
                raise AssertionError(f"{method} {path}: {answer.status} {content[:500]!r}")
            return json.loads(content) if content else None

    def until_open(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask("GET", "/session")
                return
            if self.has_ended():
                break
            time.sleep(0.005)
        raise AssertionError(f"no node: {(self.root / 'log').read_text()[-2000:]}")


# --- what it holds, and what is asked of it ------------------------------------------------------


@dataclass
class Place:
    """The folder of one try."""

    root: Path
    other_disk: Path | None
    torrents: dict[str, bytes]
    helper: Node | None = None
    """A node that is not killed, and shares the album."""

    def by_name(self, node: Node, name: str) -> str:
        return str(
            next(t["id"] for t in node.ask("GET", "/torrents")["torrents"] if t["name"] == name)
        )


Do = Callable[[Place, Node], Any]


@dataclass
class Operation:
    """A change: what comes before it, and what is asked."""

    do: Do
    before: Do = lambda _place, _node: None
    needs_other_disk: bool = False
    lasts: bool = True
    """Whether a restart shows it at all."""
    after: Do = lambda _place, _node: None
    """What is done after the restart, such as to wait until a download is complete."""
    needs_helper: bool = False
    untold: tuple[str, ...] = ()
    """Fields of torrents that may be neither, such as the error of what was tried once more."""
    leaves_data: bool = False
    """Whether data of a torrent that is not in the list then stays, in the old state or the new."""


def post(name: str, action: str, body: Any = None) -> Do:
    return lambda place, node: node.ask(
        "POST", f"/torrents/{place.by_name(node, name)}/{action}", in_place(place, body)
    )


def patch(name: str, **body: Any) -> Do:
    return lambda place, node: node.ask("PATCH", f"/torrents/{place.by_name(node, name)}", body)


def delete(name: str, query: str = "") -> Do:
    return lambda place, node: node.ask("DELETE", f"/torrents/{place.by_name(node, name)}{query}")


def add(**body: Any) -> Do:
    return lambda place, node: node.ask("POST", "/torrents", in_place(place, body))


def rpc(method: str, *torrents: str, **arguments: Any) -> Do:
    """Call a method of Transmission's RPC for torrents of these names, or for none."""

    def do(place: Place, node: Node) -> Any:
        named = {"ids": [int(place.by_name(node, each)) for each in torrents]} if torrents else {}
        body = {"method": method, "arguments": named | in_place(place, arguments)}
        with contextlib.suppress(ValueError):
            node.ask("POST", "/transmission/rpc", body)
        session = {"X-Transmission-Session-Id": node.last_headers["x-transmission-session-id"]}
        answer = node.ask("POST", "/transmission/rpc", body, **session)
        assert answer["result"] == "success", answer

    return do


def in_place(place: Place, body: Any) -> Any:
    """Return a body with `@path` as a path of the try, and `*name` as a .torrent."""
    if isinstance(body, dict):
        return {key: in_place(place, each) for key, each in body.items()}
    if isinstance(body, str) and body.startswith("@@"):
        return f"{place.other_disk}{body[2:]}"
    if isinstance(body, str) and body.startswith("@"):
        return str(place.root / body[1:])
    if isinstance(body, str) and body.startswith("*"):
        return base64.b64encode(place.torrents[body[1:]]).decode()
    return body


def all_of(*steps: Do) -> Do:
    def do(place: Place, node: Node) -> None:
        for step in steps:
            step(place, node)

    return do


def write_config(place: Place, shared: str, more: str = "") -> None:
    others = "" if place.other_disk is None else json.dumps(str(place.other_disk))
    text = CONFIG.format(shared=shared, others=others, more=more)
    (place.root / "peer.toml").write_text(text)


DATA = {
    "listed": ("a.bin", "b.bin"),
    "unlisted": ("a.bin",),
    "pics": ("x.bin", "deep/y.bin"),
    "film": ("one.bin", "in/two.bin"),
    "half": ("one.bin", "two.bin"),
    "song.bin": (),
    "extra.bin": (),
    "new.bin": (),
    "tape": ("one.bin", "deep/two.bin"),
    "album": ("one.bin", "in/two.bin", "three.bin"),
}
SIZES = {"album": 150_000}
"""Bytes of a file, if they are not 40,000."""


def data_of(name: str, file: str) -> bytes:
    size = SIZES.get(name, 40_000)
    return random.Random(f"{name}/{file}").randbytes(size)


def write_data(folder: Path, name: str) -> Path:
    path = folder / name
    if not DATA[name]:
        path.write_bytes(data_of(name, ""))
    for file in DATA[name]:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(data_of(name, file))
    return path


def make_torrents(folder: Path) -> dict[str, bytes]:
    """Return .torrent files of what is fetched."""
    names = ("film", "half", "song.bin", "new.bin", "tape", "album")
    return {
        name: create_torrent(
            write_data(folder, name), piece_length=16384, state_folder=folder / "state"
        ).to_bytes()
        for name in names
    }


def prepare(place: Place) -> None:
    """Lay out the data, before the node is started for the first time."""
    root = place.root
    for name in ("down", "away", "begins", "dropped"):
        (root / name).mkdir(parents=True)
    write_config(place, "listed")
    for name in ("listed", "unlisted", "pics", "extra.bin"):
        write_data(root, name)
    for name in ("listed", "pics"):
        (root / name / "link").symlink_to("/nowhere")  # no file of the torrent
    for name in ("film", "half", "song.bin"):
        write_data(root / "down", name)
    (root / "down" / "film" / "notes").write_text("mine")
    with (root / "down" / "half" / "two.bin").open("r+b") as file:
        file.write(b"damaged!")


def set_up(place: Place, node: Node) -> None:
    """Give a new node its torrents."""
    for name in ("film", "half", "song.bin"):
        add(metainfo=f"*{name}")(place, node)
    add(path="@pics", name="pics")(place, node)
    add(what=FAR, paused=True)(place, node)
    until(
        node, {"film": "seeding", "half": "downloading", "song.bin": "seeding", "pics": "seeding"}
    )
    patch("song.bin", limits={"seed_ratio": 0})(place, node)
    until(node, {"song.bin": "done", "listed": "seeding"})
    end = time.monotonic() + PATIENCE
    while b'"is_done":true' not in (place.root / "state/entries/totals.json").read_bytes():
        assert time.monotonic() < end, "the totals are not written"
        time.sleep(0.01)


def until(node: Node, states: dict[str, str]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        found = {t["name"]: t["state"] for t in node.ask("GET", "/torrents")["torrents"]}
        if {name: found.get(name) for name in states} == states:
            return
        assert time.monotonic() < end, f"{found} instead of {states}"
        time.sleep(0.01)


TOPS = ("down", "away", "begins", "dropped", "pics", "listed", "extra.bin")
TOLD = (
    *("name", "info_hash", "kind", "origin", "state", "labels", "limits", "queue_position"),
    *("folder", "have", "size", "scheduler", "error"),
)


def snapshot(place: Place, node: Node) -> dict[str, Any]:
    """Return all that must be the old or the new."""
    listed, session = node.ask("GET", "/torrents")["torrents"], node.ask("GET", "/session")
    kept = [each.name for each in (place.root / "state" / "entries").iterdir()]
    found: dict[str, Any] = {
        "torrents": sorted(({name: each[name] for name in TOLD} for each in listed), key=repr),
        "limits": sorted(session["limits"].items()),
        "folders": [session["incomplete_folder"], session["download_folder"]],
        "kept": sorted(each for each in kept if each not in {"totals.json", "lock"}),
    }
    for top in _tops(place):
        found[str(top)] = sorted(_contents(top))
    return _without_paths(place, found)


def _tops(place: Place) -> list[Path]:
    return [
        *(place.root / name for name in TOPS),
        *([place.other_disk] if place.other_disk else []),
    ]


def _without_paths(place: Place, found: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(found, sort_keys=True)
    text = text.replace(str(place.root), "ROOT").replace(str(place.other_disk), "OTHER")
    result: dict[str, Any] = json.loads(text)
    return result


def digest_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


FOREIGN = frozenset(("link", digest_of(b"mine"), digest_of(data_of("extra.bin", ""))))
"""Contents of files that are of no torrent."""


def remove_all(place: Place, node: Node) -> tuple[dict[str, Any], list[str]]:
    """Remove every torrent with its data; return what stays, and the files that should not."""
    for each in node.ask("GET", "/torrents")["torrents"]:
        node.ask("DELETE", f"/torrents/{each['id']}?delete_data=true")
    state = place.root / "state"
    kept = (each.relative_to(state) for each in state.rglob("*"))
    stays: dict[str, Any] = {
        "kept": sorted(
            # the name without the hash of a path, which is another one in each try
            f"{each.parent}/{each.name.split('-', 1)[-1]}"
            for each in kept
            if each.name not in LASTING and each.suffix != ".lock"  # held by path, and empty
        ),
        **{str(top): sorted(_contents(top)) for top in _tops(place)},
    }
    wrong = [
        line
        for top in _tops(place)
        for line in stays[str(top)]
        if not line.endswith("/") and line.split()[-1] not in FOREIGN and ".added" not in line
    ]
    return _without_paths(place, stays), wrong


LASTING = frozenset(("totals.json", "node.json", "lock", "control.sock"))
"""Files of the state folder that are of no torrent."""


def _contents(top: Path) -> Iterator[str]:
    if top.is_file():
        yield digest_of(top.read_bytes())
    for place, folders, files in os.walk(top):
        for name in folders:
            yield f"{Path(place, name).relative_to(top)}/"
        for name in files:
            path = Path(place, name)
            digest = "gone"  # the node is still at work
            with contextlib.suppress(FileNotFoundError):
                is_link = path.is_symlink()
                digest = "link" if is_link else digest_of(path.read_bytes())
            yield f"{path.relative_to(top)} {digest}"


# --- tries ----------------------------------------------------------------------------------------


@dataclass
class Tried:
    """What became of one try."""

    steps: list[str]
    is_answered: bool
    found: dict[str, Any]
    log: str = ""
    stays: dict[str, Any] = field(default_factory=dict)
    """What is there when all is removed with its data."""
    wrong: list[str] = field(default_factory=list)
    """Files of torrents among it."""


MOST_MORE = 50
"""Steps more than without a kill, at most: totals are written by the clock."""


@dataclass
class Killer:
    """Tries operations below a folder."""

    folder: Path
    torrents: dict[str, bytes]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    helper: Node | None = None

    def place(self) -> Place:
        root = self.folder / str(next(self.numbers))
        root.mkdir(parents=True)
        return Place(root, other_disk(self.folder), self.torrents, self.helper)

    @contextlib.contextmanager
    def helping(self) -> Iterator[None]:
        """Run a node that shares the album."""
        root = self.folder / f"helper-{next(self.numbers)}"
        root.mkdir(parents=True)
        write_data(root, "album")
        (root / "peer.toml").write_text(OF_HELPER)
        self.helper = Node(root)
        try:
            self.helper.until_open()
            until(self.helper, {"album": "seeding"})
            yield
        finally:
            self.helper.kill()
            self.helper = None
            shutil.rmtree(root)

    def attempt(
        self, operation: Operation | None, kill_at: int, wanted: list[dict[str, Any]]
    ) -> Tried:
        """Do an operation, be killed at a step (0: after it), start again and look."""
        place = self.place()
        prepare(place)
        node = Node(place.root, kill_at)
        is_answered, failure = False, ""
        try:
            node.until_open()
            set_up(place, node)
            if operation is not None:
                operation.before(place, node)
                node.arm()
                try:
                    operation.do(place, node)
                    is_answered = True
                except (OSError, http.client.HTTPException) as error:  # it was killed
                    failure = repr(error)
        finally:
            steps = node.kill()
        again = Node(place.root)
        try:
            again.until_open()
            if operation is not None:
                operation.after(place, again)
            untold = () if operation is None else operation.untold
            found = self._settled(place, again, wanted, untold)
            stays, wrong = remove_all(place, again)
        except AssertionError as error:
            found, stays, wrong = {"fails": [str(error)[:1000]]}, {}, []
        finally:
            again.kill()
        self._clear_helper()
        log = (place.root / "log").read_text()
        shutil.rmtree(place.root)
        if place.other_disk is not None:
            shutil.rmtree(place.other_disk)
        return Tried(steps, is_answered, found, f"{log}{failure}\n", stays, wrong)

    def _clear_helper(self) -> None:
        if self.helper is not None:
            for each in self.helper.ask("GET", "/torrents")["torrents"]:
                if each["kind"] == "fetch":
                    self.helper.ask("DELETE", f"/torrents/{each['id']}?delete_data=true")

    def _settled(
        self, place: Place, node: Node, wanted: list[dict[str, Any]], untold: tuple[str, ...]
    ) -> dict[str, Any]:
        """Return what the node is in the end: one of `wanted`, or what it stays as."""
        end = time.monotonic() + (4.0 if wanted else 2.0)
        last: dict[str, Any] = {}
        same = 0
        while time.monotonic() < end:
            found = snapshot(place, node)
            for each in found["torrents"]:
                each.update(dict.fromkeys(untold))
            same = same + 1 if found == last else 0
            last = found
            if same >= (2 if found in wanted else 20):
                break
            time.sleep(0.05)
        return last

    def run(self, operation: Operation, most: int) -> "Report":
        """Try an operation at each of its steps, at most `most` of them, evenly."""
        with self.helping() if operation.needs_helper else contextlib.nullcontext():
            return self._run(operation, most)

    def _run(self, operation: Operation, most: int) -> "Report":
        old = self.attempt(operation_without_end(operation), 0, [])
        new = self.attempt(operation, 0, [])
        before, after = old.found, new.found
        report = Report(len(new.steps))
        if not new.is_answered or "fails" in before or "fails" in after:
            words = (before.get("fails"), after.get("fails"), new.is_answered)
            report.faults.append(f"it fails without a kill: {words}\n{_warnings(new.log)}")
            return report
        if (before != after) != operation.lasts:
            report.faults.append(f"it changes nothing, or should not: {_warnings(new.log)}")
        for each in (old, new):
            if each.wrong and not operation.leaves_data:
                report.faults.append(f"removed with data, this stays: {each.wrong}")
        wanted = [before, after]
        chosen = chosen_steps(len(new.steps), most)
        for kill_at in chosen:
            tried = self.attempt(operation, kill_at, wanted)
            if not tried.is_answered and kill_at == chosen[-1] < len(new.steps) + MOST_MORE:
                chosen.append(kill_at + 1)  # steps of something else came between this time
            report.tries += 1
            report.old += tried.found == before
            report.new += tried.found == after and before != after
            step = tried.steps[-1] if tried.steps else "?"
            where = f"at step {kill_at} ({step}), answered {tried.is_answered}"
            if tried.found not in ([after] if tried.is_answered else wanted):
                words = difference(before, after, tried.found) + _warnings(tried.log)
                report.faults.append(f"{where}:\n{words}")
            elif tried.stays not in (old.stays, new.stays):
                words = difference(old.stays, new.stays, tried.stays)
                report.faults.append(f"{where}, all removed with its data:\n{words}")
        return report


def operation_without_end(operation: Operation) -> Operation:
    return replace(operation, do=lambda _place, _node: None)


def chosen_steps(count: int, most: int) -> list[int]:
    """Return the numbers of steps from 1 to `count`: all, or `most` of them, the last included."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted(
        {round(count - number * (count - 1) / max(1, most - 1)) for number in range(most)}
    )


def difference(old: dict[str, Any], new: dict[str, Any], found: dict[str, Any]) -> str:
    lines = []
    for key, value in found.items():
        before, after = old.get(key, []), new.get(key, [])
        if value not in (before, after):
            for words, these, those in (
                ("old", before, value),
                ("new", after, value),
                ("unlike old", value, before),
                ("unlike new", value, after),
            ):
                lines += [f"  {key}, {words}: {each}\n" for each in these if each not in those]
    return "".join(lines) or f"  a mixture of old and new: {found}\n"


def _warnings(log: str) -> str:
    lines = [line for line in log.splitlines() if "warning" in line or not line.startswith("{")]
    return "".join(f"    {line[:300]}\n" for line in lines[-8:])


@dataclass
class Report:
    """What came of an operation."""

    steps: int
    tries: int = 0
    old: int = 0
    new: int = 0
    faults: list[str] = field(default_factory=list)


def other_disk(folder: Path) -> Path | None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == folder.stat().st_dev:
        return None
    return Path(tempfile.mkdtemp(prefix="trio-swarm-killed-", dir=shared))
