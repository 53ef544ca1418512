"""The files of `trio-swarm simulate --record`: which peers, which paths, and their heads."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from trio_swarm._version import __version__
from trio_swarm.cli.lab.variants import Variant
from trio_swarm.cli.options import expanded
from trio_swarm.cli.output.new_files import write_new_file
from trio_swarm.errors import ConfigError
from trio_swarm.lab.simulator import Scenario
from trio_swarm.recording import Header

MOST_AT_ONCE = 250
"""Peers recorded in one run: the last few thousand events of each are in memory, some 0.4 MB."""

_SUFFIX = ".rec"


def recording_files(record: Path | None, of: str | None, scenario: Scenario) -> dict[int, Path]:
    """Return the files to record to, by the index of the peer; none without `--record`.

    With `of`, the name of a peer, `record` is a file; else it is a folder, which is made, with a
    file for each peer that fetches. Raises ConfigError that names the flag.
    """
    if record is None:
        if of is not None:
            raise ConfigError("--of: says whose download is recorded; --record FILE says where to")
        return {}
    path = expanded(record) or record
    fetching = {
        name: index
        for index, (name, peer) in enumerate(zip(scenario.names, scenario.peers, strict=True))
        if peer.role != "seeder"
    }
    if of is not None:
        if of not in fetching:
            raise ConfigError(f"--of: {of} is none of those that fetch: {_listed(fetching)}")
        if not path.parent.is_dir():
            raise ConfigError(f"--record: there is no folder {path.parent}")
        files = {fetching[of]: path}
    else:
        if len(fetching) > MOST_AT_ONCE:
            raise ConfigError(
                f"--record: {len(fetching):,} peers are too many to record at once "
                f"({MOST_AT_ONCE}): choose one by --of ({_listed(fetching)})"
            )
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(
                f"--record: {path} cannot be a folder ({reason}); for a file, name one peer by --of"
            ) from error
        files = {index: path / f"{name}{_SUFFIX}" for name, index in fetching.items()}
    for file in files.values():
        if file.exists():
            raise ConfigError(f"--record: {file} is there already; name another, or remove it")
    return files


def _listed(names: Mapping[str, int]) -> str:
    every = list(names)
    return ", ".join(every) if len(every) < 4 else f"{every[0]}, {every[1]} … {every[-1]}"


def header_of(
    name: str,
    scenario: Scenario,
    index: int,
    *,
    scheduler: Variant,
    uploader: Variant,
    choker: Variant,
    seed: int,
) -> Header:
    """Return the head of one peer's recording: the same in every run of the same simulation.

    There is no torrent; in the place of its info-hash there is one of all that makes the run.
    """
    chosen = [(each.label, sorted(each.options.items())) for each in (scheduler, uploader, choker)]
    run = repr((scenario, chosen, seed)).encode()
    return Header(
        program=f"trio-swarm {__version__}",
        name=name,
        info_hash=hashlib.sha1(run, usedforsecurity=False).hexdigest(),
        size=scenario.size,
        piece_length=scenario.piece_length,
        scheduler=scheduler.name,
        scheduler_options=dict(scheduler.options),
        uploader=uploader.name,
        uploader_options=dict(uploader.options),
        choker=choker.name,
        choker_options=dict(choker.options),
        seed=seed,
        peer_id=scenario.names[index],
    )


def write_recordings(files: Mapping[int, Path], contents: Mapping[int, bytes]) -> None:
    """Write a recording. Raises StorageError."""
    for index, file in files.items():
        write_new_file(file, contents[index])
