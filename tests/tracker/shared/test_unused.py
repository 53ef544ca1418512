"""A tracker that shares nothing needs nothing for it."""

import subprocess
import sys


def test_a_tracker_alone_imports_nothing_of_sharing() -> None:
    script = (
        "import sys, trio_swarm.tracker.server, trio_swarm.cli.commands.tracker\n"
        "print([name for name in sys.modules if name.startswith(('coredis', 'anyio._backends'))"
        " or 'tracker.shared' in name])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"[]\n"
