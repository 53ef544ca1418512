"""Calls of strategies as data, and their results, so that decisions can be compared."""

import itertools
import pickle
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from trio_swarm.foreign_text import error_text

Data = TypeVar("Data")

MOST_ITEMS = 100_000
"""Most assignments, requests or keys that are read of one decision: more than any view has room
for."""


class Call(NamedTuple):
    """One decision: `method(*arguments)` of a strategy, and the seed of its `rng` if it has one.

    The first argument is the view.
    """

    method: str
    arguments: tuple[Any, ...]
    seed: int | None = None


def fresh(data: Data) -> Data:
    """Return a copy that shares no object with `data`."""
    copied: Data = pickle.loads(pickle.dumps(data))  # noqa: S301  what was pickled just now
    return copied


def fresh_backwards(call: Call) -> Call:
    """Return such a copy of a call whose peers are in memory in another order."""
    view = fresh(call.arguments[0])
    peers = [fresh(peer) for peer in reversed(view.peers)]
    by_key = {peer.key: peer for peer in peers}
    peers.reverse()
    rest = [by_key.get(getattr(each, "key", None), each) for each in fresh(call.arguments[1:])]
    return call._replace(arguments=(replace(view, peers=peers), *rest))


def decide(strategy: Any, call: Call) -> Any:
    """Return the decision of a strategy: a list, a number or None. Raises its exceptions."""
    arguments = call.arguments if call.seed is None else (*call.arguments, random.Random(call.seed))
    result = getattr(strategy, call.method)(*arguments)
    if isinstance(result, Iterable):
        return list(itertools.islice(result, MOST_ITEMS))
    return result


def decide_all(strategy: Any, calls: Sequence[Call]) -> list[object]:
    """Return the decisions of several calls as plain data; an exception becomes text."""
    return [_outcome(strategy, call) for call in calls]


def _outcome(strategy: Any, call: Call) -> object:
    try:
        result = decide(strategy, call)
    except Exception as error:  # noqa: BLE001  a strategy may raise anything
        return error_text(error)
    if isinstance(result, list):
        return [tuple(each) if isinstance(each, tuple) else each for each in result]
    return result
