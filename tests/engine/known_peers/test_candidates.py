"""Which address of a swarm is dialled next."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.known_peers.candidates import (
    FIRST_RETRY,
    HOST_BAN_THRESHOLD,
    LAST_RETRY,
    MAX_CANDIDATES,
    Candidates,
)

A = ("10.0.0.1", 1000)
B = ("10.0.0.2", 1000)


def test_a_new_address_is_due_at_once_and_only_to_one_dialler() -> None:
    known = Candidates()
    assert known.add(A, now=5.0)
    assert not known.add(A, now=5.0)
    assert known.take_due(5.0) == A
    assert known.take_due(5.0) is None
    assert known.next_due() == float("inf")


def test_a_lost_address_is_due_again_after_pauses_that_double_up_to_a_limit() -> None:
    known = Candidates()
    known.add(A, 0.0)
    now = 0.0
    pauses = []
    for _ in range(12):
        assert known.take_due(now) == A
        known.lost(A, now)
        pauses.append(known.next_due() - now)
        now = known.next_due()
    assert pauses[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert pauses[-1] == LAST_RETRY


def test_a_useful_peer_starts_over_with_the_shortest_pause() -> None:
    known = Candidates()
    known.add(A, 0.0)
    for _ in range(5):
        known.lost(A, 0.0)
    known.succeeded(A)
    known.lost(A, 0.0)
    assert known.next_due() == FIRST_RETRY


def test_a_banned_address_is_never_dialled_nor_taken_back() -> None:
    known = Candidates()
    known.add(A, 0.0)
    known.add(B, 0.0)
    known.ban(A)
    assert known.is_banned(A)
    assert not known.is_banned(B)
    assert not known.add(A, 1.0)
    assert known.take_due(1.0) == B
    assert known.take_due(1.0) is None


def test_a_peer_is_banned_under_all_its_addresses_and_counts_once() -> None:
    known = Candidates()
    for peer in range(HOST_BAN_THRESHOLD - 1):
        came_from, listens_at = ("10.0.0.1", 5000 + peer), ("10.0.0.1", 1000 + peer)
        assert known.ban(came_from, listens_at)
        assert known.is_banned(listens_at)
    assert not known.is_banned(("10.0.0.1", 60000))


def test_several_banned_ports_ban_their_host() -> None:
    known = Candidates()
    for port in range(1, HOST_BAN_THRESHOLD + 1):
        assert not known.is_banned(("10.0.0.1", 60000))
        known.ban(("10.0.0.1", port))
    assert known.is_banned(("10.0.0.1", 60000))


@given(st.lists(st.tuples(st.ip_addresses(v=4).map(str), st.integers(-5, 70000)), max_size=50))
def test_addresses_from_strangers_never_exceed_the_limit_nor_have_impossible_ports(
    addresses: list[tuple[str, int]],
) -> None:
    known = Candidates()
    for address in addresses:
        assert known.add(address, 0.0) <= (0 < address[1] < 65536)
    for number in range(MAX_CANDIDATES + 10):
        known.add((f"10.1.{number // 250}.{number % 250}", 1), 0.0)
    assert len(known) <= MAX_CANDIDATES


def test_when_there_is_no_room_a_new_address_takes_the_place_of_the_most_hopeless() -> None:
    known = Candidates()
    for number in range(MAX_CANDIDATES):
        known.add((f"10.0.{number >> 8}.{number & 255}", 1), 0.0)
    assert not known.add(B, 0.0)  # none of the others has been tried
    for _ in range(3):
        dialled = known.take_due(0.0)
        assert dialled is not None
        known.lost(dialled, 0.0)
    hopeless = ("10.0.0.1", 1)
    known.lost(hopeless, 0.0)
    assert known.add(B, 0.0)
    assert len(known) == MAX_CANDIDATES
    assert known.add(hopeless, 0.0)  # it is not known any more


def test_an_address_that_never_failed_is_dialled_before_all_that_did() -> None:
    known = Candidates()
    known.add(A, 0.0)
    assert known.take_due(0.0) == A
    known.lost(A, 0.0)
    known.add(B, 50.0)
    assert known.take_due(100.0) == B
    assert known.take_due(100.0) == A
