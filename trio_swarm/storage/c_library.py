"""Functions of the C library that Python's `os` does not have."""

import ctypes
from collections.abc import Callable


def find_function(name: str, *argument_types: type) -> Callable[..., int] | None:
    """Return a function that takes these ctypes and returns an int; None where there is none."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
    function.argtypes = argument_types
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes does not say what it is
