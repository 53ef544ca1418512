"""All problems of a configuration file at once."""

from collections.abc import Sequence

from trio_swarm.errors import ConfigError


class ConfigProblems(ConfigError):  # noqa: N818 - it is plural on purpose: it holds several errors
    """Everything that is wrong with one file; `problems` holds one `ConfigError` each, ≥ 1."""

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        first = problems[0]
        more = len(problems) - 1
        super().__init__(f"{first} (and {more} more)" if more else str(first))
        self.file = first.file
        self.key = first.key
        self.problems = tuple(problems)
