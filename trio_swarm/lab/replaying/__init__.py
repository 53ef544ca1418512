"""A recorded download played again on a virtual clock, with whatever strategy.

Reading order: `measuring`, then `playing`. The recording tells what its peers had and when, when
they came, choked us and went, and how fast they sent (`measuring`). What is asked of them is
decided anew, by the very ledger, planner and guard of real peers (`playing`).

What this can tell, and what not:

- A peer is as fast as it was seen to be while something was asked of it. One that was never asked
  for as much as it could have sent looks slower than it is, and a strategy that would have asked
  more of it gains nothing from that. One that was never asked for anything is given the median rate
  of the others.
- Rates are taken as each peer's own: if our link was the narrowest, then peers that had to share it
  in the recording do not become faster when others are asked for less.
- Peers get pieces when they did, whatever we had given them by then; so it is with a seeder that
  shows pieces one by one as it sees them spread.
- Pieces do not fail their hash, and nothing is uploaded.

So the recorded strategy itself is replayed, too: what that differs from the recording is the error.
"""

from trio_swarm.lab.replaying.measuring import Measured, measure
from trio_swarm.lab.replaying.playing import ReplayResult, replay

__all__ = ["Measured", "ReplayResult", "measure", "replay"]
