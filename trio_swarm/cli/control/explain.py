"""`trio-swarm explain`: why a piece was asked of a peer, recorded or live."""

from functools import partial
from pathlib import Path

from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.lab.explain import explain_recording
from trio_swarm.cli.options import Flag, OutputOptions
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.errors import ConfigError
from trio_swarm.named_paths import is_file, read_whole
from trio_swarm.recording.format import MAGIC


def explain(
    what: str,
    /,
    *,
    piece: int | None = None,
    peer: str | None = None,
    at: float | None = None,
    follow: Flag = False,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Tell why a piece was asked of a peer: from a recording, or live from a running node.

    Of a recording, which `get --record` makes, without options: a summary of all decisions. Of a
    torrent of a running node: its latest decisions.

    Parameters
    ----------
    what
        The file that was recorded; otherwise a torrent of a running node: its name, info-hash or
        id, or the beginning of either.
    piece
        Tell all that happened to this piece, counted from 0.
    peer
        Tell all that happened with this peer: its address; of a recording, also the number that
        the summary gives it.
    at
        Of a recording: tell what was decided so many seconds after the beginning, or last before.
    follow
        Of a running node: go on with each decision that it makes, until Ctrl-C.
    node
        Which node is asked.
    output
        How it talks.

    """
    choice = node or NodeChoice()
    reporter = make_reporter(output or OutputOptions())
    if not follow and choice == NodeChoice() and _is_recording(what):
        explain_recording(Path(what), piece=piece, peer=peer, at=at, reporter=reporter)
        return 0
    if at is not None:
        raise ConfigError(f"--at is for recordings, and there is no file {what}")

    import trio  # noqa: PLC0415 - a recording needs none

    from trio_swarm.cli.control.decisions import explain_live  # noqa: PLC0415 - the same

    asked = partial(
        explain_live, choice, what, piece=piece, peer=peer, follow=follow, reporter=reporter
    )
    return trio.run(asked)


def _is_recording(what: str) -> bool:
    """Whether `what` means a file: data of a torrent has the name of the torrent as well. Blocking.

    A pipe, which can be read once only, has a path with `/`.
    """
    if "/" in what or not is_file(Path(what)):
        return "/" in what
    try:
        return read_whole(Path(what), len(MAGIC))[: len(MAGIC)] == MAGIC
    except OSError:
        return True  # reading it will report the error
