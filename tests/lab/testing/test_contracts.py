"""The kit finds what is wrong with a strategy, and nothing else: property by property."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

import bad_strategies
from trio_swarm.lab.testing.choker_properties import choker_properties
from trio_swarm.lab.testing.contracts import examined
from trio_swarm.lab.testing.properties import ContractError, Property, Subject
from trio_swarm.lab.testing.scheduler_properties import scheduler_properties
from trio_swarm.lab.testing.seedings import Seeding, WeightError, checked_weights
from trio_swarm.lab.testing.uploader_properties import uploader_properties
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.least_sent import LeastSent

SCHEDULER = scheduler_properties(fills_room=False, uniform_ties=False)
CLAIMS = scheduler_properties(fills_room=True, uniform_ties=True)
UPLOADER = uploader_properties(suggests=False, weighs=False)
SUGGESTER = uploader_properties(suggests=True, weighs=False)
SHARER = uploader_properties(suggests=False, weighs=True)
CHOKER = choker_properties(fills_slots=False, uniform_ties=False)
CHOKER_CLAIMS = choker_properties(fills_slots=True, uniform_ties=True)

SAME = "decides_the_same_when_asked_the_same"
HASH = "does_not_depend_on_the_hash_seed"

BROKEN: list[tuple[type, list[Property], set[str], str]] = [
    (
        bad_strategies.Starves,
        SCHEDULER,
        {"leaves_no_lone_peer_idle", "finishes_every_download_that_can_finish"},
        "did not finish a download that can finish: after",
    ),
    (
        bad_strategies.AsksPeersForWhatTheyLack,
        SCHEDULER,
        {
            "assigns_only_what_is_wanted_and_available",
            "respects_room_and_free_blocks",
            "finishes_every_download_that_can_finish",
        },
        r"gave piece \d+ to peer -?\d+, which can be asked only for \{",
    ),
    (
        bad_strategies.IgnoresRoom,
        SCHEDULER,
        {"respects_room_and_free_blocks"},
        r"gave \d+ blocks of piece \d+ to peer -?\d+, when the peer had room for \d+ more",
    ),
    (
        bad_strategies.GivesBlocksTwice,
        SCHEDULER,
        {"respects_room_and_free_blocks"},
        r"and the piece 0 free blocks",
    ),
    (
        bad_strategies.AnswersEndlessly,
        SCHEDULER,
        {"returns_assignments_and_comes_to_an_end", "respects_room_and_free_blocks"},
        "it seems to be endless",
    ),
    (
        bad_strategies.ReturnsTuples,
        SCHEDULER,
        {
            "returns_assignments_and_comes_to_an_end",
            "finishes_every_download_that_can_finish",
        },
        "instead of an Assignment",
    ),
    (
        bad_strategies.FailsWithoutPeers,
        SCHEDULER,
        {
            "returns_assignments_and_comes_to_an_end",
            "assigns_only_what_is_wanted_and_available",
            "respects_room_and_free_blocks",
            "assigns_nothing_where_nothing_can_be_given",
        },
        "division|modulo|by zero",
    ),
    (
        bad_strategies.GoesByTheHashOfLabels,
        SCHEDULER,
        {HASH},
        "in a process with another hash seed",
    ),
    (bad_strategies.GoesByTheAddressOfObjects, SCHEDULER, {SAME, HASH}, "asked the same again"),
    (
        bad_strategies.UsesTheModuleRandom,
        SCHEDULER,
        {SAME, HASH, "draws_from_no_other_random_numbers"},
        "drew from the module `random` in assign",
    ),
    (
        bad_strategies.CrossesOut,
        SCHEDULER,
        {"changes_nothing_it_is_given", "finishes_every_download_that_can_finish"},
        "changed SwarmView.free_blocks, which it must only read",
    ),
    (
        bad_strategies.FavoursPiecesAfterGaps,
        CLAIMS,
        {"breaks_ties_uniformly"},
        "does not pick pieces alike equally often",
    ),
    (
        bad_strategies.LeavesRoom,
        CLAIMS,
        {"fills_all_room_that_can_be_filled"},
        r"left peer -?\d+ with room for \d+ blocks",
    ),
    (
        bad_strategies.OffersEverything,
        UPLOADER,
        {"offers_only_what_we_have"},
        r"returned \{.*\} in offer\(\) for peer -?\d+, which we do not have",
    ),
    (
        bad_strategies.TakesBack,
        UPLOADER,
        {"takes_nothing_back"},
        r"hid \{.*\} again, which it had revealed to peer \d",
    ),
    (
        bad_strategies.KeepsTheLastPiece,
        UPLOADER,
        {"lets_everybody_have_everything_in_the_end"},
        r"hides pieces for ever: leecher \d lacks \{",
    ),
    (
        bad_strategies.DropsRequests,
        UPLOADER,
        {"orders_what_was_asked_and_nothing_else"},
        "which is not a permutation of them",
    ),
    (
        bad_strategies.SuggestsAnything,
        SUGGESTER,
        {"suggests_only_what_we_have"},
        r"in suggest\(\) for peer",
    ),
    (
        bad_strategies.KeepsQuietly,
        UPLOADER,
        {"says_truly_whom_it_leaves_alone"},
        r"returned False in steers\(\), and \d+ in offer\(\) for peer",
    ),
    (
        bad_strategies.WeighsByWhatIsOwed,
        SHARER,
        {"weighs_with_numbers"},
        r"gave peer -?\d+ the weight -\d+, which is not a finite number of 0 or more",
    ),
    (
        bad_strategies.FavoursGrownPeers,
        SHARER,
        {"weighs_with_numbers"},
        r"gave the weights \{.*\}, whose sum is not finite",
    ),
    (
        bad_strategies.UnchokesStrangers,
        CHOKER,
        {"unchokes_only_connected_peers", "lets_no_interested_peer_starve"},
        "unchoked -7, which is not a peer's key",
    ),
    (bad_strategies.OverfillsSlots, CHOKER, {"keeps_to_the_slots"}, r"unchoked \d peers: \["),
    (
        bad_strategies.HasFavourites,
        CHOKER_CLAIMS,
        {"lets_no_interested_peer_starve", "breaks_ties_uniformly"},
        r"never unchoked \[.*\] in 1800 s",
    ),
    (
        bad_strategies.ServesTheBored,
        CHOKER_CLAIMS,
        {"fills_all_slots_with_interested_peers"},
        "not interested in anything",
    ),
]


@contextmanager
def examples(count: int) -> Iterator[None]:
    """Let `examined` draw so many, the same each time: a promise is broken or it is not."""
    before = settings.get_current_profile_name()
    settings.register_profile(
        "steady",
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    settings.load_profile("steady")
    try:
        yield
    finally:
        settings.load_profile(before)


def broken_promises(
    subject: Subject, properties: list[Property], expected: set[str]
) -> dict[str, str]:
    """Return what each property that does not hold says; it is looked for where it is expected."""
    found = {}
    for each in properties:
        try:
            with examples(400 if each.name in expected else 8):
                examined(subject, each)(None)
        except Exception as error:  # noqa: BLE001  a strategy may raise anything
            found[each.name] = "\n".join([str(error), *getattr(error, "__notes__", ())])
    return found


@pytest.mark.parametrize(
    ("strategy", "properties", "expected", "said"),
    BROKEN,
    ids=[each[0].__name__ for each in BROKEN],
)
def test_a_bad_strategy_breaks_just_the_promises_it_breaks(
    strategy: Callable[[], Any], properties: list[Property], expected: set[str], said: str
) -> None:
    axis = "scheduler" if hasattr(strategy, "assign") else "uploader"
    subject = Subject("choker" if hasattr(strategy, "unchoke") else axis, strategy)  # type: ignore[arg-type]
    try:
        found = broken_promises(subject, properties, expected)
    finally:
        subject.close()
    assert set(found) == expected
    assert any(re.search(said, text) for text in found.values()), found


@pytest.mark.parametrize("weight", [-1, True, None, "1", math.nan, math.inf, 10**400])
def test_what_is_no_weight_breaks_the_promise(weight: Any) -> None:
    class Weighs(LeastSent):
        def weight(self, view: UploadView, peer: UploadPeerView) -> Any:
            return weight

    view = Seeding(2).view()
    with pytest.raises(WeightError, match="gave peer 1 the weight"):
        checked_weights(Weighs(), view)


def test_weights_are_numbers_of_any_size_as_long_as_their_sum_is_one() -> None:
    class Weighs(LeastSent):
        def weight(self, view: UploadView, peer: UploadPeerView) -> float:
            return {1: 0, 2: 1e-300, 3: 1e308}[peer.key]

    assert checked_weights(Weighs(), Seeding(3).view()) == {1: 0.0, 2: 1e-300, 3: 1e308}
    assert checked_weights(LeastSent(), Seeding(2).view()) == {1: 1.0, 2: 1.0}


def test_a_weight_that_goes_wrong_in_the_course_of_a_game_is_found() -> None:
    class Tires(LeastSent):
        def weight(self, view: UploadView, peer: UploadPeerView) -> float:
            return math.nan if 0.5 < view.now < 100.0 else 1.0  # no view that is drawn is so early

    subject = Subject("uploader", Tires)
    (promise,) = [each for each in SHARER if each.name == "weighs_with_numbers"]
    with examples(20), pytest.raises(ContractError, match="the weight nan") as caught:
        examined(subject, promise)(None)
    assert "\nin this game:" in str(caught.value)


def test_the_error_says_which_strategy_did_what_where() -> None:
    subject = Subject("scheduler", bad_strategies.IgnoresRoom)
    (promise,) = [each for each in SCHEDULER if each.name == "respects_room_and_free_blocks"]
    with examples(400), pytest.raises(ContractError) as caught:
        examined(subject, promise)(None)
    text = str(caught.value)
    assert text.startswith("IgnoresRoom gave ")
    assert "\nwhere the view is:\n  " in text
    assert re.search(r"\n  peer -?\d+: room for \d+, has \{", text)
    assert any("SwarmView(" in note for note in caught.value.__notes__)


def test_every_property_is_broken_by_some_bad_strategy() -> None:
    known = {each.name for each in (*CLAIMS, *SUGGESTER, *SHARER, *CHOKER_CLAIMS)}
    assert known == set().union(*(expected for _, _, expected, _ in BROKEN))
