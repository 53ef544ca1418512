"""All lists of a tracker together: why an announce, or a name, is not taken. Pure."""

from ipaddress import ip_address
from typing import Final, NamedTuple

from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.admission.hash_lists import HashList
from trio_swarm.tracker.admission.patterns import NamePatterns
from trio_swarm.tracker.admission.tokens import Tokens
from trio_swarm.tracker.networks import Networks

NOT_ALLOWED: Final = "this tracker is for other torrents: its operator has a list of them (allow)"
DENIED: Final = "this tracker does not take this torrent: its operator has it on a list (deny)"
NAME_NOT_ALLOWED: Final = "this tracker is for other names: its operator has a list of them"
NAME_DENIED: Final = "this tracker does not take this name: its operator has it on a list"
"""What refused peers are told; clients show some 100 characters."""

NOT_A_REGISTRAR: Final = (
    "the token in the tracker's URL is not one of this tracker's: ask its operator for one"
)
REGISTRARS_ONLY: Final = (
    "names are registered with a token here: ask the operator for one, and announce to "
    "udp://HOST:PORT/announce?token=TOKEN"
)


class AdmissionRules(NamedTuple):
    """What the lists of a tracker say. None: there is no such list."""

    allow: HashList | None = None
    """Info-hashes that alone are tracked."""
    deny: HashList | None = None
    """Info-hashes that are not tracked, whatever `allow` holds."""
    names_allow: NamePatterns | None = None
    names_deny: NamePatterns | None = None
    register: Networks | None = None
    """From where names are registered."""
    tokens: Tokens | None = None
    """With which they are registered from anywhere else."""

    @property
    def has_hashes(self) -> bool:
        """Whether not all info-hashes are tracked."""
        return self.allow is not None or self.deny is not None

    @property
    def has_registrars(self) -> bool:
        """Whether not everybody may register names."""
        return self.register is not None or self.tokens is not None

    def hash_refusal(self, info_hash: bytes) -> str | None:
        """Return why a torrent is not tracked, None if it is."""
        if self.deny is not None and info_hash in self.deny:
            return DENIED
        if self.allow is not None and info_hash not in self.allow:
            return NOT_ALLOWED
        return None

    def name_refusal(self, name: str) -> str | None:
        """Return why nobody may register a name, None if somebody may."""
        if self.names_deny is not None and name in self.names_deny:
            return NAME_DENIED
        if self.names_allow is not None and name not in self.names_allow:
            return NAME_NOT_ALLOWED
        return None

    def knows_token(self, token: bytes) -> bool:
        """Whether who has this token may register names; b"": none."""
        return bool(token) and self.tokens is not None and token in self.tokens

    def registrar_refusal(self, share: UrlShare, host: bytes) -> str | None:
        """Return why a peer at a packed IP address may not register names, None if it may."""
        if not self.has_registrars or self.knows_token(share.token):
            return None
        if self.register is not None and host in self.register:
            return None
        if self.tokens is not None:
            return NOT_A_REGISTRAR if share.token else REGISTRARS_ONLY
        return (
            f"names are registered from some addresses only here, and {ip_address(host)} is none "
            "of them: ask the operator (register)"
        )
