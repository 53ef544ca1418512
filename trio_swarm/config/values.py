"""The values people type, in TOML and on the command line: sizes, rates, addresses, URLs.

Each function takes a typed value and raises `ConfigError` that says which values are right; the
caller adds the file and key, or the flag.
"""

import re
from datetime import time
from ipaddress import ip_network
from pathlib import Path

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import quoted
from trio_swarm.protocol.addresses import Address, format_address, host_fault, parse_host_port
from trio_swarm.protocol.trackers.urls import parse_tracker_url
from trio_swarm.settings import label_fault

_NUMBER_AND_UNIT = r"(?a:\s*(\d{1,18}(?:\.\d{1,9})?)\s*([a-zA-Z]*)\s*)"
_BYTES_PER_UNIT = {
    "": 1,
    "b": 1,
    # As in rsync, dd and curl: a bare letter is binary, and so is the -iB form.
    **{
        f"{letter}{tail}": 1024**power
        for power, letter in enumerate("kmgt", 1)
        for tail in ("", "i", "ib")
    },
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
}
_BYTES_PER_RATE_UNIT = _BYTES_PER_UNIT | {
    f"{letter}bit": 1000**power / 8 for power, letter in enumerate("kmgt", 1)
}
MAX_SIZE = 2**62
"""Above any file; below the limit of a 64-bit integer."""
MAX_PIECE_LENGTH = 64 * 1024**2
"""Of torrents made here; larger pieces are read, but many clients do not read them."""
MIN_PIECE_LENGTH = 16 * 1024
"""Bytes: the block size of BEP 3. Smaller ones are read, but need not be made."""
UNLIMITED = "unlimited"


def parse_size(value: object) -> int:
    """Return bytes from an integer or text like `500k`, `10MiB`, `5M` (binary) or `10MB`."""
    return _scaled(value, _BYTES_PER_UNIT, "a size such as 10MiB, 500k or 1048576")


def write_size(size: int) -> str:
    """Return bytes as the shortest text that `parse_size` reads as exactly so many: `32MiB`."""
    unit = 1
    for name in ("", "KiB", "MiB", "GiB"):
        if not size or size % (1024 * unit):
            return f"{size // unit}{name}"
        unit *= 1024
    return f"{size // unit}TiB"


def parse_piece_length(value: object) -> int:
    """Return bytes of a piece from a size: a power of two, 16 KiB to 64 MiB."""
    length = parse_size(value)
    if not MIN_PIECE_LENGTH <= length <= MAX_PIECE_LENGTH or length & (length - 1):
        raise ConfigError(f"expected a power of two from 16KiB to 64MiB, got {quoted(value)}")
    return length


def parse_rate(value: object) -> int | None:
    """Return bytes/s from a size (`/s` may follow) or `10Mbit`; None for 0 and `unlimited`."""
    if isinstance(value, str):
        value = value.strip().removesuffix("/s")
        if value.lower() == UNLIMITED:
            return None
    expected = f"a rate such as 10MiB, 500k/s, 20Mbit or {UNLIMITED}"
    return _scaled(value, _BYTES_PER_RATE_UNIT, expected) or None


def write_rate(rate: int | None) -> str:
    """Return a text that `parse_rate` reads as `rate` bytes/s."""
    return UNLIMITED if rate is None else write_size(rate)


def _scaled(value: object, factors: dict[str, float], expected: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := re.fullmatch(_NUMBER_AND_UNIT, value)):
        number, unit = match.groups()
        factor = factors.get(unit.lower())
        if factor is None:
            raise ConfigError(f"expected {expected}, got {quoted(value)}")
        size = int(float(number) * factor) if "." in number else int(int(number) * factor)
    else:
        raise ConfigError(f"expected {expected}, got {quoted(value)}")
    if not 0 <= size <= MAX_SIZE:
        raise ConfigError(f"expected {expected}, got {quoted(value)}, which is out of range")
    return size


def parse_listen(value: object) -> Address:
    """Return (host, port) from `HOST:PORT`, `:PORT` or `PORT`; host "" is every address."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    expected = "HOST:PORT, :PORT or PORT"
    if not isinstance(value, str):
        raise ConfigError(f"expected {expected}, got {quoted(value)}")
    text = value.strip()
    if text.isdecimal():
        text = f":{text}"
    try:
        host, port = parse_host_port(text)
    except ConfigError as error:
        raise ConfigError(f"expected {expected}, got {quoted(value)}") from error
    return ("" if host == "*" else host), port


def write_listen(address: Address) -> str:
    """Return a text that `parse_listen` reads as `address`."""
    return format_address(address)


def parse_network(value: object) -> str:
    """Return an IP network, such as `10.0.0.0/8` or `::1`, as it is usually written."""
    expected = "an IP address or network such as 10.0.0.0/8"
    if not isinstance(value, str):
        raise ConfigError(f"expected {expected}, got {quoted(value)}")
    try:
        network = ip_network(value.strip())
    except ValueError:
        try:
            meant = ip_network(value.strip(), strict=False)
        except ValueError:
            raise ConfigError(f"expected {expected}, got {quoted(value)}") from None
        raise ConfigError(
            f"expected {expected}, got {quoted(value)}; did you mean {meant}?"
        ) from None
    is_address = network.num_addresses == 1
    return str(network.network_address if is_address else network)


ANYONE = "anyone"
_EVERYWHERE = ("0.0.0.0/0", "::/0")


def parse_networks(value: object) -> tuple[str, ...]:
    """Return IP networks from a list of them, or all of them from `anyone`."""
    if value == ANYONE:
        return _EVERYWHERE
    if not isinstance(value, list | tuple):
        raise ConfigError(f'expected "{ANYONE}" or a list of networks, got {quoted(value)}')
    return tuple(parse_network(each) for each in value)


def write_networks(networks: tuple[str, ...] | None) -> object:
    """Return what `parse_networks` reads as these."""
    return ANYONE if networks is None or networks == _EVERYWHERE else list(networks)


def parse_host(value: object) -> str:
    """Return the name of a host, in lower case, without a port."""
    if not isinstance(value, str) or host_fault(value.strip()) is not None:
        raise ConfigError(f"expected the name of a host, got {quoted(value)}")
    return value.strip().lower()


def parse_peer(value: object) -> Address:
    """Return the (host, port) of one peer to connect to, from `HOST:PORT`."""
    expected = "HOST:PORT of a peer"
    if not isinstance(value, str):
        raise ConfigError(f"expected {expected}, got {quoted(value)}")
    try:
        host, port = parse_host_port(value.strip())
    except ConfigError as error:
        raise ConfigError(f"expected {expected}, got {quoted(value)}") from error
    if not host or not port:
        raise ConfigError(f"expected {expected}, got {quoted(value)}")
    return host, port


def parse_label(value: object) -> str:
    """Return what a torrent is sorted by, checked."""
    if not isinstance(value, str):
        raise ConfigError(f"expected a label, got {quoted(value)}")
    fault = label_fault(value)
    if fault is not None:
        raise ConfigError(f"a label {fault}; got {quoted(value)}")
    return value


def parse_glob(value: object) -> str:
    """Return a glob of files in a torrent, checked: see `protocol.metainfo.selection`."""
    if not isinstance(value, str):
        raise ConfigError(f"expected a glob, got {quoted(value)}")
    # Every command reads values, and few of them globs.
    from trio_swarm.protocol.metainfo.globs import check_globs  # noqa: PLC0415

    check_globs([value])
    return value


def parse_tracker(value: object) -> str:
    """Return a tracker's URL, checked: `udp://HOST:PORT`, `http://…` or `https://…`."""
    if not isinstance(value, str):
        raise ConfigError(f"expected a tracker's URL such as udp://HOST:6969, got {quoted(value)}")
    url = value.strip()
    parse_tracker_url(url)
    return url


def parse_engine(value: object) -> str:
    """Return the URL of a Redis or Valkey server, checked; an error never quotes it."""
    from trio_swarm.tracker.shared.locations import (  # noqa: PLC0415  few trackers share
        EXPECTED,
        parse_location,
    )

    if not isinstance(value, str):
        raise ConfigError(f"expected {EXPECTED}")
    parse_location(value)
    return value.strip()


def shown_engine(url: str) -> str:
    """Return the URL of a Redis or Valkey server without user and password."""
    from trio_swarm.tracker.shared.locations import parse_location  # noqa: PLC0415  as above

    return str(parse_location(url))


def parse_tracker_list(text: str) -> tuple[str, ...]:
    """Return the URLs of a list separated by commas or blanks, as in `TRIO_SWARM_TRACKER`."""
    return tuple(parse_tracker(url) for url in re.split(r"[,\s]+", text) if url)


def parse_info_hash(value: object) -> bytes:
    """Return the 20 bytes of an info-hash typed as 40 hex digits."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{40}", value.strip()):
        return bytes.fromhex(value.strip())
    raise ConfigError(f"expected an info-hash of 40 hex digits, got {quoted(value)}")


MIN_HASH_PREFIX = 4
"""Hex digits that may stand for an info-hash: fewer would be names as often."""


def is_hash_prefix(text: str) -> bool:
    """Whether `text` may be the beginning of an info-hash in hex."""
    return MIN_HASH_PREFIX <= len(text) < 40 and re.fullmatch(r"[0-9a-fA-F]+", text) is not None


def parse_hash_or_prefix(value: object) -> bytes | str:
    """Return the 20 bytes of an info-hash, or the first hex digits of one (at least 4).

    One of version 2 is cut to its first 20 bytes, by which trackers and peers know it (BEP 52).
    """
    if isinstance(value, str) and is_hash_prefix(value.strip()):
        return value.strip().lower()
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{64}", value.strip()):
        return bytes.fromhex(value.strip())[:20]
    try:
        return parse_info_hash(value)
    except ConfigError:
        raise ConfigError(
            "expected an info-hash of 40 or 64 hex digits, or "
            f"the first {MIN_HASH_PREFIX} or more, got {quoted(value)}"
        ) from None


def parse_option(text: str) -> tuple[str, str]:
    """Return key and value of one `--option KEY=VALUE`."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"expected KEY=VALUE, got {quoted(text)}")
    return key.strip(), value


def parse_time(value: object) -> time:
    """Return a time of day from text like `08:30`, or from TOML's own kind; `24:00` is midnight."""
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d|24:00", value.strip()):
        hour, minute = map(int, value.split(":"))
        return time(hour % 24, minute)
    raise ConfigError(f"expected a time of day such as 08:30, got {quoted(value)}")


def write_time(value: time | None) -> str | None:
    """Return a text that `parse_time` reads as this time."""
    return None if value is None else f"{value:%H:%M:%S}".removesuffix(":00")


MAX_COMMAND = 100
"""Program and arguments of a hook: what needs more is a script of its own."""


def parse_command(value: object) -> tuple[str, ...]:
    """Return a program with its arguments from a list of texts; an empty one runs nothing."""
    expected = 'a program and its arguments: ["program", "argument"]'
    if not isinstance(value, list) or len(value) > MAX_COMMAND:
        raise ConfigError(f"expected {expected}, got {quoted(value)}")
    for part in value:
        if not isinstance(part, str) or "\0" in part:
            raise ConfigError(f"expected {expected}, got {quoted(part)} in it")
    if value and not value[0]:
        raise ConfigError("names no program")
    return tuple(value)


def shown_command(command: tuple[str, ...]) -> str | None:
    """Return a command to show: its arguments may hold secrets."""
    if not command:
        return None
    return command[0] if len(command) == 1 else f"{command[0]} …"


def found_command(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Return a command with the path of its program: `~` is the home folder.

    A relative path starts at `folder`; a mere name is looked for along `$PATH`. Raises ConfigError
    for the home of nobody.
    """
    if not command or "/" not in command[0]:
        return command
    program, *arguments = command
    try:
        return str((folder / Path(program).expanduser()).absolute()), *arguments
    except RuntimeError as error:
        raise ConfigError(f"{error}: {quoted(program)}") from error
