"""Files of info-hashes, names and tokens: their lines to lists. Blocking, no event loop.

One entry a line. Empty lines, and lines that begin with #, are passed over, and so is what follows
an info-hash or a token after a blank.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import quoted
from trio_swarm.named_paths import opened
from trio_swarm.protocol.trackers.share_names import MAX_WILDCARDS, name_fault, simple_glob
from trio_swarm.tracker.admission.hash_lists import HASH_SIZE, HashList
from trio_swarm.tracker.admission.patterns import MAX_PATTERNS, NamePatterns, is_pattern
from trio_swarm.tracker.admission.tokens import MIN_TOKEN_BYTES, Tokens, is_token

MAX_HASHES_FILE: Final = 128 * 2**20
"""Bytes: three million info-hashes, which take 75 MiB of memory."""

MAX_NAMES_FILE: Final = 4 * 2**20
"""Bytes of a file of names or tokens."""

MAX_LINE: Final = 1_024
"""Bytes; a name has at most 255."""

_CHUNK: Final = 2**16
"""Bytes read at once: 1 ms of work, after which others get their turn."""

_ONLY_HASHES: Final = re.compile(rb"(?:[0-9A-Fa-f]{40}\r?\n)*")
_HASH: Final = re.compile(rb"([0-9A-Fa-f]{40})(?:[0-9A-Fa-f]{24})?(?:[ \t].*)?")
_MARK: Final = b"\xef\xbb\xbf"
"""What editors on Windows put before UTF-8."""

_List = TypeVar("_List")


class Stamp(NamedTuple):
    """What differs when a file was written again or replaced."""

    changed: int
    """Nanoseconds."""
    size: int
    number: int


def stamp_of(path: Path) -> Stamp | None:
    """Return a file's stamp, None if it is not there."""
    try:
        return _stamp(path.stat())
    except (OSError, ValueError):
        return None


def read_hashes(path: Path) -> tuple[HashList, Stamp]:
    """Return the info-hashes of a file; of those of version 2, the first 20 bytes.

    ConfigError, with file and line, if the file cannot be read or a line is wrong.
    """
    return _read(path, MAX_HASHES_FILE, _hashes)


def read_names(path: Path) -> tuple[NamePatterns, Stamp]:
    """Return the names and patterns of a file of UTF-8; ConfigError as `read_hashes`."""
    return _read(path, MAX_NAMES_FILE, lambda chunks: NamePatterns(_names(chunks)))


def read_tokens(path: Path) -> tuple[Tokens, Stamp]:
    """Return the tokens of a file, which nobody else may read; ConfigError as `read_hashes`."""
    return _read(path, MAX_NAMES_FILE, lambda chunks: Tokens(_tokens(chunks)), is_secret=True)


class _LineError(Exception):
    """A line that is wrong."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"{line}: {reason}")
        self.line = line
        self.reason = reason


class _Lines(NamedTuple):
    """Whole lines of a file; `first` is the number of the first, from 1."""

    first: int
    text: bytes
    """Ends with a line feed."""


def _read(
    path: Path,
    most: int,
    parse: Callable[[Iterator[_Lines]], _List],
    *,
    is_secret: bool = False,
) -> tuple[_List, Stamp]:
    try:
        with opened(path) as stream:
            status = os.fstat(stream.fileno())
            if is_secret and stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise ConfigError(f"others can read {path}: chmod 600 {path}")
            return parse(_lines(stream.read, most)), _stamp(status)
    except _LineError as error:
        raise ConfigError(f"{path}:{error.line}: {error.reason}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}") from error


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)


def _lines(read: Callable[[int], bytes], most: int) -> Iterator[_Lines]:
    """Yield the lines of a file, as many at once as are read at once."""
    number, total, rest = 1, 0, b""
    while chunk := read(_CHUNK):
        text = rest + chunk
        if total == 0:
            text = text.removeprefix(_MARK)
        total += len(chunk)
        if total > most:
            raise _LineError(number, f"the file is larger than {most:,} bytes")
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if end:
            yield _Lines(number, text[:end])
            number += text.count(b"\n", 0, end)
        if len(rest) > MAX_LINE:
            raise _LineError(number, f"the line is longer than {MAX_LINE:,} bytes")
    if rest:
        yield _Lines(number, rest + b"\n")


def _entries(chunks: Iterator[_Lines]) -> Iterator[tuple[int, bytes]]:
    """Yield number and text of each line that holds something."""
    for first, text in chunks:
        for number, line in enumerate(text[:-1].split(b"\n"), first):
            if len(line) > MAX_LINE:
                raise _LineError(number, f"the line is longer than {MAX_LINE:,} bytes")
            entry = line.strip()
            if entry and not entry.startswith(b"#"):
                yield number, entry


def _hashes(chunks: Iterator[_Lines]) -> HashList:
    found = HashList()
    for lines in chunks:
        if _ONLY_HASHES.fullmatch(lines.text):
            found.add_packed(bytes.fromhex(lines.text.decode()))
            continue
        for number, entry in _entries(iter((lines,))):
            hexadecimal = _HASH.fullmatch(entry)
            if hexadecimal is None:
                expected = (
                    "an info-hash in 40 or 64 hex digits, and what else there is behind a blank"
                )
                raise _LineError(number, f"expected {expected}, got {quoted(_text(entry))}")
            found.add_packed(bytes.fromhex(hexadecimal[1].decode())[:HASH_SIZE])
    return found


def _names(chunks: Iterator[_Lines]) -> Iterator[str]:
    patterns = 0
    for number, entry in _entries(chunks):
        try:
            text = entry.decode()
        except UnicodeDecodeError:
            raise _LineError(number, "not UTF-8: save the file as UTF-8") from None
        if fault := name_fault(text):
            raise _LineError(number, f"no tracker has such a name: {fault}")
        if is_pattern(text):
            patterns += 1
            if sum(map(simple_glob(text).count, "*?[")) > MAX_WILDCARDS:
                raise _LineError(number, f"a pattern may hold {MAX_WILDCARDS} wildcards (* ? [)")
            if patterns > MAX_PATTERNS:
                raise _LineError(number, f"more than {MAX_PATTERNS:,} patterns with wildcards")
        yield text


def _tokens(chunks: Iterator[_Lines]) -> Iterator[bytes]:
    for number, entry in _entries(chunks):
        token = entry.split(None, 1)[0]
        if not is_token(token):
            # Without the line: a token with one bad character is a token still.
            raise _LineError(
                number,
                f"expected a token of at least {MIN_TOKEN_BYTES} letters, digits, and . _ ~ -",
            )
        yield token


def _text(entry: bytes) -> str:
    return entry.decode("utf-8", "replace")
