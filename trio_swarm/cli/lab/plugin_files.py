"""The files of a package with one strategy, as `trio-swarm plugin new` writes them.

In the texts `@name@` is the strategy, `@package@` the package to install, `@module@` the module to
import and `@Class@` the class.
"""

import builtins
import keyword
import re
from collections.abc import Mapping

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import quoted
from trio_swarm.schedulers.loading import Axis

MOST_LETTERS = 50
"""Most letters of a strategy's name, which becomes part of file names and tables."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_TAKEN = frozenset(
    {
        *("Assignment", "ChokerFactory", "ChokePeerView", "ChokeView", "Draft", "Iterable"),
        *("Levels", "Mapping", "PieceSet", "SchedulerFactory", "Sequence", "SwarmView"),
        *("UploaderFactory", "UploadPeerView", "UploadRequest", "UploadView"),
    }
)
"""Names that the modules below import, which a strategy's class must not have."""


def package_files(axis: Axis, name: str) -> Mapping[str, str]:
    """Return the text of each file, by its path in the package's folder.

    Raises ConfigError if `name` is not a valid name for a strategy.
    """
    _check_name(name)
    words = {
        "@name@": name,
        "@package@": package_name(name),
        "@module@": package_name(name).replace("-", "_"),
        "@Class@": _class_name(name),
        "@axis@": axis,
        "@option@": _OPTIONS[axis],
        "@claims@": _CLAIMS[axis],
    }

    def filled(text: str) -> str:
        return re.sub("@[A-Za-z]+@", lambda found: words[found[0]], text)

    return {
        "pyproject.toml": filled(_PYPROJECT),
        "README.md": filled(_README),
        f"{words['@module@']}/__init__.py": filled(_MODULES[axis]),
        f"{words['@module@']}/py.typed": "",
        "tests/test_contract.py": filled(_TEST),
    }


def package_name(name: str) -> str:
    """Return the name of the package for a strategy."""
    return f"trio-swarm-{name}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MOST_LETTERS:
        raise ConfigError(
            f"{quoted(name)} is not a name for a strategy: expected at most {MOST_LETTERS} small "
            "letters, digits and single hyphens between them, beginning with a letter, as in "
            "near-first"
        )


def _class_name(name: str) -> str:
    """Return `NearFirst` for `near-first`; another name if that one is taken."""
    camel = "".join(word.capitalize() for word in name.split("-"))
    is_taken = camel in _TAKEN or keyword.iskeyword(camel) or hasattr(builtins, camel)
    return f"{camel}Strategy" if is_taken else camel


_OPTIONS: Mapping[Axis, str] = {
    "scheduler": "most_blocks = 8",
    "uploader": "common_from = 4",
    "choker": "turn_seconds = 20.0",
}

_CLAIMS: Mapping[Axis, str] = {
    "scheduler": ", fills_room=True, uniform_ties=True",
    "uploader": "",
    "choker": ", fills_slots=True, uniform_ties=True",
}

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"

[project]
name = "@package@"
version = "0.1.0"
description = "A @axis@ for trio-swarm"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["trio-swarm"]

[project.optional-dependencies]
test = ["trio-swarm[testing]"]

# trio-swarm finds the package by this entry point: the group is `trio_swarm`, the value names the
# module with the hook. The name on the left is free.
[project.entry-points.trio_swarm]
@name@ = "@module@"

[tool.hatch.build.targets.wheel]
packages = ["@module@"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

_README = """\
# @package@

A @axis@ for trio-swarm.

    pip install -e '.[test]'          # in this folder
    pytest                            # the contract of every @axis@
    pytest --strategy-report          # and a comparison with the built-in ones
    trio-swarm schedulers             # lists `@name@` with its options
    trio-swarm plugin check @name@

In TOML:

    [@axis@]
    name = "@name@"

    [@axis@.options]
    @option@
"""

_TEST = '''\
"""The contract of every @axis@, with one test for each promise."""

from @module@ import @Class@
from trio_swarm.testing import @axis@_contract

Test@Class@ = @axis@_contract(@Class@@claims@)
'''

_SCHEDULER = '''\
"""@name@: a download strategy for trio-swarm."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trio_swarm.schedulers.api import Assignment, SchedulerFactory, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, begun_first
from trio_swarm.schedulers.hookspecs import hookimpl


@hookimpl
def trio_swarm_schedulers() -> Mapping[str, SchedulerFactory]:
    """Return the strategy under its name."""
    return {"@name@": @Class@}


@dataclass
class @Class@:
    """Rarest pieces first, the fastest peers first.

    `trio-swarm schedulers` shows the first line of this text. The fields are the options,
    in [scheduler.options] or by --option; the text below each explains it.
    """

    most_blocks: int = 16
    """Most blocks of one piece that one peer is asked for at a time."""

    def __post_init__(self) -> None:
        """Raise ValueError for a wrong option; the user sees its text."""
        if self.most_blocks < 1:
            raise ValueError("most_blocks must be 1 or more")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Return assignments, the most important first.

        `view` is read-only, and `rng` is the only source of randomness, so that a run can be
        repeated. A `Draft` counts the room and the free blocks that are left. Piece sets are ints
        with bit i for piece i: `view.wanted & peer.pieces & view.rarity[1]` are the wanted pieces
        of `peer` that no other peer has.
        """
        draft = Draft(view)
        levels = Levels(view)
        for peer in sorted(view.peers, key=lambda peer: -peer.rate):
            while candidates := draft.candidates(peer):
                piece = begun_first(levels.rarest(candidates), draft.started, rng)
                draft.give(peer, piece, self.most_blocks)
        return draft.assignments
'''

_UPLOADER = '''\
"""@name@: an upload strategy for trio-swarm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploaderFactory, UploadPeerView, UploadRequest, UploadView
from trio_swarm.schedulers.hookspecs import hookimpl


@hookimpl
def trio_swarm_uploaders() -> Mapping[str, UploaderFactory]:
    """Return the strategy under its name."""
    return {"@name@": @Class@}


@dataclass
class @Class@:
    """Everything is revealed to every peer, and the rarest pieces are served first.

    `trio-swarm schedulers` shows the first line of this text. The fields are the options,
    in [uploader.options] or by --option; the text below each explains it.
    """

    common_from: int = 8
    """Pieces that at least this many peers have are all equally urgent."""

    def __post_init__(self) -> None:
        """Raise ValueError for a wrong option; the user sees its text."""
        if self.common_from < 0:
            raise ValueError("common_from must be 0 or more")

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the pieces to reveal to `peer`, as a set; None reveals all we have.

        A revealed piece is never hidden again, so a set must include `peer.revealed`.
        """
        return None

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        """Return `requests` in the order to serve them; equal ones keep their order."""
        return sorted(requests, key=lambda request: self._holders(view, request.piece))

    def _holders(self, view: UploadView, piece: int) -> int:
        """Return how many peers have `piece`: it is in one of the sets of `rarity`."""
        for count, pieces in enumerate(view.rarity[: self.common_from]):
            if pieces >> piece & 1:
                return count
        return self.common_from
'''

_CHOKER = '''\
"""@name@: an unchoking strategy for trio-swarm."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trio_swarm.schedulers.api import ChokePeerView, ChokerFactory, ChokeView
from trio_swarm.schedulers.hookspecs import hookimpl


@hookimpl
def trio_swarm_chokers() -> Mapping[str, ChokerFactory]:
    """Return the strategy under its name."""
    return {"@name@": @Class@}


@dataclass
class @Class@:
    """Slots rotate: the peer that waited longest gets the slot that was held longest.

    `trio-swarm schedulers` shows the first line of this text. The fields are the options,
    in [choker.options] or by --option; the text below each explains it.
    """

    turn_seconds: float = 30.0
    """Seconds for which a peer keeps its slot while others wait."""

    def __post_init__(self) -> None:
        """Raise ValueError for a wrong option; the user sees its text."""
        if self.turn_seconds < 0:
            raise ValueError("turn_seconds must be 0 or more")

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of the peers to have unchoked, at most `view.slots`."""
        peers = [peer for peer in view.peers if peer.interested]
        rng.shuffle(peers)  # sorting is stable: ties are broken at random
        peers.sort(key=lambda peer: self._claim(peer, view.now))
        return [peer.key for peer in peers[: view.slots]]

    def _claim(self, peer: ChokePeerView, now: float) -> tuple[int, float]:
        """Return a sort key: peers in their turn, then waiting peers, then the others."""
        if not peer.unchoked:
            return (1, peer.waits_since(now))
        since = now if peer.unchoked_at is None else peer.unchoked_at
        return (0, since) if now - since < self.turn_seconds else (2, -since)
'''

_MODULES: Mapping[Axis, str] = {
    "scheduler": _SCHEDULER,
    "uploader": _UPLOADER,
    "choker": _CHOKER,
}
