"""A node that is only told: the API's answers about a small swarm, the same at each run.

The tests' own Starlette app. The page cannot tell it from a node; what the page asks for is kept in
`asked`, and a test changes what the node says (`torrents`, `session`) or refuses (`refusals`).
"""

import base64
import copy
import json
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from trio_swarm.control.page.serving import routes

MIB = 1024 * 1024
HASHES = [f"{number:02x}" * 20 for number in range(16, 255)]
HOSTILE_NAME = "<img src=x onerror=alert(1)>\u202egnp.exe <script>document.title='gone'</script>"
TOKEN = "token-of-the-scripted-node"


def torrent(number: int, name: str, **changes: Any) -> dict[str, Any]:
    size = changes.pop("size", 700 * MIB)
    progress = changes.pop("progress", 1.0)
    pieces = changes.pop("pieces", 700)
    state = changes.pop("state", "seeding")
    return {
        "id": number,
        "name": name,
        "info_hash": HASHES[number],
        "magnet": f"magnet:?xt=urn:btih:{HASHES[number]}",
        "kind": "fetch",
        "origin": "added",
        "state": state,
        "error": "",
        "waits_for": "",
        "labels": [],
        "limits": {
            "upload_rate": None,
            "download_rate": None,
            "upload_slots": None,
            "seed_ratio": None,
            "seed_for": None,
        },
        "queue_position": number,
        "added_at": 1_796_000_000 + 3600 * number,
        "completed_at": 1_796_050_000 if progress >= 1 else None,
        "active_at": 1_796_080_000,
        "folder": "/srv/downloads",
        "path": f"/srv/downloads/{name}",
        "size": size,
        "have": int(size * progress),
        "pieces": pieces,
        "pieces_have": int(pieces * progress),
        "piece_length": MIB,
        "progress": progress,
        "download_rate": 0,
        "upload_rate": 0,
        "eta": None,
        "downloaded": int(size * progress),
        "uploaded": int(size * 0.4),
        "downloaded_ever": int(size * progress),
        "uploaded_ever": int(size * 0.4),
        "duplicate": 0,
        "ratio": 0.4,
        "peers": 0,
        "seeders": 0,
        "private": False,
        "scheduler": {"name": "rarest-first", "options": {}},
        "comment": "",
        "created_at": 1_795_000_000,
        "created_by": "trio-swarm 0.1",
        **changes,
    }


def swarm() -> list[dict[str, Any]]:
    return [
        torrent(
            1,
            "debian-13.2.0-amd64-DVD-1.iso",
            size=3_900 * MIB,
            progress=0.634,
            pieces=3900,
            state="downloading",
            download_rate=11.4 * MIB,
            upload_rate=2.1 * MIB,
            eta=128,
            peers=14,
            seeders=3,
            labels=["images"],
            ratio=0.31,
            duplicate=3 * MIB,
            scheduler={"name": "bandwidth-weighted", "options": {"window": 16, "spread": 0.25}},
            comment="Official installation image",
        ),
        torrent(
            2,
            "office-images",
            origin="file",
            kind="share",
            upload_rate=740 * 1024,
            peers=6,
            ratio=12.81,
            labels=["images", "office"],
            size=18_300 * MIB,
            pieces=18_300,
        ),
        torrent(
            3,
            "field-recordings-2026-11 (24 bit, uncompressed, all microphones, second edition)",
            size=42_000 * MIB,
            progress=0.071,
            pieces=42_000,
            state="downloading",
            download_rate=3.3 * MIB,
            upload_rate=90 * 1024,
            eta=12_400,
            peers=9,
            seeders=1,
            labels=["audio"],
            ratio=0.02,
        ),
        torrent(4, "release-builds", state="queued", progress=0.0, labels=["ci"], ratio=0.0),
        torrent(5, "nightly-2026-11-30", upload_rate=55 * 1024, peers=1, ratio=1.04, labels=["ci"]),
        torrent(
            6, "map-tiles-europe", state="paused", progress=0.42, size=9_100 * MIB, pieces=9100
        ),
        torrent(
            7,
            "backup-home",
            state="failed",
            progress=0.88,
            error="No space left on /srv/downloads: 1.2 GiB are missing",
        ),
        torrent(
            8, "lecture-videos", state="checking", progress=0.55, size=5_200 * MIB, pieces=5200
        ),
        torrent(
            9,
            "magnet of somebody",
            state="metadata",
            size=0,
            progress=0.0,
            pieces=0,
            ratio=0.0,
            peers=2,
        ),
        torrent(10, HOSTILE_NAME, ratio=0.5),
        torrent(11, "wikipedia-dump-2026-11", labels=["text"], peers=2, upload_rate=310 * 1024),
        torrent(12, "team-photos", state="done", labels=["office"]),
    ]


PEERS = [
    ("10.11.4.27:51413", "Transmission 4.1.0", 0.97, 4.1 * MIB, 0),
    ("10.11.4.31:6881", "qBittorrent 5.1.2", 1.0, 3.2 * MIB, 0),
    ("192.168.7.12:51413", "trio-swarm 0.1.0", 0.71, 2.2 * MIB, 1.3 * MIB),
    ("[2001:db8:40:2::7a]:51820", "libtorrent 2.0.11", 1.0, 1.4 * MIB, 0),
    ("10.11.9.3:40112", "trio-swarm 0.1.0", 0.55, 0.5 * MIB, 0.6 * MIB),
    ("172.20.0.9:51413", "<b>aria2</b> 1.37.0", 0.31, 0, 0.2 * MIB),
    ("10.11.9.140:16881", "Deluge 2.2.0", 0.12, 0, 0),
    ("10.11.4.99:51413", "", 0.03, 0, 0),
]

REASONS = [
    (
        "412 pieces wanted, 0 rarer, 41 as rare; 2 of 8 peers had it",
        "10.11.4.27:51413 had room for 9 blocks, 12 in flight, at 4.10 MiB/s",
        "it could have been 10.11.4.31:6881 (had room for 2 blocks, 30 in flight, at 3.20 MiB/s)",
    ),
    ("411 pieces wanted, 3 rarer, 40 as rare; 3 of 8 peers had it, and it was begun",),
    ("a second time, since 172.20.0.9:51413 had owed 3 blocks for 4.2 s",),
    ("410 pieces wanted, 0 rarer, 39 as rare; 1 of 8 peers had it", "2 peers more choked us"),
]


class ScriptedSwarm:
    """What the node says, and what it was asked to do."""

    def __init__(
        self, *, access: str = "full", asks_token: bool = False, moves: bool = False
    ) -> None:
        self.torrents = {each["id"]: each for each in swarm()}
        self.access = access
        self.asks_token = asks_token
        self.moves = moves
        self.asked: list[tuple[str, str, Any]] = []
        self.refusals: dict[tuple[str, str], tuple[int, str, str]] = {}
        self.removed: list[int] = []
        self.changed: set[int] = set()
        self.is_down = False
        self.limits: dict[str, Any] = {
            "download_rate": 20 * MIB,
            "upload_rate": 4 * MIB,
            "max_active_downloads": 3,
            "max_active_seeds": None,
        }
        self.is_slow = False
        self.has_tracker = True
        self.config_file: str | None = "/etc/trio-swarm/peer.toml"
        self.started_at = time.time() - 3 * 86400
        self.lines: list[dict[str, Any]] = log_lines()
        self._random = random.Random(7)
        self.maps: dict[int, dict[str, Any]] = {}
        self.asked_since: list[int] = []
        """After which number each request wanted decisions."""
        self.told: dict[int, list[dict[str, Any]]] = {}

    # What the node says

    def session(self) -> dict[str, Any]:
        counts: dict[str, int] = {}
        for each in self.torrents.values():
            counts[each["state"]] = counts.get(each["state"], 0) + 1
        return {
            "version": "0.1.0",
            "peer_id": b"-TS0100-k2v9x81mzq0a".hex(),
            "port": 51413,
            "addresses": ["192.168.7.4:51413", "[2001:db8:40:2::4]:51413"],
            "started_at": self.started_at,
            "state_folder": "/var/lib/trio-swarm",
            "download_folder": "/srv/downloads",
            "incomplete_folder": "/srv/incomplete",
            "config_file": self.config_file,
            "access": self.access,
            "limits": self.limits,
            "alternative_limits": self.is_slow,
            "alternative": {
                "active": self.is_slow,
                "download_rate": 2 * MIB,
                "upload_rate": 512 * 1024,
            },
            "trackers": ["udp://tracker.office.example:6969/announce"],
            "schedulers": ["bandwidth-weighted", "rarest-first", "round-robin"],
            "download_rate": 14.7 * MIB,
            "upload_rate": 3.2 * MIB,
            "downloaded": 812 * 1024 * MIB,
            "uploaded": 2_310 * 1024 * MIB,
            "torrents": counts,
            "tracker": self.has_tracker,
        }

    def pieces(self, number: int) -> dict[str, Any]:
        if number not in self.maps:
            self.maps[number] = self._make_map(self.torrents[number])
        return self.maps[number]

    def _make_map(self, one: dict[str, Any]) -> dict[str, Any]:
        draw = random.Random(one["id"])
        count = one["pieces"]
        wave = [draw.random() * 0.25 for _ in range(count)]
        front = one["progress"]
        have = [
            front >= 1 or (index / max(1, count) * 0.55 + wave[index] * 1.8) < front * 0.72
            for index in range(count)
        ]
        peers = []
        available = [0] * count
        for address, _, progress, _, _ in PEERS:
            start = draw.randrange(max(1, count))
            held = [
                progress >= 1 or ((index - start) % max(1, count)) / max(1, count) < progress
                for index in range(count)
            ]
            if one["id"] == 3:
                held = [each and index % 977 > 8 for index, each in enumerate(held)]
            available = [now + each for now, each in zip(available, held, strict=True)]
            peers.append({"address": address, "pieces": bitfield(held)})
        missing = [index for index in range(count) if not have[index]]
        flying = sorted(draw.sample(missing, min(26, len(missing))))
        states = [
            2 if had else 3 if not held else 0 for had, held in zip(have, available, strict=True)
        ]
        for index in flying:
            states[index] = 1
        return {
            "count": count,
            "piece_length": one["piece_length"],
            "states": bytes(states).hex(),
            "holders": bytes(available).hex(),
            "have": bitfield(have),
            "peers": peers,
        }

    def decisions(self, number: int, since: int = 0) -> list[dict[str, Any]]:
        """Those after number `since`; all, if none has that number yet."""
        self.asked_since.append(since)
        told = self._decisions(number)
        latest = max((each["number"] for each in told), default=0)
        return [each for each in told if since > latest or each["number"] > since]

    def decide(self, torrent: int, **decision: Any) -> None:
        """Make a decision now, like the last one but for some of it."""
        self.told[torrent].append({**self.told[torrent][-1], **decision})

    def _decisions(self, number: int) -> list[dict[str, Any]]:
        told = self.told.setdefault(number, [])
        if not told and self.torrents[number]["progress"] < 1:
            states = bytes.fromhex(self.pieces(number)["states"])
            flying = [index for index, state in enumerate(states) if state == 1] or [0]
            for index in range(40):
                piece, address = flying[index % len(flying)], PEERS[index % 5][0]
                told.append(
                    {
                        "number": index // 3 + 1,
                        "time": self.started_at + 3 * 86400 - 30 + index // 3 * 0.71,
                        "by": "strategy",
                        "scheduler": "rarest-first",
                        "piece": piece,
                        "peer": address,
                        "blocks": 4,
                        "text": f"rarest-first asked {address} for 4 blocks of piece {piece}",
                        "reasons": REASONS[index % len(REASONS)],
                    }
                )
        return told

    def step(self) -> None:
        """A second goes by: rates move a little, and one more piece is there."""
        for one in self.torrents.values():
            for key in ("download_rate", "upload_rate"):
                if one[key]:
                    one[key] = max(20_000, one[key] * self._random.uniform(0.86, 1.16))
                    self.changed.add(one["id"])
            if one["state"] == "downloading":
                one["have"] = min(one["size"], one["have"] + int(one["download_rate"]))
                one["progress"] = one["have"] / one["size"]

    def change(self, number: int, **values: Any) -> None:
        self.torrents[number].update(values)
        self.changed.add(number)


def bitfield(flags: list[bool]) -> str:
    padded = flags + [False] * (-len(flags) % 8)
    value = "".join("1" if flag else "0" for flag in padded)
    return f"{int(value or '0', 2):0{len(padded) // 4}x}"


def log_lines() -> list[dict[str, Any]]:
    said = [
        ("INFO", "trio_swarm.node", "Listening for peers on 0.0.0.0:51413"),
        ("INFO", "trio_swarm.service", "Sharing office-images: 17.9 GiB in 18,300 pieces"),
        (
            "DEBUG",
            "trio_swarm.announcing",
            "udp://tracker.office.example:6969: 3 seeders, 11 leechers",
        ),
        ("WARNING", "trio_swarm.peer", "10.11.9.77:51413 sent 2 pieces with wrong bytes: banned"),
        ("INFO", "trio_swarm.service", f"Added {HOSTILE_NAME}"),
        ("ERROR", "trio_swarm.service", "backup-home: no space left on /srv/downloads"),
    ]
    return [
        {
            "time": 1_796_080_000 + index * 3.7,
            "severity": level.lower(),
            "logger": name,
            "message": text,
        }
        for index, (level, name, text) in enumerate(said * 6)
    ]


def fault(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


def scripted_app(node: ScriptedSwarm) -> Starlette:
    """Return the app: the page's own routes, and the API by plan."""

    async def api(request: Request) -> Response:
        path = request.url.path.removeprefix("/api/v1")
        if node.is_down:
            return fault(503, "stopping", "The node is stopping")
        if node.asks_token and path != "/login" and request.cookies.get("session") != TOKEN:
            return fault(401, "unauthorized", "A token is needed")
        body = json.loads(await request.body() or "null")
        if request.method != "GET":
            where = f"{path}?{request.url.query}" if request.url.query else path
            node.asked.append((request.method, where, copy.deepcopy(body)))
        refused = node.refusals.get((request.method, path))
        if refused:
            return fault(*refused)
        if request.method != "GET" and node.access == "read" and path not in ("/login", "/logout"):
            return fault(403, "read-only", "This token may only look")
        return answer(node, request, path, body)

    return Starlette(
        routes=[
            *routes(),
            Route("/api/v1/{path:path}", api, methods=["GET", "POST", "PATCH", "DELETE"]),
        ]
    )


def answer(node: ScriptedSwarm, request: Request, path: str, body: Any) -> Response:
    parts = [part for part in path.split("/") if part]
    if len(parts) > 1:
        since = int(request.query_params.get("since", "0"))
        return one_torrent(node, request.method, parts[1:], body, since)
    answers = {
        "POST login": lambda: log_in(request),
        "POST logout": log_out,
        "GET session": lambda: JSONResponse(node.session()),
        "PATCH session": lambda: change_session(node, body),
        "GET torrents": lambda: JSONResponse({"torrents": list(node.torrents.values())}),
        "POST torrents": lambda: add(node, body),
        "GET events": lambda: Stream(events(node)),
        "GET log": lambda: Stream(log(node)),
        "GET names": lambda: JSONResponse(names()),
        "POST reload": lambda: JSONResponse(RELOAD),
        "POST stop": lambda: JSONResponse({}, 202),
    }
    found = answers.get(f"{request.method} {parts[0]}")
    return fault(404, "unknown-path", "No such path") if found is None else found()


def log_in(request: Request) -> Response:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return fault(401, "wrong-token", "that is not the token")
    response = Response(status_code=204)
    response.set_cookie("session", TOKEN, httponly=True, samesite="strict")
    return response


def log_out() -> Response:
    response = Response(status_code=204)
    response.delete_cookie("session")
    return response


def change_session(node: ScriptedSwarm, body: dict[str, Any]) -> Response:
    node.is_slow = body.pop("alternative_limits", node.is_slow)
    node.limits.update(body)
    return JSONResponse(node.session())


def add(node: ScriptedSwarm, body: dict[str, Any]) -> Response:
    name = body.get("what") or f"file of {len(base64.b64decode(body['metainfo']))} bytes"
    number = max(node.torrents) + 1
    state = "paused" if body.get("paused") else "metadata"
    node.torrents[number] = torrent(number, name, state=state, progress=0.0, labels=body["labels"])
    return JSONResponse(node.torrents[number], 201)


def one_torrent(
    node: ScriptedSwarm, method: str, parts: list[str], body: Any, since: int
) -> Response:
    number, rest = int(parts[0]), parts[1:]
    one = node.torrents.get(number)
    if one is None:
        return fault(404, "unknown-torrent", f"No torrent is called {number}")
    if method == "DELETE":
        del node.torrents[number]
        node.removed.append(number)
        return Response(status_code=204)
    if method == "GET":
        return look(node, one, rest, since)
    going_on = "downloading" if one["progress"] < 1 else "seeding"
    changes = {
        "pause": {"state": "paused", "download_rate": 0, "upload_rate": 0},
        "resume": {"state": going_on},
    }
    node.change(number, **(changes.get(rest[0], {}) if rest else body))
    return JSONResponse(one)


def look(node: ScriptedSwarm, one: dict[str, Any], rest: list[str], since: int) -> Response:
    if len(rest) > 1:
        return Response(b"x" * 1000, media_type="text/plain")
    answers = {
        "pieces": lambda: node.pieces(one["id"]),
        "decisions": lambda: {"decisions": node.decisions(one["id"], since), "recording": True},
        "peers": lambda: {"peers": [peer(*each) for each in PEERS] if one["peers"] else []},
        "trackers": lambda: {"trackers": trackers()},
        "files": lambda: {"files": files(one)},
    }
    return JSONResponse(answers[rest[0]]() if rest else one)


def peer(address: str, client: str, progress: float, down: float, up: float) -> dict[str, Any]:
    return {
        "address": address,
        "client": client,
        "outgoing": down > MIB,
        "share": progress,
        "is_seeder": progress >= 1,
        "download_rate": down,
        "upload_rate": up,
        "downloaded": int(down * 93),
        "uploaded": int(up * 41),
        "choking_us": down == 0,
        "interested": progress < 1,
        "unchoked": up > 0,
        "in_flight": int(down / 100_000),
        "snubbed": progress == 0.12,
    }


def trackers() -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "tier": 0,
            "url": "udp://tracker.office.example:6969/announce",
            "last_announce": now - 12,
            "next_announce": now + 18,
            "seeders": 3,
            "leechers": 11,
            "is_working": True,
            "result": "14 peers",
        },
        {
            "tier": 1,
            "url": "https://tracker.elsewhere.example/announce?passkey=hidden",
            "last_announce": now - 340,
            "next_announce": now + 3260,
            "seeders": None,
            "leechers": None,
            "is_working": False,
            "result": "Not answered within 15 s; asked again in 54 min",
        },
    ]


def files(one: dict[str, Any]) -> list[dict[str, Any]]:
    if not one["size"]:
        return []
    if one["id"] == 3:
        return [
            {
                "index": index,
                "path": f"{one['name']}/session {index // 6 + 1}/{kind}-{index:02d}.{ending}",
                "length": 400 * MIB + index * 7919 * 130,
                "have": int((400 * MIB) * min(1.0, max(0.0, 1.3 - index * 0.11))),
                "first_piece": index * 400,
                "end_piece": index * 400 + 400,
            }
            for index, (kind, ending) in enumerate(
                [("left", "flac"), ("right", "flac"), ("film", "mp4"), ("notes", "txt")] * 6
            )
        ]
    whole = {"index": 0, "path": one["name"], "length": one["size"], "have": one["have"]}
    return [whole | {"first_piece": 0, "end_piece": one["pieces"]}]


def names() -> dict[str, Any]:
    told = [
        {
            "name": each["name"],
            "info_hash": each["info_hash"],
            "size": each["size"],
            "seeders": number % 5 + 1,
            "leechers": number * 3 % 7,
        }
        for number, each in enumerate(swarm())
        if each["size"]
    ]
    told.append(
        {
            "name": "unseen here",
            "info_hash": "fe" * 20,
            "size": 5 * MIB,
            "seeders": 1,
            "leechers": 0,
        }
    )
    return {"names": told, "total": len(told), "swarms": 14, "peers": 212}


RELOAD = {
    "changes": [
        {"key": "limits.upload", "was": "4MiB", "will_be": "8MiB", "how": "live"},
        {"key": 'share "team-music"', "was": None, "will_be": "music", "how": "added"},
        {"key": "node.listen", "was": ":51413", "will_be": ":51414", "how": "restart"},
    ],
    "errors": [],
}


def sse(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def events(node: ScriptedSwarm) -> AsyncGenerator[str]:
    yield ": here\n\n"
    while not node.is_down:
        await trio.sleep(0.1 if not node.moves else 1)
        if node.moves:
            node.step()
        if node.changed or node.removed:
            changed = [node.torrents[each] for each in node.changed if each in node.torrents]
            removed, node.removed = node.removed, []
            node.changed = set()
            yield sse("torrents", {"torrents": changed, "removed": removed})


class Stream(StreamingResponse):
    """Server-sent events, whose source is closed when whoever listens has gone."""

    def __init__(self, source: AsyncGenerator[str]) -> None:
        super().__init__(source, media_type="text/event-stream")
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source):
            await super().__call__(scope, receive, send)


async def log(node: ScriptedSwarm) -> AsyncGenerator[str]:
    for line in node.lines:
        yield sse("logged", line)
    while not node.is_down:
        await trio.sleep(1)
        yield ": still here\n\n"
