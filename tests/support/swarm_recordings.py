"""What several peers of one small swarm recorded."""

from collections.abc import Sequence

from msgspec.structs import replace

from recording_samples import BLOCK, file_of, header, read
from trio_swarm.recording import Header, Record, Recording, records

HEADER = header(pieces=2)


CLOCK = 1_700_000_000_000_000


DIALLED = "10.0.0.9:50000"


"""From where a peer dialled: no address that it is known by elsewhere."""


def recording(
    events: Sequence[Record], peer_id: str, *, clock: int = CLOCK, head: Header = HEADER
) -> Recording:
    start = records.Began(0, [], 32, clock)
    return read(file_of(replace(head, peer_id=peer_id), [[start, *events]]))


def alice() -> Recording:
    """Get piece 0 of the seeder and send it to bob, who dialled, and to a stranger."""
    return recording(
        [
            records.Joined(1_000, 1, "10.0.0.1:6881", {}),
            records.Named(1_000, 1, "a client", "seed"),
            records.Joined(1_000, 2, DIALLED, {}),
            records.Named(1_000, 2, "", "bob"),
            records.Joined(1_000, 3, "10.0.0.3:6881", {}),
            records.Held(2_000, 1, [0, 1]),
            records.Arrived(100_000, 1, 0, 0, 4 * BLOCK, 0),
            records.Verified(110_000, 0),
            records.Sent(150_000, 2, 0, 0, 4 * BLOCK),
            records.Sent(150_000, 3, 0, 0, BLOCK),
            records.Gained(400_000, 2, 1),
            records.Left(500_000, 1),
            records.Ended(600_000, "stopped"),
        ],
        "alice",
    )


def bob(clock: int = CLOCK + 100_000) -> Recording:
    """Get piece 0 of alice and piece 1 of the seeder, and begin a tenth of a second later."""
    return recording(
        [
            records.Joined(1_000, 7, "10.0.0.1:6881", {}),
            records.Named(1_000, 7, "", "seed"),
            records.Joined(1_000, 8, "10.0.0.2:6881", {}),
            records.Named(1_000, 8, "trio-swarm", "alice"),
            records.Held(2_000, 7, [0, 1]),
            records.Arrived(80_000, 8, 0, 0, 4 * BLOCK, 0),
            records.Verified(90_000, 0),
            records.Arrived(250_000, 7, 1, 0, 4 * BLOCK - 100, 0),
            records.Verified(260_000, 1),
            records.Completed(260_000),
            records.Ended(900_000, "stopped"),
        ],
        "bob",
        clock=clock,
    )


def replace_id(made: Recording, peer_id: str) -> Recording:
    return replace(made, header=replace(made.header, peer_id=peer_id))
