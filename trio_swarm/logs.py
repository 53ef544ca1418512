"""The program's own words, through the standard `logging`: for operators, not for programs.

Two channels tell what goes on:

- An *event* (`trio_swarm.events`) says what happened to a torrent, a peer or a tracker. It has a
  name and typed fields that never change, so that programs can react to it. Nothing that happened
  is told by a log line only.
- A *log line* says, in free words, why the program does what it does: how often it asks again, what
  a full disk still lacks, why it stops, which library is in trouble. Its words may change.

Every logger is below `trio_swarm`, named after its module. A NullHandler is there, as the standard
library asks of libraries: an embedding program hears nothing until it configures logging itself,
as by `logging.getLogger("trio_swarm").setLevel("DEBUG")`. Levels: DEBUG for each step, INFO for
what a person did or a limit did, WARNING for what somebody should look at. There is no ERROR: what
ends a share or fetch is the event `TorrentFailed`, and what ends the program is an exception.
"""

import logging

ROOT = "trio_swarm"
"""Name of the logger above all of ours."""

logging.getLogger(ROOT).addHandler(logging.NullHandler())


def logger_of(module: str) -> logging.Logger:
    """Return the logger of a module (`__name__`), below `ROOT`."""
    return logging.getLogger(module)
