"""The rules of `access`, applied to each request before anything looks at it."""

import time
from ipaddress import IPv6Address

import trio

from trio_swarm.control.access import (
    LOOKING,
    Credentials,
    Knock,
    Level,
    Refusal,
    cookie_name,
    cookie_value,
    host_refusal,
    level_of,
    page_refusal,
)
from trio_swarm.control.asgi import App, Message, Receive, Scope, Send
from trio_swarm.control.context import ControlContext
from trio_swarm.control.hiding import for_readers
from trio_swarm.control.problems import problem
from trio_swarm.engine.token_bucket import TokenBucket
from trio_swarm.logs import logger_of

log = logger_of(__name__)

REQUEST_RATE = 200.0
REQUEST_BURST = 400.0
"""Requests a second, and at once, of all who come by TCP: a page asks two or three a second."""

LOGIN_RATE = 1 / 6
LOGIN_BURST = 10.0
"""Wrong tokens a second, and at once, of one host: a person mistypes a password three times."""
MAX_LOGIN_HOSTS = 1024
"""Hosts whose wrong tokens are remembered; the one that came first is forgotten first."""

SIGN_IN = ("/api/v1/login", "/api/v1/logout")
"""A reader may do these, too."""

DECIDES_ITSELF = "/transmission/"
"""Paths below it look at what a reader may do by themselves: all of it comes by POST."""

PAGE, PAGE_FILES = "/", "/page/"
"""The page, and the files that it is made of: the same for everybody."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
"""On every answer: no page of another site frames or embeds it, or guesses what it is."""


class Guard:
    """Lets a request in to an application, with what it may do in `scope["state"]["level"]`."""

    def __init__(self, app: App, context: ControlContext, credentials: Credentials) -> None:
        self._app = app
        self._for_readers = for_readers(app)
        self._credentials = credentials
        self._hosts = context.settings.hosts
        self._sign_ins = context.sign_ins
        self._requests = TokenBucket(REQUEST_RATE, REQUEST_BURST)
        self._logins: dict[str, TokenBucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as an ASGI application."""
        assert scope["type"] == "http"  # no other kind comes out of `connections`

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        verdict = self._verdict(scope, trio.current_time())
        if isinstance(verdict, Refusal):
            log.debug("%s %s: %s", scope["method"], scope["path"], verdict.code)
            await problem(verdict)(scope, receive, send_guarded)
            return
        scope["state"]["level"] = verdict
        sees_all = verdict == "full" or _is_page(scope["path"])
        answer = self._app if sees_all else self._for_readers
        await answer(scope, receive, send_guarded)

    def _verdict(self, scope: Scope, now: float) -> Level | Refusal:
        if scope["state"]["is_local"]:
            return "full"
        if self._requests.wait(now) > 0:
            return _slower("too many requests at once", self._requests.wait(now))
        self._requests.take(1, now)
        knock = Knock.of(scope["method"], scope["headers"])
        refusal = host_refusal(knock, self._hosts) or page_refusal(knock)
        if refusal is not None:
            return refusal
        if knock.method in LOOKING and _is_page(scope["path"]):
            return "read"
        level = self._signed_in(knock, scope) or self._login(knock, _source(scope), now)
        if level == "read" and knock.method not in LOOKING and not _decides_itself(scope["path"]):
            return Refusal(403, "read-only", "this token may look, and change nothing")
        return level

    def _signed_in(self, knock: Knock, scope: Scope) -> Level | None:
        if self._credentials.is_empty or not knock.cookie:
            return None
        value = cookie_value(knock.cookie, cookie_name(scope["server"][1]))
        return self._sign_ins.level(value, time.time())

    def _login(self, knock: Knock, source: str, now: float) -> Level | Refusal:
        wrong = self._logins.get(source)
        if wrong is not None and wrong.wait(now) > 0:
            return _slower("too many wrong tokens", wrong.wait(now))
        level = level_of(knock, self._credentials)
        if isinstance(level, Refusal) and level.code == "wrong-token":
            log.warning("a wrong token or password came from %s", source)
            if wrong is None:
                if len(self._logins) >= MAX_LOGIN_HOSTS:
                    del self._logins[next(iter(self._logins))]
                wrong = self._logins[source] = TokenBucket(LOGIN_RATE, LOGIN_BURST)
            wrong.take(1, now)
        return level


def _decides_itself(path: str) -> bool:
    return path.startswith(DECIDES_ITSELF) or path in SIGN_IN


def _is_page(path: str) -> bool:
    return path == PAGE or path.startswith(PAGE_FILES)


def _source(scope: Scope) -> str:
    """Return the host a request comes from; of IPv6 the /64, which one machine has to itself."""
    host = str(scope["client"][0]) if scope["client"] else ""
    if ":" not in host or host.lower().startswith("::ffff:"):
        return host
    network = int(IPv6Address(host.partition("%")[0])) >> 64
    return f"{network:016x}::/64"


def _slower(message: str, seconds: float) -> Refusal:
    return Refusal(429, "too-many", message, {"retry-after": str(max(1, round(seconds)))})
