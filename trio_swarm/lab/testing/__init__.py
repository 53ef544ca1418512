"""The kit for authors of strategies: their contract as tests, standard swarms, a report card.

    from my_package import Mine
    from trio_swarm.testing import scheduler_contract

    TestMine = scheduler_contract(Mine)

`pip install 'trio-swarm[testing]'` brings pytest and Hypothesis, which the tests need. Names are
imported when first used: pytest imports this package whenever it starts.

Reading order: `contracts` (makes a class of tests), `properties` (what one promise is),
`common_properties`, `scheduler_properties`, `uploader_properties` and `choker_properties` (the
promises), `views` (draws what a strategy sees), `downloads`, `random_downloads`, `seedings` and
`choke_rounds` (whole games in which a promise must hold), `decisions`, `describing` (a situation in
words), `twin` and `twin_process` (the same strategy in another process), `examination` (all
promises without pytest), `standard_scenarios` and `cards` (the report card), `decision_time`,
`pytest_plugin` (`--strategy-report`).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_swarm.lab.testing.cards import report_card
    from trio_swarm.lab.testing.contracts import (
        choker_contract,
        scheduler_contract,
        uploader_contract,
    )
    from trio_swarm.lab.testing.properties import ContractError
    from trio_swarm.lab.testing.random_downloads import downloads
    from trio_swarm.lab.testing.standard_scenarios import STANDARD_SCENARIOS
    from trio_swarm.lab.testing.views import choke_views, swarm_views, upload_views

_HOME = {
    "ContractError": "properties",
    "STANDARD_SCENARIOS": "standard_scenarios",
    "choke_views": "views",
    "choker_contract": "contracts",
    "downloads": "random_downloads",
    "report_card": "cards",
    "scheduler_contract": "contracts",
    "swarm_views": "views",
    "upload_views": "views",
    "uploader_contract": "contracts",
}

_EXTRAS = {"pytest", "hypothesis"}

__all__ = [
    "STANDARD_SCENARIOS",
    "ContractError",
    "choke_views",
    "choker_contract",
    "downloads",
    "report_card",
    "scheduler_contract",
    "swarm_views",
    "upload_views",
    "uploader_contract",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562).

    Raises ModuleNotFoundError with what to install if pytest or Hypothesis is not there.
    """
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{home}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise ModuleNotFoundError(
            f"{name} needs {error.name}, which is not installed: pip install 'trio-swarm[testing]'",
            name=error.name,
        ) from None
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
