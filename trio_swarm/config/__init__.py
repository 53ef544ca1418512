"""One TOML file describes a whole peer: read strictly, every problem found, never rewritten."""

from trio_swarm.config.model import (
    FetchConfig,
    LimitsConfig,
    NodeConfig,
    PeerConfig,
    PluginsConfig,
    ShareConfig,
    StrategyConfig,
    TrackerConfig,
    as_strategy,
)
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.config.reading import (
    check_strategies,
    find_problems,
    parse_config,
    read_config,
    require_task,
)

__all__ = [
    "ConfigProblems",
    "FetchConfig",
    "LimitsConfig",
    "NodeConfig",
    "PeerConfig",
    "PluginsConfig",
    "ShareConfig",
    "StrategyConfig",
    "TrackerConfig",
    "as_strategy",
    "check_strategies",
    "find_problems",
    "parse_config",
    "read_config",
    "require_task",
]
