"""What the processes of a tracker say to each other: one message a packet of SOCK_SEQPACKET.

A question and its answer have the same number. An answer may come to the successor of the asker:
numbers begin at random, so it finds nobody who waits for it.
"""

from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from trio_swarm.events import TrackerChange, TrackerShared, TrackerSharedAlone, TrackerSummary
from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.seen.figures import Seen, TrackerFigures
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.interface import (
    AnnounceRefusedError,
    Claim,
    ClaimAnswer,
    MatchPage,
    NameQuestion,
    NoRoomError,
    SwarmAnswer,
)

MAX_MESSAGE: Final = 128 * 1024
"""Bytes of one message: less than the least buffer of a socket pair that Linux gives (208 KiB)."""

ANNOUNCES_AT_ONCE: Final = 64
"""In one message: the answers take 1,200 bytes each at most."""

HASHES_AT_ONCE: Final = 1024
"""In one message: the answers take 60 bytes each at most."""

NAMES_AT_ONCE: Final = 4
"""In one message: the holders of a name (`names.MAX_HOLDERS_OF_NAME`) take 22 KB at most."""

MATCHES_AT_ONCE: Final = 200
"""Of a search, in one message: 68 KB at most."""


class Setup(Struct, frozen=True, array_like=True, tag="setup"):
    """The parent's first words to a worker: all that it has to know."""

    settings: TrackerSettings
    """Of this worker: its share of the bounds."""
    secret: bytes
    number: int
    datagram: list[int]
    """Descriptors of its UDP sockets."""
    listeners: list[int]
    """Descriptors of the TCP listeners, which all workers have."""
    siblings: dict[int, int]
    """By the number of another worker: the descriptor of a socket to it."""
    tells: bool
    """Whether it tells what changes."""
    level: int
    """From which on its log lines are shown, as of `logging`."""


class Ready(Struct, frozen=True, array_like=True, tag="ready"):
    """A worker serves."""


class ReloadLists(Struct, frozen=True, array_like=True, tag="reload"):
    """The lists of what is taken are to be read again."""


class Figures(Struct, frozen=True, array_like=True, tag="figures"):
    """How much a worker answered since it started, and what it holds."""

    figures: TrackerFigures


class AskSeen(Struct, frozen=True, array_like=True, tag="seen?"):
    """What is to be seen of the other."""

    number: int


class ToldSeen(Struct, frozen=True, array_like=True, tag="seen"):
    """It is this."""

    number: int
    seen: Seen


class Happened(Struct, frozen=True, array_like=True, tag="happened"):
    """An event of a worker: of its journal, or of the exchange with other trackers."""

    change: TrackerChange | None = None
    summary: TrackerSummary | None = None
    shared: TrackerShared | None = None
    alone: TrackerSharedAlone | None = None


class Logged(Struct, frozen=True, array_like=True, tag="logged"):
    """A log line of a worker."""

    level: int
    logger: str
    text: str


class AskAnnounces(Struct, frozen=True, array_like=True, tag="announces"):
    """Announces of swarms that the other owns."""

    number: int
    announces: list[tuple[bytes, bytes, int, int, int, UrlShare | None, bytes, int]]


class AskScrapes(Struct, frozen=True, array_like=True, tag="scrapes"):
    """Scrapes of swarms that the other owns."""

    number: int
    info_hashes: list[bytes]


class AskNames(Struct, frozen=True, array_like=True, tag="names"):
    """Names, of which the other may own some holders."""

    number: int
    questions: list[NameQuestion]


class AskClaims(Struct, frozen=True, array_like=True, tag="claims"):
    """Claims of info-hashes that the other owns."""

    number: int
    claims: list[Claim]


class AskSearch(Struct, frozen=True, array_like=True, tag="search"):
    """A search, among the names of the other or (`everywhere`) of all."""

    number: int
    question: NameQuestion
    everywhere: bool


class Refusal(Struct, frozen=True):
    """An announce that was refused."""

    text: str
    is_full: bool
    """Whether it may be taken later."""


class ToldAnnounces(Struct, frozen=True, array_like=True, tag="announced"):
    """Answers to AskAnnounces, in its order."""

    number: int
    answers: list[tuple[int, int, bytes] | Refusal]


class ToldScrapes(Struct, frozen=True, array_like=True, tag="scraped"):
    """Answers to AskScrapes, in its order."""

    number: int
    counts: list[ScrapeCounts]


class ToldNames(Struct, frozen=True, array_like=True, tag="named"):
    """Answers to AskNames, in its order."""

    number: int
    pages: list[MatchPage]


class ToldClaims(Struct, frozen=True, array_like=True, tag="claimed"):
    """Answers to AskClaims, in its order."""

    number: int
    answers: list[ClaimAnswer]


class ToldSearch(Struct, frozen=True, array_like=True, tag="searched"):
    """The answer to AskSearch."""

    number: int
    page: MatchPage


Word: TypeAlias = Setup | Ready | ReloadLists | Figures | Happened | Logged
Question: TypeAlias = AskAnnounces | AskScrapes | AskNames | AskClaims | AskSearch | AskSeen
Answer: TypeAlias = ToldAnnounces | ToldScrapes | ToldNames | ToldClaims | ToldSearch | ToldSeen
Message: TypeAlias = Question | Answer | Word


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _special(kind: type, value: Any) -> object:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(kind)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(Message, dec_hook=_special)


def encode(message: Message) -> bytes:
    """Return the bytes of a message."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """Return a message of the same tracker; msgspec.MsgspecError if it is none."""
    return _decoder.decode(data)


def packed_answer(answer: SwarmAnswer | AnnounceRefusedError) -> tuple[int, int, bytes] | Refusal:
    """Return an announce's answer as ToldAnnounces has it."""
    if isinstance(answer, AnnounceRefusedError):
        return Refusal(str(answer), isinstance(answer, NoRoomError))
    seeders, leechers, peers = answer
    return seeders, leechers, bytes(peers)


def unpacked_answer(packed: tuple[int, int, bytes] | Refusal) -> SwarmAnswer | AnnounceRefusedError:
    """Return what `packed_answer` packed."""
    if isinstance(packed, Refusal):
        return NoRoomError(packed.text) if packed.is_full else AnnounceRefusedError(packed.text)
    return packed
