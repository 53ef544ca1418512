"""Every foreign client, kind of torrent, direction and tracker: each combination a test.

A client spends most of such an exchange waiting (Transmission unchokes every 10 s), so they all run
beside each other, when the first test is set up, and each test then reports its own.
"""

import shutil

import pytest
import trio

from foreign_matrix import EXCHANGES, IDENTICAL, Exchange, run_exchanges
from foreign_network import Network

pytestmark = pytest.mark.timeout(240)  # the first test's set-up runs all exchanges


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> dict[Exchange, str]:
    """Run those exchanges whose tests were selected and whose programs are here."""
    selected = [
        item.callspec.params["exchange"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
    ]
    runnable = [each for each in selected if all(map(shutil.which, each.programs))]
    return trio.run(run_exchanges, network, runnable, tmp_path_factory.mktemp("exchanges"))


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(each, id=str(each), marks=pytest.mark.foreign(*each.programs))
        for each in EXCHANGES
    ],
)
def test_a_foreign_client_and_ours_exchange(
    exchange: Exchange, outcomes: dict[Exchange, str]
) -> None:
    if (outcome := outcomes[exchange]) != IDENTICAL:
        pytest.fail(outcome, pytrace=False)
