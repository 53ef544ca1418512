"""What a tracker answers over HTTP when it is asked for names: bytes and back. Pure.

    GET /names?name=NAME              the torrents that hold exactly this name
    GET /names?pattern=GLOB&offset=N  those whose names match, after N of them
    GET /names?name=NAME&info_hash=H  whether H holds the name, or would if we announced it

The answer is a bencoded dictionary: `names` is a list, in the order that UDP has
(docs/tracker-protocol.md, "Resolve a name"), of dictionaries with `complete`, `incomplete`,
`info_hash`, `name` and `size`; `total` is how many there are beyond this page. A claim that would
be refused has an empty list and the `reason`. A refusal of the question is a `failure reason`.
"""

from collections.abc import Sequence
from typing import Final

from trio_swarm.errors import BencodeError, RemoteProtocolError
from trio_swarm.foreign_text import printable
from trio_swarm.protocol.bencode import Encodable, Value, decode, encode
from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.protocol.trackers.share_names import name_fault
from trio_swarm.protocol.trackers.udp import MAX_ANSWER, NamePage

MAX_MATCHES: Final = 200
"""Matches of one answer: 75 KB of the longest names."""

MAX_REASON: Final = 200
"""Characters of a reason believed."""


def names_answer(total: int, matches: Sequence[NameMatch], reason: str = "") -> bytes:
    """Return an answer of some of `total` matches; `reason`: why a claim would be refused."""
    answer: dict[str, Encodable] = {
        "names": [
            {
                "complete": match.seeders,
                "incomplete": match.leechers,
                "info_hash": match.info_hash,
                "name": match.name,
                "size": match.size,
            }
            for match in matches
        ],
        "total": total,
    }
    if reason:
        answer["reason"] = reason
    return encode(answer)


def parse_names_answer(body: bytes) -> tuple[NamePage, str | None]:
    """Return the matches, and why there are none if it is told, fit to show.

    Left out is what makes no sense, as over UDP. RemoteProtocolError if this is no such answer.
    """
    try:
        answer = decode(body)
    except BencodeError as error:
        raise RemoteProtocolError(f"not an answer about names: {error}") from error
    listed = answer.get(b"names") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(listed, list):
        raise RemoteProtocolError("not an answer about names")
    matches = [match for item in listed if (match := _match(item)) is not None]
    reason = answer.get(b"reason")
    told = printable(reason, MAX_REASON) if isinstance(reason, bytes) else ""
    return NamePage(_number(answer, b"total"), tuple(matches), len(listed)), told or None


def _match(item: Value) -> NameMatch | None:
    if not isinstance(item, dict):
        return None
    info_hash, name = item.get(b"info_hash"), item.get(b"name")
    if not isinstance(info_hash, bytes) or len(info_hash) != 20 or not isinstance(name, bytes):
        return None
    text = name.decode(errors="surrogateescape")  # surrogates are no name
    if name_fault(text, max_bytes=MAX_ANSWER) is not None:
        return None
    return NameMatch(
        info_hash,
        _number(item, b"size"),
        _number(item, b"complete"),
        _number(item, b"incomplete"),
        text,
    )


def _number(dictionary: dict[bytes, Value], key: bytes) -> int:
    value = dictionary.get(key)
    return max(0, value) if isinstance(value, int) else 0
