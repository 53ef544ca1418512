"""Every extension point of trio-swarm: three hooks, one for each kind of strategy.

A plugin is a module that implements one or more of them:

    from trio_swarm.schedulers.hookspecs import hookimpl

    @hookimpl
    def trio_swarm_schedulers():
        return {"my-strategy": MyStrategy}

Each hook is called once, when the program starts. It returns a *factory* for each name, usually a
dataclass. The factory is called each time a download or a node selects the name, with the options
of the configuration as keyword arguments. Its fields or parameters are the options, and the first
line of its docstring is the summary shown by `trio-swarm schedulers`. `trio_swarm.schedulers.api`
tells which methods the objects it makes must have.

A plugin is found in one of two ways: as an installed package with an entry point in the group
`trio_swarm` that names the module, or as a Python file or folder listed under `[plugins]` in the
configuration. Two strategies of one kind with the same name are an error, so a plugin cannot
replace another by accident.
"""

from collections.abc import Mapping

import pluggy

from trio_swarm.schedulers.api import ChokerFactory, SchedulerFactory, UploaderFactory

PROJECT = "trio_swarm"
"""The pluggy project name and the name of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of the hook of the same name."""


@hookspec
def trio_swarm_schedulers() -> Mapping[str, SchedulerFactory]:  # type: ignore[empty-body]  # a specification has none
    """Return this plugin's download strategies by name: which chunks to fetch from which peers."""


@hookspec
def trio_swarm_uploaders() -> Mapping[str, UploaderFactory]:  # type: ignore[empty-body]  # a specification has none
    """Return this plugin's upload strategies by name: what to reveal, suggest and serve first."""


@hookspec
def trio_swarm_chokers() -> Mapping[str, ChokerFactory]:  # type: ignore[empty-body]  # a specification has none
    """Return this plugin's unchoking strategies by name: which peers may download from us now."""
