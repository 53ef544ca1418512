"""Buffers are shared fairly: nobody is left idle for the sake of those that were asked first."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.download.buffer_shares import part_of_pieces, share_of_each
from trio_swarm.engine.download.source import MIN_WINDOW
from trio_swarm.lab.testing.downloads import BLOCK, MIB, PacedPeer, PacedSwarm, new_ledger


def test_equal_peers_get_equal_shares() -> None:
    assert share_of_each([250] * 50, 2048) == 40
    assert share_of_each([16] * 4, 2048) == 512


def test_what_slow_peers_cannot_use_is_left_to_the_fast() -> None:
    assert share_of_each([4] * 48 + [2000, 3000], 2048) == (2048 - 4 * 48) // 2


def test_one_that_grows_may_have_what_nobody_else_uses() -> None:
    assert share_of_each([4, 4, 100], 2048) == 2040
    assert share_of_each([], 2048) == 2048


@given(windows=st.lists(st.integers(1, 70_000), min_size=1), blocks=st.integers(1, 300_000))
def test_shares_never_exceed_the_buffers_and_waste_none(windows: list[int], blocks: int) -> None:
    share = share_of_each(windows, blocks)
    used = sum(min(window, share) for window in windows)
    assert share >= MIN_WINDOW or share == max(windows)
    if share > MIN_WINDOW:
        assert used <= blocks
    if any(window > share for window in windows):
        assert used > blocks - len(windows)


@given(most=st.integers(1, 10_000), blocks_per_piece=st.integers(1, 2_000))
def test_a_hand_out_is_whole_pieces_or_an_even_part_of_one(
    most: int, blocks_per_piece: int
) -> None:
    part = part_of_pieces(most, blocks_per_piece)
    assert 1 <= part <= most
    if part > blocks_per_piece:
        assert part % blocks_per_piece == 0
        assert part > most - blocks_per_piece
    elif part < blocks_per_piece:
        assert 2 * part >= most
        assert part in {-(-blocks_per_piece >> halvings) for halvings in range(1, 12)}


def test_no_peer_runs_dry_though_buffers_are_short() -> None:
    # 50 links of 10 MiB/s and 20 ms could fill 250 blocks each; there are 41.
    ledger = new_ledger(400, blocks=64, open_piece_limit=32)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=10 * MIB, latency=0.01) for _ in range(50)])
    ideal = 400 / 500
    assert swarm.run() < 1.15 * ideal
    assert ledger.duplicate_bytes == 0
    sent = [peer.sent for peer in swarm.peers]
    assert min(sent) > 0.7 * max(sent)


def test_slow_peers_do_not_hold_the_buffers_that_fast_ones_need() -> None:
    rates = [(1 + key % 10) * 2 * MIB for key in range(50)]
    ledger = new_ledger(600, blocks=64, open_piece_limit=32)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=rate, latency=0.001) for rate in rates])
    assert swarm.run() < 1.5 * 600 * MIB / sum(rates)


def test_a_peer_whose_link_is_freed_at_the_end_finds_something_left_to_do() -> None:
    # Half a second before the end one of four links gets ten times as fast. What the slow ones were
    # asked for by then they bring in their own time, however little it is.
    ledger = new_ledger(128)
    peers = [PacedPeer(rate=2 * MIB, latency=0.001) for _ in range(4)]
    swarm = PacedSwarm(ledger, peers)
    freed_at = 128 * 4 * BLOCK / (8 * MIB) - 0.5

    def free() -> None:
        peers[0].rate = 20 * MIB

    swarm.at(freed_at, free)
    assert swarm.run() < freed_at + 0.37  # 0.47 if all were given 0.75 s ahead
