"""Which requests are out is known by the blocks that were asked in one go."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BLOCK_LENGTH, BlockRun

BLOCKS = 16
SHORT = 5000
"""Bytes of the last block."""
SIZE = (BLOCKS - 1) * BLOCK_LENGTH + SHORT


def run_of(first: int, count: int) -> BlockRun:
    begin = first * BLOCK_LENGTH
    return BlockRun(0, begin, min(count * BLOCK_LENGTH, SIZE - begin))


runs = st.tuples(st.integers(0, BLOCKS - 1), st.integers(1, BLOCKS)).map(
    lambda drawn: run_of(*drawn)
)


@given(asked=st.lists(st.tuples(runs, st.integers(0, 4)), max_size=12), cancelled=runs)
def test_the_requests_within_a_run_are_those_that_were_put_out_and_hold_nothing_else(
    asked: list[tuple[BlockRun, int]], cancelled: BlockRun
) -> None:
    source = Source(1, identity="10.0.0.1:1", order=0, now=0.0)
    out: dict[int, int] = {at * BLOCK_LENGTH: BLOCK_LENGTH for at in range(BLOCKS)}
    out[(BLOCKS - 1) * BLOCK_LENGTH] = SHORT
    for run, power in asked:
        each = BLOCK_LENGTH << power
        end = run.begin + run.length
        # A block is asked again only when nothing that holds it is out.
        holding = [at for at, length in out.items() if at < end and run.begin < at + length]
        if any(at < run.begin or at + out[at] > end for at in holding):
            continue
        source.join_requests(0, run.begin, run.length, each)
        for at in holding:
            del out[at]
        out |= {at: min(each, end - at) for at in range(run.begin, end, each)}
    end = cancelled.begin + cancelled.length
    within = [
        (at, length)
        for at, length in sorted(out.items())
        if cancelled.begin <= at and at + length <= end
    ]
    assert source.requests_within(cancelled) == within


@given(asked=runs, answered=runs)
def test_nothing_is_remembered_of_requests_that_were_answered(
    asked: BlockRun, answered: BlockRun
) -> None:
    source = Source(1, identity="10.0.0.1:1", order=0, now=0.0)
    nothing = source.joined
    source.join_requests(0, asked.begin, asked.length, 4 * BLOCK_LENGTH)
    source.join_requests(1, asked.begin, asked.length, BLOCK_LENGTH)
    for run in (answered, asked):
        first, count = run.begin // BLOCK_LENGTH, -(-run.length // BLOCK_LENGTH)
        source.forget_requests(0, ((1 << count) - 1) << first)
    assert not source.joined
    source.forget_all_requests()
    assert source.joined is nothing
