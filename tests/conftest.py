"""What every run of the tests needs: an up-to-date core, Hypothesis' profiles, signals that work.

`default` is for every run, the others for `make nightly`.
"""

import gc
import os
import signal
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import forked_commands

settings.register_profile("default", max_examples=50, deadline=None)
for name, examples in {"nightly": 10_000, "nightly-models": 1_000}.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell starts jobs in the background with SIGINT ignored, and nohup with SIGHUP; programs that
# tests start would inherit that, and could not be interrupted.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        is_interrupt = number is signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


LONGEST = (
    "foreign",
    "survival",
    "control",
    "lab",
    "schedulers",
    "cli",
    "building",
    "node",
    "storage",
)
"""The folders whose files take longest, so that no worker begins one when the others are at the
end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take longest first; those of one file stay together, and in order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}

    @cache
    def place(path: Path) -> tuple[int, Path]:
        return min((places[each] for each in path.parents if each in places), default=99), path

    items.sort(key=lambda item: place(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Have each worker begin at another place of each folder.

    Workers import all tests at the same time. In a fresh clone each would compile all of them;
    so each compiles its part, and finds what the others have written.
    """
    report = yield
    if isinstance(collector, pytest.Directory) and report.result:
        own, workers = (
            int(os.environ.get(name, default).removeprefix("gw"))
            for name, default in (("PYTEST_XDIST_WORKER", "0"), ("PYTEST_XDIST_WORKER_COUNT", "1"))
        )
        begin = len(report.result) * own // workers
        report.result = report.result[begin:] + report.result[:begin]
    return report


def pytest_collection_finish() -> None:
    """Spare the garbage collector thousands of tests, which stay: it looks at the rest only."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def endless_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and says nothing holds its place until another needs it."""
    monkeypatch.setattr("trio_swarm.peer.transport.admission.HANDSHAKE_TIMEOUT", 1000.0)


def pytest_unconfigure() -> None:
    """End the process that this worker forks commands from."""
    forked_commands.end_server()


def pytest_configure() -> None:
    """Refuse to test a compiled module in the place of a source that was changed since."""
    package = Path(__file__).parent.parent / "trio_swarm"
    for library in sorted(package.rglob("*.so")):
        source = library.with_name(library.name.split(".")[0] + ".py")
        if library.name.startswith("compiled__mypyc."):
            continue  # made with the others
        if not source.exists() or source.stat().st_mtime > library.stat().st_mtime:
            pytest.exit(
                f"{source.relative_to(package.parent)} was changed after it was compiled:"
                " run `make compiled`, or `make pure` to run the sources",
                returncode=4,
            )
