"""Names typed nearly right, and info-hashes of which only the beginning was typed."""

import glob
from collections.abc import Sequence

import trio_swarm
from trio_swarm.amounts import count_text, size_text
from trio_swarm.config.values import is_hash_prefix
from trio_swarm.errors import ConfigError, NameUnknownError, TrackerError
from trio_swarm.foreign_text import shown

ADVICE_SECONDS = 3.0
"""Advice is not waited for any longer."""
MAX_LISTED = 10
"""Matches in one message; `ls` lists all of them."""


async def hash_beginning(
    prefix: str, trackers: Sequence[str], name: str = ""
) -> trio_swarm.NameMatch | None:
    """Return the torrent called `name` whose info-hash begins with `prefix` (hex digits).

    Without a name, of all that the trackers know; None if they know none. Raises ConfigError, with
    the list, where several begin so, and a TrackerError if no tracker answered.
    """
    found = await trio_swarm.search_names(trackers, glob.escape(name) if name else "*")
    matches = {match.info_hash: match for match in found if _begins(match, prefix)}
    if len(matches) > 1:
        listed = [
            f"{each.info_hash.hex()} ({shown(each.name)}, {size_text(each.size)}, "
            f"{count_text(each.seeders, 'seeder')})"
            for each in list(matches.values())[:MAX_LISTED]
        ]
        more = len(matches) - len(listed)
        listed += [f"and {more} more"] if more else []
        raise ConfigError(f"{prefix} begins several info-hashes: {'; '.join(listed)}")
    return next(iter(matches.values()), None)


def _begins(match: trio_swarm.NameMatch, prefix: str) -> bool:
    return match.info_hash.hex().startswith(prefix.lower())


async def chosen_hash(
    typed: bytes | str | None, what: str, trackers: Sequence[str]
) -> bytes | None:
    """Return the info-hash of `what` that was chosen by the whole of it or by its beginning.

    Raises NameUnknownError if none begins so, ConfigError if several do.
    """
    if typed is None or isinstance(typed, bytes):
        return typed
    found = await hash_beginning(typed, trackers, what)
    if found is None:
        error = NameUnknownError(what, trackers)
        error.add_note(f"no info-hash of that name begins with {typed}")
        raise error
    return found.info_hash


async def whole_hash(
    what: str, error: NameUnknownError, trackers: Sequence[str], *, is_advised: bool
) -> str:
    """Return the info-hash that `what` begins, where it is no name; else raise `error`.

    With `is_advised` trackers are asked for names that are nearly `what`, which become its notes.
    """
    if is_hash_prefix(what):
        found = await hash_beginning(what, trackers)
        if found is not None:
            return found.info_hash.hex()
    if not is_advised:  # the answer is asked for again and again, and nobody reads the notes
        raise error
    near = await names_near(what, trackers)
    if near:
        error.add_note(f"did you mean {' or '.join(near)}?")
    elif "/" in what or what.endswith(".torrent"):
        error.add_note(f"nor is there a file {what}")
    raise error


async def names_near(name: str, trackers: Sequence[str]) -> list[str]:
    """Return up to three names that trackers know and that are nearly `name`, quoted."""
    import trio  # noqa: PLC0415 - `show` seldom asks, and needs none otherwise

    found: list[trio_swarm.NameMatch] = []
    with trio.move_on_after(ADVICE_SECONDS):
        try:
            found = await trio_swarm.search_names(trackers, "*")
        except TrackerError:
            return []
    import difflib  # noqa: PLC0415 - only for those who mistyped

    folded = {each.name.casefold(): each.name for each in reversed(found) if each.name != name}
    wanted = name.casefold()
    close = difflib.get_close_matches(wanted, folded, n=3, cutoff=0.6)
    # A word of a long name is enough to have meant it.
    close += [each for each in folded if len(wanted) > 2 and wanted in each and each not in close]
    return [repr(shown(folded[each])) for each in close[:3]]
