"""Fewer examples of Hypothesis for tests that repeat what others show, in any profile."""

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import settings


@contextmanager
def one_example_in(several: int) -> Iterator[None]:
    """Let what is decorated within look at one example for so many of the profile in use."""
    profile = settings.get_current_profile_name()
    fewer = max(1, settings().max_examples // several)
    settings.register_profile("fewer", settings(), max_examples=fewer)
    settings.load_profile("fewer")
    try:
        yield
    finally:
        settings.load_profile(profile)
