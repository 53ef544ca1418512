"""A network for the foreign clients; without it, or without them, a reason and not a failure."""

import os
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pytest

from foreign_network import Network, open_network


def _unavailable(reason: str) -> NoReturn:
    # On CI everything must have run: there a missing program is a broken CI.
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the programs that `@pytest.mark.foreign(...)` names, before any fixture runs."""
    for marker in item.iter_markers("foreign"):
        for program in marker.args:
            if shutil.which(program) is None:
                _unavailable(f"{program} is not installed (`make test` as root installs it)")


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    if os.geteuid() != 0:
        _unavailable("only root can make a network namespace")
    if shutil.which("ip") is None:
        _unavailable("`ip` is not installed (Debian: iproute2)")
    network = open_network()
    try:
        opened = network.__enter__()
    except OSError as error:
        _unavailable(f"no network namespace can be made here: {error}")
    yield opened
    network.__exit__(None, None, None)
