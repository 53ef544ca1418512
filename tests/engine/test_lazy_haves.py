"""When those are told of new pieces that have them already."""

import math

from trio_swarm.engine.lazy_haves import LAZY_HAVES, LAZY_SECONDS, LazyHaves


def test_everybody_is_told_of_many_pieces_at_once() -> None:
    lazy = LazyHaves()
    assert not any(lazy.add(1, 0.0) for _ in range(LAZY_HAVES - 1))
    assert lazy.add(1, 0.0)
    lazy.told()
    assert lazy.due_at == math.inf
    assert lazy.add(LAZY_HAVES, 1.0)


def test_the_first_of_few_pieces_does_not_wait_for_more() -> None:
    lazy = LazyHaves()
    assert lazy.due_at == math.inf
    lazy.add(1, 5.0)
    lazy.add(1, 5.0 + LAZY_SECONDS / 2)
    assert lazy.due_at == 5.0 + LAZY_SECONDS <= 5.0 + 1.0
    assert lazy.add(1, lazy.due_at)
