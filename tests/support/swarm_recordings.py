"""What several peers of one small swarm recorded."""

from collections.abc import Sequence

from msgspec.structs import replace

from recording_samples import BLOCK, file_of, header, read
from trio_swarm.recording import Header, Record, Recording
from trio_swarm.recording import records as ev

HEADER = header(pieces=2)


CLOCK = 1_700_000_000_000_000


DIALLED = "10.0.0.9:50000"


"""From where a peer dialled: no address that it is known by elsewhere."""


def recording(
    events: Sequence[Record], peer_id: str, *, clock: int = CLOCK, head: Header = HEADER
) -> Recording:
    start = ev.Began(0, [], 32, clock)
    return read(file_of(replace(head, peer_id=peer_id), [[start, *events]]))


def alice() -> Recording:
    """Get piece 0 of the seeder and send it to bob, who dialled, and to a stranger."""
    return recording(
        [
            ev.Joined(1_000, 1, "10.0.0.1:6881", {}),
            ev.Named(1_000, 1, "a client", "seed"),
            ev.Joined(1_000, 2, DIALLED, {}),
            ev.Named(1_000, 2, "", "bob"),
            ev.Joined(1_000, 3, "10.0.0.3:6881", {}),
            ev.Held(2_000, 1, [0, 1]),
            ev.Arrived(100_000, 1, 0, 0, 4 * BLOCK, 0),
            ev.Verified(110_000, 0),
            ev.Sent(150_000, 2, 0, 0, 4 * BLOCK),
            ev.Sent(150_000, 3, 0, 0, BLOCK),
            ev.Gained(400_000, 2, 1),
            ev.Left(500_000, 1),
            ev.Ended(600_000, "stopped"),
        ],
        "alice",
    )


def bob(clock: int = CLOCK + 100_000) -> Recording:
    """Get piece 0 of alice and piece 1 of the seeder, and begin a tenth of a second later."""
    return recording(
        [
            ev.Joined(1_000, 7, "10.0.0.1:6881", {}),
            ev.Named(1_000, 7, "", "seed"),
            ev.Joined(1_000, 8, "10.0.0.2:6881", {}),
            ev.Named(1_000, 8, "trio-swarm", "alice"),
            ev.Held(2_000, 7, [0, 1]),
            ev.Arrived(80_000, 8, 0, 0, 4 * BLOCK, 0),
            ev.Verified(90_000, 0),
            ev.Arrived(250_000, 7, 1, 0, 4 * BLOCK - 100, 0),
            ev.Verified(260_000, 1),
            ev.Completed(260_000),
            ev.Ended(900_000, "stopped"),
        ],
        "bob",
        clock=clock,
    )


def replace_id(made: Recording, peer_id: str) -> Recording:
    return replace(made, header=replace(made.header, peer_id=peer_id))
