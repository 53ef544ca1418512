"""Functions of the C library that Python's `os` module lacks."""

import ctypes
from collections.abc import Callable


def find_function(name: str, *argument_types: type) -> Callable[..., int] | None:
    """Return a C function with these argument types that returns an int; None if it is missing."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
    function.argtypes = argument_types
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes does not say what it is
