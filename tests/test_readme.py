"""The README is true: its programs run, its commands exist, its tables are complete."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trio

import trio_swarm
from local_swarm import contents, make_file, tracker
from trio_swarm import events
from trio_swarm.cli.command_table import GROUPS
from trio_swarm.cli.output import json_events
from trio_swarm.progress import PeerProgress

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _program(name: str) -> str:
    (block,) = re.findall(rf"```python\n(# {re.escape(name)}\n.*?)```", README, re.DOTALL)
    return block


def _commands() -> list[list[str]]:
    blocks = re.findall(r"```\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("trio-swarm ")]


async def test_the_embedding_example_runs_as_printed(tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(_program("example.py"), encoding="utf-8")
    source = make_file(tmp_path / "in" / "data.bin", 300_000)
    with trio.fail_after(60):
        async with tracker() as url:
            result = await trio.run_process(
                [sys.executable, str(program), url, str(source), str(tmp_path / "out")],
                capture_stdout=True,
                env={"XDG_STATE_HOME": str(tmp_path / "state")},
            )
    assert b"300000 bytes were fetched" in result.stdout
    assert b"300000 bytes came from 127.0.0.1:" in result.stdout
    assert contents(tmp_path / "out" / "data.bin") == contents(source)


def test_the_strategy_example_loads_with_its_option(tmp_path: Path) -> None:
    plugin = tmp_path / "my_strategy.py"
    plugin.write_text(_program("my_strategy.py"), encoding="utf-8")
    command = [sys.executable, "-m", "trio_swarm", "schedulers", "--plugin", str(plugin)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "in-order" in result.stdout
    assert "skip: int = 0" in result.stdout
    assert "Begin at this piece" in result.stdout


@pytest.mark.parametrize("arguments", _commands(), ids=" ".join)
def test_every_command_shown_has_the_options_it_is_shown_with(arguments: list[str]) -> None:
    if arguments[0].startswith("--"):
        options, help_of = arguments[:1], []
    else:
        words = 2 if arguments[0] in GROUPS else 1
        options, help_of = [a for a in arguments[words:] if a.startswith("--")], arguments[:words]
    command = [sys.executable, "-m", "trio_swarm", *help_of, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for option in options:
        assert option in result.stdout, f"{option} is not an option of {arguments[0]}"


def _event_rows() -> dict[str, set[str]]:
    """Return the table of events: the fields of each, by its name."""
    table = README[README.index("## JSON events") : README.index("## How it works")]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}


def test_the_event_table_is_complete_and_has_no_field_that_is_not_there() -> None:
    rows = _event_rows()
    kinds = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind
        for kind in events.Event.__subclasses__()
        if kind.__module__ in {events.__name__, json_events.__name__}
    }
    kinds["error"] = kinds.pop("failure")
    of_a_node = {name for name, kind in kinds.items() if kind.__module__ == events.__name__}
    assert of_a_node | {"progress", "hashing", "reached_here_only", "error"} == rows.keys()
    for name, fields in rows.items():
        assert fields == {field.name for field in msgspec.structs.fields(kinds[name])}, name


def test_what_progress_tells_of_each_peer_is_listed() -> None:
    (text,) = re.findall(r"Each of `connections` has (.*?)\.", README, re.DOTALL)
    fields = {field.name for field in msgspec.structs.fields(PeerProgress)}
    assert set(re.findall(r"`(\w+)`", text)) == fields


def test_links_into_the_project_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_public_names_it_tells_of_exist() -> None:
    for name in ("serve_tracker", "search_names", "create_torrent", "read_torrent", "parse_magnet"):
        assert f"`{name}`" in README
        assert hasattr(trio_swarm, name)


def test_each_wait_on_another_peer_is_listed_with_its_limit() -> None:
    limits = re.findall(
        r"^  \| [^|]+ \| `([\w.]+)\.([A-Z_]+)` \| ([\d.]+) \|", README, re.MULTILINE
    )
    assert len(limits) >= 12
    for module, name, seconds in limits:
        assert getattr(importlib.import_module(f"trio_swarm.{module}"), name) == float(seconds)
