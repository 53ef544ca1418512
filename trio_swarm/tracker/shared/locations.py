"""Where the engine is: a URL, read without importing any library."""

from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct

from trio_swarm.errors import ConfigError

DEFAULT_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_SCHEMES: Final = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("socket", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}

EXPECTED: Final = (
    "redis://HOST:PORT, rediss://HOST:PORT, unix:///PATH, "
    "redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT"
)


class EngineLocation(Struct, frozen=True, kw_only=True):
    """Where a Redis or Valkey server is, or several of them, and who we are there."""

    kind: Literal["server", "socket", "sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    """Of a Unix socket."""
    service: str = ""
    """The name that Sentinels know the server by."""
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False

    def __str__(self) -> str:
        """Return it in words without name and password, for people."""
        if self.kind == "socket":
            return f"unix://{self.path}"
        scheme = "rediss" if self.tls else "redis"
        if self.kind != "server":
            scheme += f"+{self.kind}"
        hosts = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        return f"{scheme}://{hosts}" + (f"/{self.service}" if self.service else "")

    def __repr__(self) -> str:
        """Return the same: a password is nothing for a traceback either."""
        return f"EngineLocation({self})"


def parse_location(url: str) -> EngineLocation:
    """Read the URL of an engine; ConfigError, which never quotes it, if it is none."""
    try:
        parts = urlsplit(url.strip())
        kind, tls = _SCHEMES[parts.scheme]
        database, service = _database(parts, kind)
        location = EngineLocation(
            kind=kind,  # type: ignore[arg-type]
            hosts=() if kind == "socket" else _hosts(parts, kind),
            path=unquote(parts.path) if kind == "socket" else "",
            service=service,
            database=database,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=tls,
        )
    except (KeyError, ValueError):
        raise ConfigError(f"not the URL of an engine; expected {EXPECTED}") from None
    if kind == "sentinel" and not service:
        raise ConfigError(
            "redis+sentinel://HOST:PORT/NAME: NAME, which Sentinel calls it, is missing"
        )
    return location


def _hosts(parts: SplitResult, kind: str) -> tuple[tuple[str, int], ...]:
    port = SENTINEL_PORT if kind == "sentinel" else DEFAULT_PORT
    texts = parts.netloc.rpartition("@")[2].split(",")
    if len(texts) > 1 and kind == "server":
        raise ValueError("several servers")
    found = []
    for text in texts:
        one = urlsplit(f"//{text}")
        if not one.hostname:
            raise ValueError("no host")
        found.append((one.hostname, one.port or port))
    return tuple(found)


def _database(parts: SplitResult, kind: str) -> tuple[int, str]:
    """Return the number of the database and the name of the service."""
    if parts.fragment:
        raise ValueError("a fragment")
    options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    database = options.pop("db", "0")
    if options:
        raise ValueError("unknown options")
    service = ""
    if kind == "socket":
        if not parts.path:
            raise ValueError("no path")
    else:
        path = [unquote(part) for part in parts.path.strip("/").split("/") if part]
        if kind == "sentinel" and path:
            service = path.pop(0)
        if path:
            database = path.pop(0)
        if path:
            raise ValueError("a path")
    if not database.isdecimal() or (kind == "cluster" and database != "0"):
        raise ValueError("not a database")
    return int(database), service
