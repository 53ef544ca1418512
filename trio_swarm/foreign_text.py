"""A stranger's text as it may stand in a message: of bounded length, and with nothing that steers.

Whoever puts bytes or text of a peer, a tracker, a torrent or a link into an error, an event or a
log passes it through `shown`. Pure, and needed by every layer.
"""

from typing import Final

SHOWN_LENGTH: Final = 160
"""Characters of a stranger's text in a message: two lines of a terminal. Names and reasons that are
meant to be read are shorter, and what is longer was not written for people."""

ERROR_TEXT_LENGTH: Final = 1000
"""Characters of a plugin's error: whoever wrote the plugin may need them all."""

_CUT = "…"

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian, Indian scripts and emoji are written; they steer nothing."""


def printable(message: bytes, limit: int) -> str:
    """Return what can be printed of a UTF-8 message that is meant for people; "" if nothing can."""
    text = message[: 4 * limit].decode(errors="replace")
    return "".join(filter(str.isprintable, text))[:limit].strip()


def shown(text: str | bytes, limit: int = SHOWN_LENGTH) -> str:
    r"""Return `text` on one line of at most `limit` characters, escapes such as `\x1b` included.

    Control characters, line breaks, marks that turn the direction of writing, lone surrogates and
    whatever else cannot be printed become escapes; so do bytes that are not UTF-8. What is cut off
    ends with `…`. Takes no longer for a text of megabytes than for one of `limit` characters.
    """
    if isinstance(text, bytes):
        # A character has at most four bytes, and one that is cut in two is beyond the limit.
        text = text[: 4 * limit + 4].decode(errors="backslashreplace")
    head = text[: limit + 1]
    if len(head) <= limit and head.isprintable():
        return head
    parts: list[str] = []
    length = 0
    for character in head:
        part = _escaped(character)
        length += len(part)
        if length > limit:
            return _cut(parts, limit)
        parts.append(part)
    return "".join(parts)


def quoted(value: object, limit: int = SHOWN_LENGTH) -> str:
    """Return `value`, given where something else was expected, as Python writes it, but bounded."""
    if isinstance(value, str | bytes):
        value = value[: limit + 1]
    return shown(repr(value), limit)


def error_text(error: BaseException) -> str:
    """Return another author's error on one bounded line: its type, which often says most, and text.

    An error that cannot even say its text is its type alone.
    """
    kind = type(error).__name__
    text = _text_of(error)
    return shown(f"{kind}: {text}" if text else kind, ERROR_TEXT_LENGTH)


def error_words(error: BaseException) -> str:
    """Return the text of another author's error, as `error_text`, or its type if it has none."""
    return shown(_text_of(error) or type(error).__name__, ERROR_TEXT_LENGTH)


def _text_of(error: BaseException) -> str:
    try:
        return " ".join(str(error)[: 4 * ERROR_TEXT_LENGTH].split())
    except Exception:  # noqa: BLE001 - it is a plugin's, and may raise anything
        return ""


def _escaped(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode()


def _cut(parts: list[str], limit: int) -> str:
    """Return whole parts with the sign that something is missing."""
    length = sum(map(len, parts))
    while parts and length + len(_CUT) > limit:
        length -= len(parts.pop())
    return ("".join(parts) + _CUT)[:limit]
