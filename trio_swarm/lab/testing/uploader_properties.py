"""The properties of an upload strategy: one function checks one promise."""

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

from trio_swarm.engine.guard import steers_of
from trio_swarm.lab.testing.common_properties import common_properties
from trio_swarm.lab.testing.decisions import Call, decide, fresh
from trio_swarm.lab.testing.describing import describe, pieces_text
from trio_swarm.lab.testing.properties import Property, Subject
from trio_swarm.lab.testing.seedings import (
    MOST_STEPS,
    Leecher,
    Seeding,
    SeedingError,
    SteppedSwarm,
    TakenBackError,
    WeightError,
    checked_weights,
)
from trio_swarm.lab.testing.views import upload_requests, upload_views
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadRequest, UploadView


def uploader_properties(*, suggests: bool, weighs: bool) -> list[Property]:
    """Return the properties of an uploader, with or without the methods `suggest` and `weight`."""
    view = {"view": upload_views()}
    properties = [
        Property(
            "offers_only_what_we_have",
            "It reveals a set of pieces that we have, or None for all of them.",
            offers_only_what_we_have,
            view,
        ),
        Property(
            "takes_nothing_back",
            "A piece that was revealed to a peer is not hidden from it again.",
            takes_nothing_back,
            {"plan": seeding_plans()},
            is_long=True,
        ),
        Property(
            "lets_everybody_have_everything_in_the_end",
            "A leecher that joins and stays is complete in the end, even if others pass nothing on "
            "and some leave.",
            lets_everybody_have_everything_in_the_end,
            {"plan": seeding_plans()},
            is_long=True,
        ),
        Property(
            "says_truly_whom_it_leaves_alone",
            "If `steers` returns False, it reveals all pieces to every peer and suggests none.",
            says_truly_whom_it_leaves_alone,
            view,
        ),
        Property(
            "orders_what_was_asked_and_nothing_else",
            "The order is a permutation of the requests.",
            orders_what_was_asked_and_nothing_else,
            {"asked": upload_views().flatmap(_with_requests)},
        ),
    ]
    if suggests:
        properties.append(
            Property(
                "suggests_only_what_we_have",
                "It suggests a set of pieces that we have, or None.",
                suggests_only_what_we_have,
                view,
            )
        )
    if weighs:
        properties.append(
            Property(
                "weighs_with_numbers",
                "A weight is an int or a float, 0 or more and finite, and so is the sum of all.",
                weighs_with_numbers,
                {"view": upload_views(), "plan": seeding_plans()},
                is_long=True,
            )
        )
    methods = ["offer", *["suggest"] * suggests, *["weight"] * weighs]
    calls = upload_views().flatmap(_with_requests).map(lambda asked: _calls(asked, methods))
    return [*properties, *common_properties(calls)]


class Asked(Struct, frozen=True):
    """A view, and the requests of its first peer."""

    view: UploadView
    requests: tuple[UploadRequest, ...]


def _with_requests(view: UploadView) -> st.SearchStrategy[Asked]:
    return upload_requests(view).map(lambda requests: Asked(view, tuple(requests)))


def _calls(asked: Asked, methods: list[str]) -> list[Call]:
    """Return all questions about one view, in the order of a host."""
    view = asked.view
    calls = [Call(method, (view, peer)) for method in methods for peer in view.peers]
    calls += [Call("order", (view, peer, asked.requests)) for peer in view.peers[:1]]
    return calls


def offers_only_what_we_have(subject: Subject, view: UploadView) -> None:
    """Ask about every peer, and check the revealed pieces."""
    __tracebackhide__ = True
    _check_sets(subject, view, "offer")


def suggests_only_what_we_have(subject: Subject, view: UploadView) -> None:
    """Ask about every peer, after `offer`, as a host does, and check the suggested pieces."""
    __tracebackhide__ = True
    _check_sets(subject, view, "suggest")


def says_truly_whom_it_leaves_alone(subject: Subject, view: UploadView) -> None:
    """If `steers` returns False, check that `offer` and `suggest` return None for every peer."""
    __tracebackhide__ = True
    strategy = subject.make()
    given = fresh(view)
    steers = steers_of(strategy)
    if steers is None or steers(given):
        return
    for peer in given.peers:
        for method in ("offer", "suggest"):
            pieces = getattr(strategy, method, lambda *_: None)(given, peer)
            if pieces is not None:
                raise subject.broke(
                    f"returned False in steers(), and {pieces!r:.80} in {method}() for peer "
                    f"{peer.key}",
                    describe(view),
                )


def _check_sets(subject: Subject, view: UploadView, method: str) -> None:
    __tracebackhide__ = True
    strategy = subject.make()
    given = fresh(view)
    for peer in given.peers:
        if method == "suggest":
            strategy.offer(given, peer)
        pieces: object = getattr(strategy, method)(given, peer)
        if pieces is None:
            continue
        if type(pieces) is not int or pieces < 0:
            raise subject.broke(
                f"returned {pieces!r:.80} in {method}(), which is not a piece set", describe(view)
            )
        if pieces & ~view.have:
            raise subject.broke(
                f"returned {pieces_text(pieces & ~view.have)} in {method}() for peer {peer.key}, "
                "which we do not have",
                describe(view),
            )


def orders_what_was_asked_and_nothing_else(subject: Subject, asked: Asked) -> None:
    """Let it order the requests, and check that they are a permutation."""
    __tracebackhide__ = True
    strategy = subject.make()
    for peer in asked.view.peers:
        call = Call("order", (asked.view, peer, asked.requests))
        ordered = decide(strategy, fresh(call))
        if not isinstance(ordered, list) or Counter(ordered) != Counter(asked.requests):
            raise subject.broke(
                f"made {ordered!r:.300} of the requests {list(asked.requests)!r:.300}, which is "
                "not a permutation of them",
                describe(asked.view),
            )


def weighs_with_numbers(subject: Subject, view: UploadView, plan: "SeedingPlan") -> None:
    """Ask for all weights in one view, after `offer`, and at each step of a game."""
    __tracebackhide__ = True
    strategy = subject.make()
    given = fresh(view)
    for peer in given.peers:
        strategy.offer(given, peer)
    try:
        checked_weights(strategy, given)
    except WeightError as error:
        raise subject.broke(str(error), describe(view)) from None
    try:
        plan.play(subject.make())
    except WeightError as error:
        raise subject.broke(str(error), plan.describe()) from None
    except SeedingError:
        return  # another property's business


class LeecherPlan(Struct, frozen=True, kw_only=True):
    """The plan of one leecher; times are steps."""

    passes: float
    """Pieces that it passes on to other leechers in a step."""
    joins_at: int = 0
    leaves_at: int | None = None
    """When it leaves; None: never."""


class SeedingPlan(Struct, frozen=True, kw_only=True):
    """The plan of a seeder's swarm."""

    pieces: int
    speed: float
    """Pieces that the seeder sends in a step."""
    own_number: int
    leechers: tuple[LeecherPlan, ...]

    def play(self, strategy: Any) -> tuple[Seeding, bool]:
        """Play the plan; return the end state, and whether all leechers that stay are complete.

        Raises `SeedingError` if the uploader reveals a piece that it must not.
        """
        seeding = Seeding(0, count=self.pieces, number=self.own_number, strategy=strategy)
        transfer = SteppedSwarm(seeding, self.speed, {})
        ends = max(max(plan.joins_at, plan.leaves_at or 0) for plan in self.leechers)
        for step in range(MOST_STEPS):
            for key, plan in enumerate(self.leechers, start=1):
                if plan.joins_at == step:
                    seeding.leechers[key] = Leecher(key)
                    transfer.passes[key] = plan.passes
                    transfer.credit[key] = 0.0
                if plan.leaves_at == step:
                    seeding.leechers.pop(key, None)
            if transfer.step() and step >= ends:
                return seeding, True
        return seeding, False

    def describe(self) -> str:
        """Return the plan as lines for an error message."""
        lines = [
            f"a seeder that sends {self.speed:g} pieces a step, of {self.pieces}",
            *(
                f"leecher {key} passes {plan.passes:g} pieces a step on"
                + (f", joins at step {plan.joins_at}" if plan.joins_at else "")
                + ("" if plan.leaves_at is None else f", leaves at step {plan.leaves_at}")
                for key, plan in enumerate(self.leechers, start=1)
            ),
        ]
        return "\n".join(["in this game:", *(f"  {line}" for line in lines)])


def seeding_plans() -> st.SearchStrategy[SeedingPlan]:
    """Draw a small torrent, and up to six leechers, of which some come late or go."""
    leecher = st.builds(
        LeecherPlan,
        passes=st.sampled_from([0.0, 0.2, 1.0, 3.0]),
        joins_at=st.sampled_from([0, 0, 0, 5, 60]),
        leaves_at=st.sampled_from([None, None, None, 3, 70]),
    )
    return st.builds(
        SeedingPlan,
        pieces=st.integers(1, 30),
        speed=st.sampled_from([0.5, 1.0, 2.0]),
        own_number=st.integers(0, 2**64 - 1),
        leechers=st.lists(leecher, min_size=1, max_size=6).map(tuple),
    )


def takes_nothing_back(subject: Subject, plan: SeedingPlan) -> None:
    """Play, and check that no revealed piece is hidden again."""
    __tracebackhide__ = True
    try:
        plan.play(subject.make())
    except TakenBackError as error:
        raise subject.broke(str(error), plan.describe()) from None
    except SeedingError:
        return  # another property's business


def lets_everybody_have_everything_in_the_end(subject: Subject, plan: SeedingPlan) -> None:
    """Play, and check that every leecher that stays is complete."""
    __tracebackhide__ = True
    try:
        seeding, is_over = plan.play(subject.make())
    except SeedingError:
        return  # another property's business
    if is_over:
        return
    left = {key: _missing(seeding, each) for key, each in seeding.leechers.items()}
    never = "; ".join(
        f"leecher {key} lacks {pieces_text(missing)} and was revealed "
        f"{pieces_text(seeding.leechers[key].revealed)}"
        for key, missing in left.items()
        if missing
    )
    raise subject.broke(f"hides pieces for ever: {never}", plan.describe())


def _missing(seeding: Seeding, leecher: Leecher) -> PieceSet:
    return seeding.have & ~leecher.pieces
