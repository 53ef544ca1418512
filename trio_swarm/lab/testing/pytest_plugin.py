"""The pytest plugin, loaded wherever trio-swarm is installed: the flag `--strategy-report`.

With the flag each contract class gets one more test, which plays the standard swarms. It never
fails because of their numbers; the cards are printed at the end. Nothing else is imported at the
start.
"""

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from trio_swarm.lab.testing.properties import Subject

_CARD = "trio-swarm report card"
"""Name of the property of a test report that holds a card, which pytest-xdist passes on."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag `--strategy-report`."""
    parser.getgroup("trio-swarm").addoption(
        "--strategy-report",
        action="store_true",
        help="play the standard swarms with each strategy whose contract is tested, and print how "
        "it does beside the built-in strategies",
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a report to each collected contract class."""
    del session
    if not config.getoption("--strategy-report"):
        return
    parents = dict.fromkeys(item.parent for item in items if _subject(item) is not None)
    items += [
        StrategyReport.from_parent(parent, name="report_card")
        for parent in parents
        if parent is not None
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the report cards at the end."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == _CARD:
                title, _, table = str(text).partition("\n")
                terminalreporter.section(title)
                terminalreporter.write_line(table)


class StrategyReport(pytest.Item):
    """A test that plays the standard swarms for one contract."""

    def runtest(self) -> None:
        """Play the scenarios and attach the card to the test's report."""
        from trio_swarm.lab.testing.cards import report_card  # noqa: PLC0415 - only with the flag

        subject = _subject(self)
        assert subject is not None
        card = report_card(subject.axis, subject.factory, subject.name)
        title = f"{card.axis} {card.name} beside the built-in ones"
        self.user_properties.append((_CARD, "\n".join([title, *card.lines()])))


def _subject(item: pytest.Item) -> "Subject | None":
    """Return the strategy that a contract's test is about; None for any other test."""
    contract = getattr(item.parent, "obj", None)
    if not isinstance(contract, type) or "subject" not in vars(contract):
        return None
    subject: object = vars(contract)["subject"]
    return cast("Subject", subject) if type(subject).__module__ == _PROPERTIES else None


_PROPERTIES = "trio_swarm.lab.testing.properties"
