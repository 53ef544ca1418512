"""A stranger's text, made safe for a message: bounded in length, without control characters.

Every error, event and log line that quotes a peer, a tracker, a torrent or a link passes the quoted
text through `shown`. The module is pure, and every layer uses it.
"""

from typing import Final

SHOWN_LENGTH: Final = 160
"""Characters of a stranger's text in a message: two lines of a terminal. Names and reasons written
for people are shorter."""

ERROR_TEXT_LENGTH: Final = 1000
"""Characters of a plugin's error: its author may need the whole of it."""

_CUT = "…"

_JOINERS = "\u200c\u200d"
"""Invisible joiners, without which Persian, Indian scripts and emoji are written wrong; they are
harmless."""


def printable(message: bytes, limit: int) -> str:
    """Return the printable part of a UTF-8 message meant for people; "" if there is none."""
    text = message[: 4 * limit].decode(errors="replace")
    return "".join(filter(str.isprintable, text))[:limit].strip()


def shown(text: str | bytes, limit: int = SHOWN_LENGTH) -> str:
    r"""Return `text` on one line of at most `limit` characters.

    Unprintable characters become escapes such as `\x1b`: control characters, line breaks, marks
    that change the writing direction, lone surrogates, and bytes that are not UTF-8. A shortened
    text ends with `…`. The time depends on `limit` and not on the length of the text.
    """
    if isinstance(text, bytes):
        # A character has at most four bytes. A character that this cuts in two lies beyond the
        # limit.
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
    """Return the `repr` of an unexpected value, of at most `limit` characters."""
    if isinstance(value, str | bytes):
        value = value[: limit + 1]
    return shown(repr(value), limit)


def error_text(error: BaseException) -> str:
    """Return another author's error on one bounded line: its type and its text.

    An error whose `str()` fails is shown by its type alone.
    """
    kind = type(error).__name__
    text = _text_of(error)
    return shown(f"{kind}: {text}" if text else kind, ERROR_TEXT_LENGTH)


def error_words(error: BaseException) -> str:
    """Return the bounded text of another author's error; its type if it has no text."""
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
    """Return as many whole `parts` as fit in `limit` with the mark `…` after them."""
    length = sum(map(len, parts))
    while parts and length + len(_CUT) > limit:
        length -= len(parts.pop())
    return ("".join(parts) + _CUT)[:limit]
