"""How often Python looks through all objects of a process, in which a tracker answers nobody."""

import gc
from typing import Final

YOUNG_COLLECTIONS: Final = 100
"""Collections of what is young for one of everything, not 10: that takes 50 ms where there are
100,000 swarms, in which nobody is answered, and was due with each quarter more of them."""


def collect_seldom() -> None:
    """Let this process collect all garbage less often, for a tracker that is its main work.

    It holds for all that the process does, so only programs of ours call it; a program that embeds
    a tracker with many swarms may do the same.
    """
    gc.set_threshold(*gc.get_threshold()[:2], YOUNG_COLLECTIONS)
