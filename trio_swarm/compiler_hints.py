"""What sources tell the compiler (see "Development" in the README), and nobody else."""

from typing import TYPE_CHECKING, Any

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:
    # mypyc knows the real one by its name and needs it while it compiles only, so that nobody need
    # have it installed who runs the sources.

    def mypyc_attr(**_: Any) -> Any:
        """Return a decorator that does nothing.

        `acyclic=True`: objects of that class are never part of a cycle, so that the collector need
        not know of them. Compiled, each takes 16 bytes less. `allow_interpreted_subclasses=True`:
        compiled, a plugin may still make a class of it.
        """
        return lambda decorated: decorated
