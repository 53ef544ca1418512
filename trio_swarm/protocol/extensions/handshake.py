"""The extension handshake (BEP 10), and what is negotiated in it."""

import ipaddress
from collections.abc import Mapping
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from trio_swarm.errors import BencodeError, RemoteProtocolError
from trio_swarm.protocol import bencode
from trio_swarm.protocol.extensions.metadata import MAX_METADATA_SIZE
from trio_swarm.protocol.peer_ids import printable
from trio_swarm.protocol.wire.messages import BLOCK_LENGTH, MAX_NEGOTIATED_BLOCK

MAX_BLOCK_KEY = "ts_max_block"
"""Our key: the longest block, bytes, that its sender lets the receiver ask for."""

UPLOAD_ONLY_KEY = "ts_upload_only"
"""Our key for BEP 21's `upload_only`. Under that name libtorrent 2.1 leaves whoever shows it
nothing that it lacks at the moment ("uninteresting upload-only peer"), as a seeder does that shows
its pieces bit by bit. To whom all is shown, it says nothing new."""

_MAX_HANDSHAKE = 16 * 1024
"""Bytes of a handshake; clients send some 200."""

_MAX_NAMES = 64
"""Extensions of one peer that are remembered; clients have about ten."""

_MAX_NAME_LENGTH = 64
"""Bytes of an extension's name that is remembered; the longest in use has 16."""

_MAX_REQUEST_QUEUE = 1_000_000
"""A `reqq` above this is taken as this; no pipeline is that deep."""


class ExtensionHandshake(Struct, frozen=True, kw_only=True):
    """What one end tells of itself (BEP 10, "handshake message"); None: not told.

    `message_ids` maps extension names to the number (1 to 255) under which that end wants them.
    """

    message_ids: Mapping[str, int] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    """Names that were given number 0: switched off."""
    client: str = ""
    """Name and version, fit to print."""
    port: int | None = None
    """Where it listens."""
    request_queue: int | None = None
    """`reqq`: requests it queues before it drops any."""
    metadata_size: int | None = None
    """Bytes of the info dictionary (BEP 9), if it has it and it is not above our limit."""
    upload_only: bool = False
    """It downloads nothing (BEP 21). Told under a key of our own, heard under either."""
    max_block: int | None = None
    """Longest block, bytes, one may ask of it: a power of two from 16 KiB to 1 MiB."""
    your_ip: str | None = None
    """The receiver's address as the sender sees it."""

    def updated(self, later: "ExtensionHandshake") -> "ExtensionHandshake":
        """Return what holds after a further handshake: "m" is additive, the rest replaces."""
        message_ids = {
            name: number
            for name, number in (*self.message_ids.items(), *later.message_ids.items())
            if name not in later.disabled
        }
        return replace(
            self,
            message_ids=dict(islice(message_ids.items(), _MAX_NAMES)),
            client=later.client or self.client,
            port=self.port if later.port is None else later.port,
            request_queue=(
                self.request_queue if later.request_queue is None else later.request_queue
            ),
            metadata_size=(
                self.metadata_size if later.metadata_size is None else later.metadata_size
            ),
            upload_only=later.upload_only,
            max_block=self.max_block if later.max_block is None else later.max_block,
            your_ip=later.your_ip or self.your_ip,
        )


def encode_extension_handshake(handshake: ExtensionHandshake) -> bytes:
    """Return the payload of extended message 0."""
    message_ids = dict.fromkeys(handshake.disabled, 0) | dict(handshake.message_ids)
    fields: dict[str, int | str | bytes | dict[str, int]] = {"m": message_ids}
    if handshake.client:
        fields["v"] = handshake.client
    if handshake.port is not None:
        fields["p"] = handshake.port
    if handshake.request_queue is not None:
        fields["reqq"] = handshake.request_queue
    if handshake.metadata_size is not None:
        fields["metadata_size"] = handshake.metadata_size
    if handshake.upload_only:
        fields[UPLOAD_ONLY_KEY] = 1
    if handshake.max_block is not None:
        fields[MAX_BLOCK_KEY] = handshake.max_block
    if handshake.your_ip is not None:
        fields["yourip"] = ipaddress.ip_address(handshake.your_ip).packed
    return bencode.encode(fields)


def parse_extension_handshake(payload: bytes) -> ExtensionHandshake:
    """Return what a peer tells of itself.

    Raises RemoteProtocolError only for one that is too big. What is no dictionary tells nothing, as
    for libtorrent 2.1, and a single fact that makes no sense is as if it was not told: clients send
    zeros where they have nothing to say.
    """
    if len(payload) > _MAX_HANDSHAKE:
        raise RemoteProtocolError(f"an extension handshake of {len(payload)} bytes")
    try:
        # Bytes after the dictionary are harmless, as they are in the metadata messages.
        fields, _end = bencode.decode_prefix(payload)
    except BencodeError:
        return ExtensionHandshake()
    if not isinstance(fields, dict):
        return ExtensionHandshake()
    message_ids, disabled = _parse_message_ids(fields.get(b"m", {}))
    client = fields.get(b"v")
    return ExtensionHandshake(
        message_ids=message_ids,
        disabled=disabled,
        client=printable(client.decode(errors="replace")) if isinstance(client, bytes) else "",
        port=_number(fields.get(b"p"), 1, 65535),
        request_queue=_request_queue(fields.get(b"reqq")),
        metadata_size=_number(fields.get(b"metadata_size"), 1, MAX_METADATA_SIZE),
        upload_only=1 in (fields.get(b"upload_only"), fields.get(UPLOAD_ONLY_KEY.encode())),
        max_block=_block_length(fields.get(MAX_BLOCK_KEY.encode())),
        your_ip=_ip(fields.get(b"yourip")),
    )


def _parse_message_ids(names: bencode.Value) -> tuple[dict[str, int], frozenset[str]]:
    if not isinstance(names, dict):
        return {}, frozenset()
    message_ids: dict[str, int] = {}
    disabled: set[str] = set()
    # Of more than so many the first are taken.
    for raw_name, number in islice(names.items(), _MAX_NAMES):
        if len(raw_name) > _MAX_NAME_LENGTH or not isinstance(number, int):
            continue
        if not 0 <= number <= 255:
            continue
        name = raw_name.decode(errors="replace")
        if number:
            message_ids[name] = number
        else:
            disabled.add(name)
    return message_ids, frozenset(disabled)


def _number(value: bencode.Value | None, least: int, most: int) -> int | None:
    return value if isinstance(value, int) and least <= value <= most else None


def _request_queue(value: bencode.Value | None) -> int | None:
    return min(value, _MAX_REQUEST_QUEUE) if isinstance(value, int) and value > 0 else None


def _block_length(value: bencode.Value | None) -> int | None:
    """Round what the peer offers down to a block length two peers may agree on."""
    if not isinstance(value, int) or value < BLOCK_LENGTH:
        return None
    return 1 << (min(value, MAX_NEGOTIATED_BLOCK).bit_length() - 1)


def _ip(value: bencode.Value | None) -> str | None:
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        return None
    return str(ipaddress.ip_address(value))
