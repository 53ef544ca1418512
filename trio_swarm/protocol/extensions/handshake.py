"""The extension handshake (BEP 10, "handshake message"), and the values negotiated in it."""

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
"""Our own key: the longest block in bytes that its sender lets the receiver request."""

UPLOAD_ONLY_KEY = "ts_upload_only"
"""Our own key for BEP 21's `upload_only`. Under the standard name, libtorrent 2.1 disconnects a
peer that has no piece for it at the moment ("uninteresting upload-only peer"), as a seeder does
that reveals its pieces one by one. A peer to which all pieces are revealed learns nothing new from
it, unless the seeder has a part only: then it is told under the standard name as well."""

STANDARD_UPLOAD_ONLY_KEY = "upload_only"
"""BEP 21, "Extension header"."""

_MAX_HANDSHAKE = 16 * 1024
"""Most bytes of an extension handshake; clients send about 200."""

_MAX_NAMES = 64
"""Most extensions of one peer that are remembered; clients have about ten."""

_MAX_NAME_LENGTH = 64
"""Most bytes of an extension's name; the longest in use has 16."""

_MAX_REQUEST_QUEUE = 1_000_000
"""The highest `reqq`: a higher value counts as this one; no pipeline is that deep."""


class ExtensionHandshake(Struct, frozen=True, kw_only=True):
    """The facts one end tells about itself (BEP 10, "handshake message"); None: not told.

    `message_ids` maps the names of extensions to the number (1 to 255) that this end has for them.
    """

    message_ids: Mapping[str, int] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    """Names of extensions with number 0: switched off."""
    client: str = ""
    """Name and version of the client, printable."""
    port: int | None = None
    """TCP port where it accepts connections."""
    request_queue: int | None = None
    """`reqq`: requests that it queues; it may drop more."""
    metadata_size: int | None = None
    """Bytes of the info dictionary (BEP 9), if it has one within our limit."""
    upload_only: bool = False
    """It only uploads (BEP 21). Sent under a key of our own, accepted under both."""
    max_block: int | None = None
    """Longest block in bytes that may be requested from it: a power of two, 16 KiB to 1 MiB."""
    your_ip: str | None = None
    """The receiver's address as the sender sees it ("yourip")."""

    def updated(self, later: "ExtensionHandshake") -> "ExtensionHandshake":
        """Return the facts after a further handshake: "m" is merged, all else is replaced."""
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


def encode_extension_handshake(
    handshake: ExtensionHandshake, *, shows_all_of_part: bool = False
) -> bytes:
    """Return the payload of extended message 0.

    `shows_all_of_part`: the sender is a partial seeder, and has shown the receiver all it has.
    """
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
        if shows_all_of_part:
            fields[STANDARD_UPLOAD_ONLY_KEY] = 1
    if handshake.max_block is not None:
        fields[MAX_BLOCK_KEY] = handshake.max_block
    if handshake.your_ip is not None:
        fields["yourip"] = ipaddress.ip_address(handshake.your_ip).packed
    return bencode.encode(fields)


def parse_extension_handshake(payload: bytes) -> ExtensionHandshake:
    """Return the facts a peer tells about itself.

    Raises RemoteProtocolError only for a payload that is too long. A payload that is not a
    dictionary tells nothing, as for libtorrent 2.1, and a value that is not valid counts as not
    told: clients send zeros for unknown values.
    """
    if len(payload) > _MAX_HANDSHAKE:
        raise RemoteProtocolError(f"an extension handshake of {len(payload)} bytes")
    try:
        # Bytes after the dictionary are ignored, as in the metadata messages.
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
        upload_only=1
        in (fields.get(STANDARD_UPLOAD_ONLY_KEY.encode()), fields.get(UPLOAD_ONLY_KEY.encode())),
        max_block=_block_length(fields.get(MAX_BLOCK_KEY.encode())),
        your_ip=_ip(fields.get(b"yourip")),
    )


def _parse_message_ids(names: bencode.Value) -> tuple[dict[str, int], frozenset[str]]:
    if not isinstance(names, dict):
        return {}, frozenset()
    message_ids: dict[str, int] = {}
    disabled: set[str] = set()
    # Only the first names are read.
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
    """Return the peer's block length rounded down to one that two peers may agree on."""
    if not isinstance(value, int) or value < BLOCK_LENGTH:
        return None
    return 1 << (min(value, MAX_NEGOTIATED_BLOCK).bit_length() - 1)


def _ip(value: bencode.Value | None) -> str | None:
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        return None
    return str(ipaddress.ip_address(value))
