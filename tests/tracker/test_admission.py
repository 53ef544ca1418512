"""What a tracker with lists takes, and what it tells whom it refuses."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from local_swarm import LIMIT, Recorder, make_file, node
from tracker_stores import at_once, new_store
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import ConfigError, TrackerRefusedError
from trio_swarm.events import NameRefused, Sharing
from trio_swarm.protocol.trackers.announces import AnnounceEvent, AnnounceRequest, ScrapeCounts
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.admission import reloading
from trio_swarm.tracker.admission.hash_lists import HashList
from trio_swarm.tracker.admission.list_files import Stamp
from trio_swarm.tracker.admission.patterns import NamePatterns
from trio_swarm.tracker.admission.refusals import Refusals
from trio_swarm.tracker.admission.reloading import ListFiles, check_lists
from trio_swarm.tracker.admission.rules import (
    DENIED,
    NAME_DENIED,
    NAME_NOT_ALLOWED,
    NOT_A_REGISTRAR,
    NOT_ALLOWED,
    REGISTRARS_ONLY,
    AdmissionRules,
)
from trio_swarm.tracker.admission.store import AdmittingStore
from trio_swarm.tracker.networks import Networks
from trio_swarm.tracker.server import serve_tracker
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Change,
    Claim,
    NameQuestion,
    StoreCounts,
    SwarmAnswer,
)

A, B, C = b"a" * 20, b"b" * 20, b"c" * 20
HOST, OTHER = b"\xc0\0\2\1", b"\xc0\0\2\2"
TOKEN = "ann-0123456789abcdef"
STOPPED, STARTED = int(AnnounceEvent.STOPPED), int(AnnounceEvent.STARTED)


def hashes(*listed: bytes) -> HashList:
    found = HashList()
    found.add_packed(b"".join(listed))
    return found


def told(info_hash: bytes, name: str = "", *, host: bytes = HOST, **more: Any) -> Announce:
    share = UrlShare(name, 7, more.get("token", b"")) if name else None
    return info_hash, host + b"\x1a\xe1", 0, more.get("event", 0), 50, share, b"p" * 20, 1


class Guarded:
    """A store with rules around a registry, and what it told of changes."""

    def __init__(self, rules: AdmissionRules, **settings: int) -> None:
        self.changes: list[Change] = []
        inner, self.registry = new_store(watch=self.changes.append, **settings)
        self.refusals = Refusals(rules)
        self.store = AdmittingStore(inner, self.refusals, registry=self.registry)

    def change(self, rules: AdmissionRules, *, settles: bool = True) -> None:
        self.refusals.rules = rules
        self.store.distrust()
        if settles:
            at_once(self.store.settle(no_pause))

    def announce(self, *announces: Announce) -> Sequence[SwarmAnswer | AnnounceRefusedError]:
        return at_once(self.store.announce(announces, 0.0))

    def names(self, *names: str) -> list[int]:
        pages = at_once(self.store.resolve([NameQuestion(name, 0, 9) for name in names]))
        return [page.total for page in pages]

    def refusal(self, claim: Claim) -> str | None:
        (said,) = at_once(self.store.claim([claim]))
        return said.refusal


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        (AdmissionRules(), {}),
        (AdmissionRules(deny=hashes(A)), {A: DENIED}),
        (AdmissionRules(allow=hashes(A, B)), {C: NOT_ALLOWED}),
        (AdmissionRules(allow=hashes(A, B), deny=hashes(B)), {B: DENIED, C: NOT_ALLOWED}),
        (AdmissionRules(allow=hashes()), {A: NOT_ALLOWED, B: NOT_ALLOWED, C: NOT_ALLOWED}),
    ],
)
def test_lists_of_hashes_say_which_torrents_are_tracked(
    rules: AdmissionRules, refused: dict[bytes, str]
) -> None:
    guarded = Guarded(rules)
    for _ in range(2):  # looked at anew, and remembered
        answers = guarded.announce(told(A), told(B), told(C), told(A, host=OTHER))
        said = [str(each) if isinstance(each, Exception) else None for each in answers]
        assert said == [refused.get(each) for each in (A, B, C, A)]
        counts = at_once(guarded.store.scrape([A, B, C, A]))
        listed = [0 if each in refused else 2 if each == A else 1 for each in (A, B, C, A)]
        assert [each.seeders for each in counts] == listed
    assert guarded.registry.counts().swarms == 3 - len(refused)


async def no_pause() -> None:
    """Give nobody a turn."""


@pytest.mark.parametrize("settles", [False, True])
def test_a_swarm_that_is_denied_later_is_neither_given_out_nor_found_and_may_part(
    *, settles: bool
) -> None:
    guarded = Guarded(AdmissionRules(deny=hashes(C)))
    guarded.announce(told(A, "film"), told(A, host=OTHER), told(B, "film", host=OTHER))
    assert guarded.names("film") == [2]
    guarded.change(AdmissionRules(deny=hashes(A)), settles=settles)
    (refusal,) = guarded.announce(told(A, "film"))
    assert isinstance(refusal, AnnounceRefusedError)
    assert str(refusal) == DENIED
    assert at_once(guarded.store.scrape([A])) == [ScrapeCounts(seeders=0, completed=0, leechers=0)]
    assert guarded.names("film") == [1]
    found = at_once(guarded.store.search(NameQuestion("f*", 0, 9), 0.0))
    assert (found.total, found.matches[0].info_hash) == (1, B)
    assert guarded.refusal(Claim("film", A, HOST)) == DENIED
    assert guarded.announce(told(A, event=STOPPED)) == [(0, 0, b"")]
    assert guarded.registry.scrape(A).seeders == (0 if settles else 1)
    guarded.change(AdmissionRules())
    assert guarded.announce(told(A, host=OTHER)) == [(1, 0, b"")]


def test_names_on_a_list_are_not_registered_and_their_peers_are_listed_without() -> None:
    guarded = Guarded(AdmissionRules(names_deny=NamePatterns(["*.exe"])))
    for event in (STARTED, 0, 0):
        answers = guarded.announce(told(A, "Setup.EXE", event=event), told(B, "film"))
        assert [answer[0] for answer in answers] == [1, 1]  # type: ignore[index]
    assert guarded.names("Setup.EXE", "film") == [0, 1]
    refused = [change for change in guarded.changes if change.kind == "name_refused"]
    assert refused == [Change("name_refused", A, HOST + b"\x1a\xe1", "Setup.EXE", NAME_DENIED)]
    assert guarded.refusal(Claim("Setup.EXE", A, HOST)) == NAME_DENIED
    assert guarded.refusal(Claim("film", B, HOST)) is None
    guarded.change(AdmissionRules(names_allow=NamePatterns(["linux*"])))
    assert guarded.names("film") == [0]
    assert guarded.refusal(Claim("film", B, HOST)) == NAME_NOT_ALLOWED
    guarded.announce(told(C, "Linux 7.iso"))
    assert guarded.names("Linux 7.iso") == [1]


def test_while_what_is_refused_is_taken_out_nothing_of_it_is_answered() -> None:
    guarded = Guarded(AdmissionRules(), max_peers_per_host=10_000)
    swarms = [bytes([number]) * 20 for number in range(40)]
    for number in range(2000):
        guarded.announce(told(swarms[number % 40], f"n{number % 40}", host=number.to_bytes(4)))
    denied = swarms[::2]
    pauses = 0

    async def look() -> None:
        nonlocal pauses
        pauses += 1
        answers = guarded.announce(*[told(each, "again") for each in denied])
        assert all(isinstance(answer, AnnounceRefusedError) for answer in answers)
        counts = at_once(guarded.store.scrape(swarms))
        assert [each.seeders for each in counts] == [0, 50] * 20
        found = at_once(guarded.store.search(NameQuestion("*", 0, 99), 0.0)).matches
        assert {match.info_hash for match in found} == set(swarms[1::2])
        assert guarded.names("n0", "n1", "again") == [0, 1, 0]

    guarded.change(AdmissionRules(deny=hashes(*denied)), settles=False)
    at_once(look())
    at_once(guarded.store.settle(look))
    assert pauses > 3
    assert guarded.registry.counts() == StoreCounts(swarms=20, peers=1000, names=20)
    at_once(look())
    # A later page of a search that was begun before is none of a former list either.
    at_once(guarded.store.search(NameQuestion("n*", 0, 1), 0.0))
    guarded.change(AdmissionRules(deny=hashes(*swarms)))
    assert at_once(guarded.store.search(NameQuestion("n*", 1, 99), 0.0)).matches == []
    assert guarded.registry.counts() == StoreCounts(swarms=0, peers=0, names=0)
    kinds = Counter(change.kind for change in guarded.changes)
    assert (kinds["registered"], kinds["expired"]) == (2000, 2000)


def test_an_announce_without_a_port_is_refused_like_any_other() -> None:
    guarded = Guarded(AdmissionRules(deny=hashes(A)))
    (refusal,) = guarded.announce((A, HOST + b"\0\0", 0, 0, 50, None, b"p" * 20, 1))
    assert isinstance(refusal, AnnounceRefusedError)


def test_heartbeats_ask_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Guarded(AdmissionRules())
    announces = [told(A, "film"), told(B), told(A, host=OTHER)]
    first = guarded.announce(*announces)
    guarded.change(AdmissionRules(deny=hashes(C), names_deny=NamePatterns(["*.exe"])))
    asked: list[object] = []
    monkeypatch.setattr(AdmissionRules, "hash_refusal", lambda _, each: asked.append(each))
    monkeypatch.setattr(Refusals, "share_refusal", lambda _, *each: asked.append(each))
    assert [answer[:2] for answer in guarded.announce(*announces)] == [(2, 0), (1, 0), (2, 0)]
    assert asked == []
    assert len(first) == 3


def tokens(tmp_path: Path, *listed: str) -> Path:
    file = tmp_path / "tokens.txt"
    file.write_text("\n".join(listed))
    file.chmod(0o600)
    return file


async def rules_of(**settings: Any) -> AdmissionRules:
    lists = ListFiles(TrackerSettings(**settings))
    await lists.load()
    return lists.rules


@pytest.mark.parametrize(
    ("register", "has_tokens", "may"),
    [
        (None, False, "HOST OTHER HOST+T OTHER+T HOST+X"),
        (("192.0.2.1",), False, "HOST HOST+T HOST+X"),
        (None, True, "HOST+T OTHER+T"),
        (("192.0.2.1",), True, "HOST HOST+T OTHER+T HOST+X"),
        ((), True, "HOST+T OTHER+T"),
        ((), False, ""),
        (("0.0.0.0/0", "::/0"), True, "HOST OTHER HOST+T OTHER+T HOST+X"),
    ],
)
async def test_who_may_register_names(
    tmp_path: Path, register: tuple[str, ...] | None, *, has_tokens: bool, may: str
) -> None:
    file = tokens(tmp_path, TOKEN) if has_tokens else None
    rules = await rules_of(register=register, register_tokens=file)
    who = {
        "HOST": (HOST, b""), "OTHER": (OTHER, b""), "HOST+X": (HOST, b"x" * 20),
        "HOST+T": (HOST, TOKEN.encode()), "OTHER+T": (OTHER, TOKEN.encode()),
    }  # fmt: skip
    for key, (host, token) in who.items():
        for _ in range(2):
            guarded = Guarded(rules)
            # Before it announces, and whether or not somebody asked before it.
            is_right = key in may.split()
            assert (guarded.refusal(Claim("film", A, host, token)) is None) is is_right
            guarded.announce(told(A, "film", host=host, token=token))
            guarded.announce(told(A, "film", host=host, token=token))
            assert guarded.names("film") == [int(is_right)]
            assert guarded.registry.scrape(A).seeders == 1


async def test_one_who_may_not_register_is_told_what_to_do_unless_somebody_else_has(
    tmp_path: Path,
) -> None:
    guarded = Guarded(await rules_of(register_tokens=tokens(tmp_path, TOKEN)))
    assert guarded.refusal(Claim("film", A, HOST)) == REGISTRARS_ONLY
    assert "announce?token=" in REGISTRARS_ONLY
    assert guarded.refusal(Claim("film", A, HOST, b"x" * 20)) == NOT_A_REGISTRAR
    guarded.announce(told(A, "film", host=OTHER, token=TOKEN.encode()), told(A, "film"))
    assert guarded.refusal(Claim("film", A, HOST)) is None
    near = Guarded(AdmissionRules(register=Networks(["10.0.0.0/8"])))
    assert near.refusal(Claim("film", A, HOST)) == (
        "names are registered from some addresses only here, and 192.0.2.1 is none of them: "
        "ask the operator (register)"
    )
    for text in (REGISTRARS_ONLY, NOT_A_REGISTRAR, DENIED, NOT_ALLOWED):
        assert len(text) <= 200  # an error message of BEP 15, "Errors"


async def test_a_name_ends_when_its_token_is_one_no_more(tmp_path: Path) -> None:
    rules = await rules_of(
        register=("192.0.2.2",), register_tokens=tokens(tmp_path, TOKEN, "other-" + TOKEN)
    )
    guarded = Guarded(rules)
    by_token = told(A, "film", token=TOKEN.encode())
    by_other = told(B, "other", token=b"other-" + TOKEN.encode())
    guarded.announce(by_token, by_other, told(C, "near", host=OTHER))
    assert guarded.names("film", "other", "near") == [1, 1, 1]
    guarded.announce(told(A, "film", token=b"other-" + TOKEN.encode()), by_other)
    guarded.announce(by_token)
    fewer = await rules_of(register=("192.0.2.2",), register_tokens=tokens(tmp_path, TOKEN))
    guarded.change(fewer)
    assert guarded.names("film", "other", "near") == [1, 0, 1]
    assert guarded.registry.scrape(B).seeders == 1
    guarded.announce(by_other, by_other)
    assert guarded.names("other") == [0]
    # Without its token it is as if it announced no name: the name ends with its lease.
    guarded.announce(told(A, "film"))
    assert guarded.names("film") == [1]
    at_once(guarded.store.announce([told(A, "film")], 80.0))
    at_once(guarded.store.announce([told(A, "film")], 160.0))
    assert guarded.names("film") == [0]
    refused = [change.info_hash for change in guarded.changes if change.kind == "name_refused"]
    assert refused == [A]


async def test_what_was_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_swarm.tracker.admission.refusals.MAX_REMEMBERED", 10)
    guarded = Guarded(AdmissionRules(deny=hashes(A), names_deny=NamePatterns(["*.exe"])))
    for number in range(100):
        guarded.announce(told(b"%020d" % number, f"n{number}"))
    assert len(guarded.refusals._names) <= 10
    assert guarded.names("n1", "n99") == [1, 1]


def test_secrets_are_in_no_representation() -> None:
    share, claim = UrlShare("film", 7, TOKEN.encode()), Claim("film", A, HOST, TOKEN.encode())
    for value in (share, claim, f"{share} {claim!s}", (share, claim)):
        assert TOKEN not in repr(value)


# --- Files ---


class Lists:
    """The lists of some settings, kept read, around a store."""

    def __init__(self, **settings: Any) -> None:
        self.files = ListFiles(TrackerSettings(**settings))
        inner, registry = new_store()
        self._inner, self._registry = inner, registry
        self.stores: list[Any] = []

    async def denies(self, info_hash: bytes) -> bool:
        (answer,) = await self.stores[0].announce([told(info_hash)], 0.0)
        return isinstance(answer, AnnounceRefusedError)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self.files.load()
        self.stores.append(self.files.guarded(self._inner, self._registry))
        task_status.started()
        await self.files.keep_read()


def write(file: Path, *listed: bytes, text: str = "") -> None:
    """Replace a file as `mv` does."""
    new = file.with_suffix(".new")
    new.write_text(text + "".join(f"{each.hex()}\n" for each in listed))
    new.replace(file)


async def until_denied(lists: Lists, info_hash: bytes, *, is_denied: bool = True) -> None:
    while await lists.denies(info_hash) is not is_denied:  # noqa: ASYNC110 - a file is read
        await trio.sleep(1)


async def test_a_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(
    tmp_path: Path, autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "deny.txt"
    write(file, A)
    lists = Lists(deny=file)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: lists.run(task_status=task_status))
        assert await lists.denies(A)
        assert not await lists.denies(B)
        write(file, B)
        await until_denied(lists, B)
        assert not await lists.denies(A)
        write(file, A, text="# half a line\nabc\n")
        while "nothing was changed" not in caplog.text:  # noqa: ASYNC110 - as above
            await trio.sleep(1)
        assert f"{file}:2: expected an info-hash" in caplog.text
        await trio.sleep(100 * reloading.LOOK_SECONDS)
        assert await lists.denies(B)
        file.unlink()
        while "cannot be read: No such file" not in caplog.text:  # noqa: ASYNC110 - as above
            await trio.sleep(1)
        assert await lists.denies(B)
        write(file, A)
        await until_denied(lists, A)
        nursery.cancel_scope.cancel()
    # Each fault was told once.
    assert caplog.text.count("nothing was changed") == 2


async def test_a_file_that_still_changes_is_read_when_it_rests_or_somebody_asks(
    tmp_path: Path, autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deny.txt"
    write(file, A)
    looks = 0

    def growing(_path: Path) -> Stamp:
        nonlocal looks
        looks += 1
        return Stamp(min(looks, 5), 0, 0)

    reads: list[int] = []
    monkeypatch.setattr(reloading, "stamp_of", growing)
    lists = Lists(deny=file)
    read = lists.files._read

    async def noted(name: str) -> None:
        reads.append(looks)
        await read(name)
        lists.files._stamps[name] = Stamp(looks, 0, 0)

    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: lists.run(task_status=task_status))
        lists.files._stamps["deny"] = Stamp(0, 0, 0)
        lists.files._read = noted  # type: ignore[method-assign]
        while not reads:  # noqa: ASYNC110 - as above
            await trio.sleep(1)
        assert reads == [6]
        lists.files.reload_soon()
        while len(reads) < 2:  # noqa: ASYNC110 - as above
            await trio.sleep(1)
        nursery.cancel_scope.cancel()


def test_what_is_wrong_with_files_is_said_of_each(tmp_path: Path) -> None:
    (tmp_path / "deny").write_text("x")
    settings = TrackerSettings(deny=tmp_path / "deny", names_deny=tmp_path / "names")
    errors = list(check_lists(settings))
    assert [error.key for error in errors] == ["deny", "names_deny"]
    assert str(errors[0]).startswith(f"{tmp_path}/deny:1: expected")


async def test_a_tracker_does_not_start_with_a_wrong_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^allow: .*allow.txt cannot be read: No such file"):
        await serve_tracker(TrackerSettings(port=0, allow=tmp_path / "allow.txt"))
    with pytest.raises(ConfigError, match=r"^register: not a network"):
        await serve_tracker(TrackerSettings(port=0, register=("x",)))


@pytest.mark.parametrize("scheme", ["udp", "http"])
async def test_a_running_tracker_refuses_what_a_list_denies_since_then(
    tmp_path: Path, scheme: str
) -> None:
    file = tmp_path / "deny.txt"
    file.touch()
    settings = TrackerSettings(host="127.0.0.1", port=0, deny=file)
    request = AnnounceRequest(info_hash=A, peer_id=B, port=7, left=0, key=1)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
            handle = await nursery.start(serve_tracker, settings)
            url = f"{scheme}://127.0.0.1:{handle.port}/announce"
            assert (await clients.announce(url, request)).seeders == 1
            write(file, A)
            handle.reload_lists()
            with pytest.raises(TrackerRefusedError, match="this tracker does not take") as refused:  # noqa: PT012
                while True:
                    await clients.announce(url, request)
            # BEP 31; an error over UDP has no place for it.
            assert refused.value.retry_in == (300 if scheme == "http" else None)
            assert (await clients.scrape(url, [A]))[A].seeders == 0
            parting = replace(request, event=AnnounceEvent.STOPPED)
            await clients.announce(url, parting)
            assert handle.counts().peers == 0
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("path", ["/announce?token={}", "/announce/{}"])
@pytest.mark.parametrize("scheme", ["udp", "http"])
async def test_a_seeder_registers_its_name_by_the_token_in_its_trackers_url(
    tmp_path: Path, scheme: str, path: str
) -> None:
    shared = make_file(tmp_path / "film.bin", 20_000)
    file = tokens(tmp_path, TOKEN)
    settings = TrackerSettings(host="127.0.0.1", port=0, register_tokens=file)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
            handle = await nursery.start(serve_tracker, settings)
            plain = f"{scheme}://127.0.0.1:{handle.port}/announce"
            url = plain.removesuffix("/announce") + path.format(TOKEN)
            stranger, known = Recorder(), Recorder()
            async with node(tmp_path / "1", plain, recorder=stranger) as first:
                torrent = await first.share(shared)
                refused = await stranger.wait_for(NameRefused)
                assert refused.reason == REGISTRARS_ONLY
                assert await clients.resolve(plain, "film.bin") == []
                assert (await clients.scrape(plain, [torrent.info_hash])) != {}
            async with node(tmp_path / "2", url, recorder=known) as second:
                await second.share(shared)
                await until_found(lambda: clients.resolve(plain, "film.bin"))
                assert known.of(NameRefused) == []
                # The question is answered to whoever has the token, before an announce, too.
                assert await clients.name_refusal(url, "new.bin", A) is None
                assert await clients.name_refusal(plain, "new.bin", A) == REGISTRARS_ONLY
                assert known.of(Sharing) != []
                # Whoever is given the link is not given the token.
                assert TOKEN not in known.of(Sharing)[0].magnet
            nursery.cancel_scope.cancel()


async def until_found(ask: Callable[[], Any]) -> None:
    while not await ask():  # noqa: ASYNC110 - the tracker is another task
        await trio.sleep(0.02)
