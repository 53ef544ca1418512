"""Who may control a node: rules for one request, without a socket or a clock.

Whoever comes by the Unix socket may do everything: the kernel lets only the node's own user in. By
TCP there are three questions. *Which page sent it?* A browser may be made to send requests by any
page that a person looks at. If the page's server gives its own name our address (DNS rebinding),
the `Host` is not one of ours; if the page plainly asks (CSRF), `Origin` or `Sec-Fetch-Site` tells.
*Who is it?* A token or a password, where there are any. *What may it do?* Readers change nothing.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.addresses import is_loopback, parse_host_port

Level = Literal["full", "read"]
"""What somebody may do: everything, or look."""

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""

MIN_TOKEN = 16
"""Characters: shorter ones can be guessed."""
MIN_PASSWORD = 8
"""Characters; people type it, and failed logins are slowed down."""
MAX_SECRET = 1000
"""Characters of a token or password that is compared."""

SIGNED_IN_SECONDS = 30 * 86_400
"""Seconds until a page must ask for the token again."""

ASK_PASSWORD = {"www-authenticate": 'Basic realm="trio-swarm", charset="UTF-8"'}
"""What makes a browser ask (RFC 7617)."""


@dataclass(frozen=True, slots=True)
class Knock:
    """What is looked at of a request; a header that is not there is empty."""

    method: str
    host: str = ""
    origin: str = ""
    fetch_site: str = ""
    fetch_mode: str = ""
    fetch_dest: str = ""
    authorization: str = ""
    cookie: str = ""

    @classmethod
    def of(cls, method: str, headers: Sequence[tuple[bytes, bytes]]) -> "Knock":
        """Return what is looked at; a header that comes twice is one that fits nothing."""
        found: dict[bytes, str] = {}
        for name, value in headers:
            key, text = name.lower(), value.decode("latin-1").strip()
            found[key] = f"{found[key]}, {text}" if key in found else text
        return cls(
            method,
            host=found.get(b"host", ""),
            origin=found.get(b"origin", ""),
            fetch_site=found.get(b"sec-fetch-site", "").lower(),
            fetch_mode=found.get(b"sec-fetch-mode", "").lower(),
            fetch_dest=found.get(b"sec-fetch-dest", "").lower(),
            authorization=found.get(b"authorization", ""),
            cookie=found.get(b"cookie", ""),
        )

    @property
    def is_navigation(self) -> bool:
        """Whether a person goes to a page: the page that had the link learns nothing by it."""
        return (
            self.method in LOOKING
            and self.fetch_mode == "navigate"
            and self.fetch_dest == "document"
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Credentials:
    """The tokens and the password that let somebody in, as digests of equal length."""

    __slots__ = ("_full", "_password", "_read")

    def __init__(self, *, token: str = "", read_token: str = "", password: str = "") -> None:
        """`password` is `USER:PASSWORD`; an empty one is none."""
        self._full = _digest(token) if token else None
        self._read = _digest(read_token) if read_token else None
        self._password = _digest(password) if password else None

    @property
    def is_empty(self) -> bool:
        """Whether nobody is asked who they are."""
        return self._full is None and self._read is None and self._password is None

    def level(self, authorization: str) -> Level | None:
        """Return what the value of an `Authorization` header lets somebody do; None: nothing.

        A token comes as a bearer token (RFC 6750), or as the password of any user (RFC 7617). Every
        comparison takes the same time, and all are made.
        """
        scheme, _, rest = authorization.partition(" ")
        rest = rest.strip()
        pair = secret = ""
        if scheme.lower() == "bearer":
            secret = rest
        elif scheme.lower() == "basic":
            pair = _decoded(rest)
            secret = pair.partition(":")[2]
        by_password = _same(self._password, pair)
        by_token = _same(self._full, secret)
        by_reader = _same(self._read, secret)
        if by_password or by_token:
            return "full"
        return "read" if by_reader else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _same(wanted: bytes | None, secret: str) -> bool:
    is_same = hmac.compare_digest(wanted or bytes(32), _digest(secret[:MAX_SECRET]))
    return is_same and wanted is not None and 0 < len(secret) <= MAX_SECRET


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""


class SignIns:
    """Cookies for pages, which so need not keep a token: each says what it lets somebody do.

    They are signed with a key that ends with the process; nothing is stored for them.
    """

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, level: Level, now: float) -> str:
        """Return the value of a cookie that lets somebody in from `now` (Unix seconds)."""
        said = f"{level}.{int(now + SIGNED_IN_SECONDS)}"
        return f"{said}.{self._signature(said)}"

    def level(self, value: str, now: float) -> Level | None:
        """Return what a cookie lets somebody do; None: nothing, or no longer."""
        said, _, signature = value.rpartition(".")
        if not hmac.compare_digest(self._signature(said).encode(), signature.encode()):
            return None
        level, _, end = said.partition(".")
        return typing.cast("Level", level) if now < int(end) else None

    def _signature(self, said: str) -> str:
        return hmac.digest(self._key, said.encode(), "sha256").hex()


def cookie_name(port: int) -> str:
    """Return the name of our cookie: a browser keeps the ones of a host's ports together."""
    return f"trio-swarm-{port}"


def cookie_value(header: str, name: str) -> str:
    """Return the value of a cookie in a `Cookie` header; empty if it is not there."""
    pairs = (each.strip().partition("=") for each in header.split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def read_token(text: str, *, what: str) -> str:
    """Return the token in a file's text; ConfigError if it is not one of at least 16 characters."""
    token = text.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{what} holds no token: one line of letters and digits")
    if not MIN_TOKEN <= len(token) <= MAX_SECRET:
        raise ConfigError(f"the token in {what} must have {MIN_TOKEN} to {MAX_SECRET} characters")
    return token


def read_password(text: str, *, what: str) -> str:
    """Return `user:password` in a file's text; ConfigError if it is not so."""
    pair = text.strip()
    user, colon, password = pair.partition(":")
    if not colon or not user or not pair.isprintable():
        raise ConfigError(f"{what} holds no USER:PASSWORD in one line")
    if not len(password) >= MIN_PASSWORD or len(pair) > MAX_SECRET:
        raise ConfigError(f"the password in {what} must have at least {MIN_PASSWORD} characters")
    return pair


def host_refusal(knock: Knock, hosts: Sequence[str]) -> Refusal | None:
    """Return why a request for such a host is refused; None if it may come in.

    A page that is loaded from a stranger's name is stopped here, wherever that name leads to. An
    address in figures is nobody's name.
    """
    try:
        host, _port = parse_host_port(knock.host, default_port=80)
    except ConfigError:
        return Refusal(421, "wrong-host", "the Host header names no host")
    if is_loopback(host) or _is_address(host) or host.lower().removesuffix(".") in hosts:
        return None
    return Refusal(
        421,
        "wrong-host",
        f"{shown(host)} is not known as a name of this node: add it to hosts, below [control]",
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def page_refusal(knock: Knock) -> Refusal | None:
    """Return why a request that a browser sends for some page is refused; None if it may come in.

    Programs send none of these headers.
    """
    scheme, _, host = knock.origin.partition("://")
    if knock.origin:
        is_own = scheme.lower() in {"http", "https"} and host.lower() == knock.host.lower()
    else:
        is_own = knock.fetch_site in {"", "same-origin", "none"} or knock.is_navigation
    if is_own:
        return None
    return Refusal(403, "foreign-page", "a page of another site may not control this node")


def level_of(knock: Knock, credentials: Credentials) -> Level | Refusal:
    """Return what somebody may do who comes by TCP without a cookie, or why not."""
    if credentials.is_empty:
        return "full"
    level = credentials.level(knock.authorization)
    if level is not None:
        return level
    # A page that asks for something in the background tells its reader itself.
    in_background = knock.fetch_mode not in {"", "navigate"}
    return Refusal(
        401,
        "wrong-token" if knock.authorization else "no-token",
        "a token or password is needed" if not knock.authorization else "that is not the token",
        {} if in_background else ASK_PASSWORD,
    )
