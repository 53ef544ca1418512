"""The extended messages we understand: their names, and the numbers we give them (BEP 10)."""

from collections.abc import Mapping
from typing import Final

from trio_swarm.protocol.extensions.dont_have import LT_DONTHAVE
from trio_swarm.protocol.extensions.metadata import UT_METADATA

HANDSHAKE_ID: Final = 0
"""The extended message id of the handshake itself (BEP 10)."""

OUR_UT_METADATA: Final = 1
OUR_LT_DONTHAVE: Final = 2

OUR_MESSAGE_IDS: Final[Mapping[str, int]] = {
    UT_METADATA: OUR_UT_METADATA,
    LT_DONTHAVE: OUR_LT_DONTHAVE,
}
"""Under which numbers a peer sends us extended messages."""
