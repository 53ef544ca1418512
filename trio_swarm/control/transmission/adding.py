"""What `torrent-add` was given, looked at before anything is done."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from trio_swarm.control.transmission.calling import Arguments, CallError, Code
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.metainfo.torrent import MAX_TORRENT_SIZE
from trio_swarm.settings import MAX_LABELS, label_fault

MAX_COOKIES: Final = 8192
"""Most characters of cookies: a server that keeps to the usual limit refuses more."""
MAX_BASE64: Final = 4 * (MAX_TORRENT_SIZE // 3 + 1) + MAX_TORRENT_SIZE // 50
"""Most characters of a .torrent in base64, line breaks of every 76 characters included."""

Kind = Literal["metainfo", "url", "path", "named"]


class Source(Struct, frozen=True):
    """Where the torrent is: the text, and what it is.

    `metainfo` is base64, `url` an address of a .torrent, `path` a file of this machine, `named` a
    magnet link, an info-hash or a name.
    """

    kind: Kind
    text: str
    cookies: str = ""


def source_of(arguments: Arguments) -> Source:
    """Return where the torrent of a `torrent-add` is; raises CallError."""
    metainfo = arguments.text("metainfo")
    filename = (arguments.text("filename") or "").strip()
    if metainfo:
        return Source("metainfo", metainfo)
    if not filename:
        raise CallError("no filename or metainfo specified")
    if "\0" in filename:
        raise CallError("filename has a character that no file name has")
    if re.match(r"https?://", filename, re.IGNORECASE):
        return Source("url", filename, _cookies(arguments))
    if filename[:7].lower() == "file://":
        return Source("path", unquote(urlsplit(filename).path))
    if filename.startswith("/"):
        return Source("path", filename)
    if re.match(r"[a-z][a-z0-9+.-]*://", filename, re.IGNORECASE):
        raise CallError("only http and https addresses of a .torrent can be fetched")
    if filename.lower().endswith(".torrent") and filename[:7].lower() != "magnet:":
        raise CallError(f"{shown(filename)}: not an absolute path", Code.PATH_NOT_ABSOLUTE)
    return Source("named", filename)


def decoded(metainfo: str) -> bytes:
    """Return the .torrent that base64 holds; line breaks in it are left out. Raises CallError."""
    if len(metainfo) > MAX_BASE64:
        raise CallError("a .torrent that is too large", Code.CORRUPT_TORRENT)
    try:
        return base64.b64decode("".join(metainfo.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CallError("invalid or corrupt torrent file", Code.CORRUPT_TORRENT) from error


def labels_of(arguments: Arguments) -> tuple[str, ...] | None:
    """Return the labels, each once; None where there are none to set. Raises CallError."""
    labels = arguments.texts("labels", most=MAX_LABELS)
    if labels is None:
        return None
    kept = tuple(dict.fromkeys(label.strip() for label in labels))
    for label in kept:
        fault = label_fault(label)
        if fault is not None:
            raise CallError(f"a label {fault}")
    return kept


def refuse_choice_of_files(arguments: Arguments, *, empty_is_all: bool) -> None:
    """Raise CallError if files are to be left out or preferred: all are fetched, as one needs them.

    An empty list means all files in `torrent-set`, and none in `torrent-add`.
    """
    reasons = {
        "files_unwanted": "a torrent is fetched whole: no file can be left out",
        "priority_high": "no file can be preferred: a strategy decides what comes first",
        "priority_low": "no file can be put last: a strategy decides what comes first",
    }
    for name, reason in reasons.items():
        files: Sequence[object] | None = arguments.listed(name)
        if files is not None and (files or empty_is_all):
            raise CallError(reason)
    for name in ("files_wanted", "priority_normal"):
        arguments.listed(name)


def _cookies(arguments: Arguments) -> str:
    cookies = arguments.text("cookies") or ""
    if len(cookies) > MAX_COOKIES or not (
        (cookies.isascii() and cookies.isprintable()) or not cookies
    ):
        raise CallError("cookies must be NAME=VALUE in printable characters")
    return cookies
