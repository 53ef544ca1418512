"""`python -m trio_swarm`: the same as the command `trio-swarm`."""

import sys

from trio_swarm.cli import main

if __name__ == "__main__":
    sys.exit(main())
