"""What the rules of a tracker refuse, remembered where it takes long to find out. Pure."""

from typing import Final

from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.admission.rules import AdmissionRules

MAX_REMEMBERED: Final = 100_000
"""Names that were looked at: some 10 MiB. To look at one anew takes 100 µs with many patterns."""


class Refusals:
    """Says what `rules` refuse, as the Admission of a store; new rules hold at once."""

    def __init__(self, rules: AdmissionRules) -> None:
        self._names: dict[str, str | None] = {}
        """Why not, by name."""
        self._rules = rules

    @property
    def rules(self) -> AdmissionRules:
        """What is allowed."""
        return self._rules

    @rules.setter
    def rules(self, rules: AdmissionRules) -> None:
        self._rules = rules
        self._names.clear()

    def hash_refusal(self, info_hash: bytes) -> str | None:
        """As Admission."""
        return self._rules.hash_refusal(info_hash)

    def name_refusal(self, name: str) -> str | None:
        """As Admission."""
        names = self._names
        if name in names:
            return names[name]
        if len(names) >= MAX_REMEMBERED:
            names.clear()
        refusal = names[name] = self._rules.name_refusal(name)
        return refusal

    def share_refusal(self, share: UrlShare, host: bytes) -> str | None:
        """As Admission."""
        return self.name_refusal(share.name) or self._rules.registrar_refusal(share, host)

    def hides(self, name: str, info_hash: bytes) -> bool:
        """Whether nobody may find a name of a torrent."""
        return self.hash_refusal(info_hash) is not None or self.name_refusal(name) is not None
