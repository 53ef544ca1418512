"""A choker that gives nobody anything: what a free rider runs (`--plugin`)."""

import random
from collections.abc import Iterable, Mapping

from trio_swarm.schedulers.api import ChokerFactory, ChokeView
from trio_swarm.schedulers.hookspecs import hookimpl


class Nobody:
    """Unchokes nobody, ever."""

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return no key."""
        return ()


@hookimpl
def trio_swarm_chokers() -> Mapping[str, ChokerFactory]:
    return {"nobody": Nobody}
