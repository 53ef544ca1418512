"""What every scheduler promises, each promise a test of its own."""

from functools import partial

from trio_swarm_sequential import Sequential

from trio_swarm.testing import scheduler_contract

TestSequential = scheduler_contract(Sequential)
TestSequentialFromTheMiddle = scheduler_contract(
    partial(Sequential, window_mib=0.1, start_percent=50.0)
)
