"""What import-linter has no contract for: modules that import each other, in however many steps.

Imports for the type checker alone count, too: who reads one of two such modules has to read both.
"""

from collections.abc import Iterator
from functools import cache

import grimp
import pytest

CIRCLES: list[set[str]] = [
    # The live display is a reporter, and with rich it is imported only where there is a terminal.
    {"trio_swarm.cli.output.live", "trio_swarm.cli.output.reporting"},
    # A simulated peer, its connections and its swarm call each other directly: an interface between
    # any two of them would cost a call through it for each message of thousands of peers.
    {
        f"trio_swarm.lab.simulator.{name}"
        for name in ("neighbour", "peer", "peer_events", "results", "swarm")
    },
]
"""Those that there are, each with its reason."""


@cache
def imports() -> dict[str, set[str]]:
    """Return what each module imports of the others.

    The package itself is left out: it is a list of public names, each imported when it is used.
    """
    graph = grimp.build_graph("trio_swarm", cache_dir=None)
    root = {"trio_swarm"}
    return {
        module: graph.find_modules_directly_imported_by(module) - root
        for module in graph.modules - root
    }


def reachable(module: str) -> set[str]:
    """Return what a module needs, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for each in imports()[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found


def circles() -> Iterator[set[str]]:
    """Yield the largest sets of modules of which each needs all others."""
    needed = {module: reachable(module) for module in imports()}
    seen: set[str] = set()
    for module in sorted(needed):
        if module not in seen and module in needed[module]:
            circle = {other for other in needed[module] if module in needed[other]}
            seen |= circle
            yield circle


def test_no_modules_import_each_other() -> None:
    unknown = [sorted(circle) for circle in circles() if circle not in CIRCLES]
    assert not unknown


def test_every_circle_that_is_allowed_is_there() -> None:
    assert [circle for circle in CIRCLES if circle not in list(circles())] == []


@pytest.mark.parametrize("package", ["engine", "peer", "protocol", "service", "storage", "tracker"])
def test_the_search_for_circles_sees_the_modules_of_each_package(package: str) -> None:
    assert sum(module.startswith(f"trio_swarm.{package}.") for module in imports()) > 5
