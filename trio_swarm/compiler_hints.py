"""Decorators that only the compiler (mypyc) reads; see "Compiled code" in CONTRIBUTING.md."""

from typing import TYPE_CHECKING, Any

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:
    # mypyc recognises the real decorator by its name, and needs it only while it compiles. So a
    # user who runs the sources need not have mypy_extensions installed.

    def mypyc_attr(**_: Any) -> Any:
        """Return a decorator that does nothing.

        `acyclic=True`: objects of the class are never part of a reference cycle, so the garbage
        collector does not track them. Compiled, each object takes 16 bytes less.
        `allow_interpreted_subclasses=True`: interpreted code, for instance a plugin, may subclass
        the compiled class.
        """
        return lambda decorated: decorated
