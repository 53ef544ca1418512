"""How a strategy and its options are typed on the command line."""

from dataclasses import dataclass

import pytest

from trio_swarm.cli.lab.variants import read_variant
from trio_swarm.errors import ConfigError
from trio_swarm.schedulers.loading import Strategies, StrategyEntry


@dataclass
class Choosy:
    """Takes one option of each kind."""

    near: tuple[str, ...] = ()
    label: str = "zone"
    count: int = 1
    part: float = 0.5
    hide: bool = False

    def unchoke(self, view: object, rng: object) -> list[int]:
        return []


STRATEGIES = Strategies(
    [StrategyEntry("choosy", "choker", "built in", Choosy)],
    lambda: ((), ()),
)


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("choosy", {}),
        ("choosy:", {}),
        ("choosy:label=rack", {"label": "rack"}),
        ('choosy:label="a,b=c"', {"label": "a,b=c"}),
        ("choosy:label=5", {"label": "5"}),
        ("choosy:label=true", {"label": "true"}),
        ("choosy:count=1_000,part=1e-1,hide=true", {"count": 1000, "part": 0.1, "hide": True}),
        ("choosy: count = 0x10 , part = 3", {"count": 16, "part": 3.0}),
        ("choosy:near=a,b,label=c", {"near": ("a", "b"), "label": "c"}),
        ('choosy:near=["a", "b"],label=c', {"near": ("a", "b"), "label": "c"}),
    ],
)
def test_values_are_read_as_toml_or_as_the_text_they_are(
    typed: str, options: dict[str, object]
) -> None:
    assert read_variant("choker", typed, STRATEGIES).options == options


def test_what_is_typed_behind_the_name_goes_before_the_flag_for_all() -> None:
    variant = read_variant("choker", "choosy:count=2", STRATEGIES, ["count=1", "label=x"])
    assert variant.options == {"count": 2, "label": "x"}
    assert variant.label == "choosy:count=2,label=x"


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("choosy:count=many", "count"),
        ("choosy:near=[1]", "near"),
        ("choosy:near=[1", "near"),
        ("choosy:far=1", "far"),
        ("choosy:part=nan", "part"),
        ("choosy:label='a'\ncount = 2", "label"),
    ],
)
def test_an_error_names_the_option(typed: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"'{key}'"):
        read_variant("choker", typed, STRATEGIES)
