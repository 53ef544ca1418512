"""The digests of runs as they are shown: equal if and only if the same happened."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence


def digest_text(digests: Sequence[str]) -> str:
    """Return the first digits of the digest of one run, or of all digests together (SHA-256)."""
    if len(digests) == 1:
        return digests[0][:12]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:12]


def alike(digests: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a sentence about strategies with which the same happened in all their runs."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, each in digests.items():
        groups.setdefault(tuple(each), []).append(name)
    for names in groups.values():
        if len(names) > 1:
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            yield f"{listed} decided alike: the very same happened with {_all(names)}"


def _all(names: Sequence[str]) -> str:
    return "both" if len(names) == 2 else f"all {len(names)}"
