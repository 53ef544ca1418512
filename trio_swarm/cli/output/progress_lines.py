"""One torrent's progress, as a line for people and as an event for programs."""

import math
from collections.abc import Sequence

from msgspec.structs import asdict

from trio_swarm.cli.output import json_lines
from trio_swarm.cli.output.text import (
    cell_width,
    cells_text,
    count_text,
    duration_text,
    percent_text,
    rate_text,
    size_text,
)
from trio_swarm.progress import PeerProgress, Progress

LONGEST_NAME = 40
"""Characters of a name in a line of progress: a terminal of 80 columns holds the rest as well."""


def progress_line(name: str, progress: Progress) -> str:
    """Return where the torrent is, in one line; empty for one where nothing moves."""
    peers = count_text(progress.peers, "peer")
    up = rate_text(progress.upload_rate)
    match progress.state:
        case "metadata":
            return f"{name}: asking {peers} for the metadata"
        case "checking":
            done = percent_text(progress.have, progress.size)
            return f"{name}: checked {done} of {size_text(progress.size)}"
        case "seeding":
            if not up:
                return ""
            return f"{name}: seeding {up} to {peers}, ratio {progress.ratio:.2f}"
        case "downloading" | "finishing":
            parts = [
                f"{percent_text(progress.have, progress.size)} of {size_text(progress.size)}",
                f"{rate_text(progress.download_rate) or '0 B/s'} from {peers}",
            ]
            if up:
                parts.append(f"{up} up")
            if progress.eta is not None and math.isfinite(progress.eta):
                parts.append(f"{duration_text(progress.eta)} left")
            return f"{name}: {', '.join(parts)}"
        case _:
            return ""


def shares_line(shares: Sequence[Progress]) -> str:
    """Return where many shares are, in one line; empty where nothing moves."""
    rate = rate_text(sum(progress.upload_rate for progress in shares))
    busy = sum(progress.upload_rate >= 1 for progress in shares)
    peers = count_text(sum(progress.peers for progress in shares), "peer")
    if not rate:
        return ""
    return f"{count_text(len(shares), 'share')}: {busy} busy, seeding {rate} to {peers}"


def aligned(names: Sequence[str]) -> list[str]:
    """Return names of one width, cut and escaped, for lines below each other."""
    cut = [cells_text(name, LONGEST_NAME) for name in names]
    width = max(map(cell_width, cut), default=0)
    return [name + " " * (width - cell_width(name)) for name in cut]


def progress_event(
    info_hash: bytes, name: str, progress: Progress, peers: Sequence[PeerProgress]
) -> json_lines.Progress:
    """Return the `progress` event of a torrent."""
    values = asdict(progress)
    eta = progress.eta
    values["eta"] = None if eta is None or not math.isfinite(eta) else eta
    known = json_lines.Progress.__struct_fields__
    return json_lines.Progress(
        info_hash=info_hash.hex(),
        share_name=name,
        connections=[asdict(peer) for peer in peers],
        **{key: value for key, value in values.items() if key in known},
    )
