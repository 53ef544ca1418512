"""The pieces that a peer may request while it is choked (BEP 6, "Allowed Fast")."""

import hashlib
import ipaddress
import struct

from trio_swarm.errors import LocalProtocolError
from trio_swarm.identities import InfoHash

_NUMBER = struct.Struct(">I")


def allowed_fast_set(ip: str, info_hash: InfoHash, piece_count: int, k: int = 10) -> list[int]:
    """Return the allowed-fast set of the peer at `ip` (BEP 6, "Allowed Fast Set Generation").

    It is empty for an IPv6 peer: BEP 6 has no rule for IPv6, and with a rule of our own each
    address of a /64 could get another set.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError as error:
        raise LocalProtocolError(f"{ip!r} is no IP address") from error
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return []
        address = mapped
    if piece_count <= k:
        return list(range(piece_count))
    allowed: list[int] = []
    digest = address.packed[:3] + b"\0" + info_hash
    while len(allowed) < k:
        digest = hashlib.sha1(digest).digest()
        for (number,) in _NUMBER.iter_unpack(digest):
            piece = number % piece_count
            if piece not in allowed and len(allowed) < k:
                allowed.append(piece)
    return allowed
