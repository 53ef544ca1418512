"""Commands start quickly: what each imports and calls is counted, which no machine changes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import trio_swarm
from fake_control import fake_node
from local_swarm import HOST, make_file, node, tracker
from trio_swarm.protocol.addresses import format_address

COUNT = """
import json, sys, threading

calls = 0

def count(frame, event, argument):
    global calls
    calls += event == "call"

import trio

bare = set(sys.modules)
sys.setprofile(count)
threading.setprofile(count)
from trio_swarm.cli import main
code = main()
sys.setprofile(None)
found = {"code": code, "calls": calls, "more": sorted(set(sys.modules) - bare)}
print(json.dumps(found), file=sys.stderr)
"""

SELDOM_NEEDED = frozenset(
    {
        "asyncio",
        "cyclopts.completion",
        "difflib",
        "docstring_parser",
        "email",
        "httpx",
        "importlib.metadata",
        "multiprocessing",
        "rich",
        "tomllib",
        "tomli_w",
        "trio_swarm.announcing.http_client",
        "trio_swarm.cli.output.json_events",
        "trio_swarm.cli.output.live",
        "trio_swarm.config.model",
        "trio_swarm.config.reading",
        "trio_swarm.tracker",
        "trio_swarm.tracker.server",
    }
)
"""Modules that cost much and that only some commands need, or some uses of a command."""


async def run_counted(*arguments: str | Path) -> dict[str, object]:
    """Run a command and return what it took beyond `import trio`; it must succeed."""
    done = await trio.run_process(
        [sys.executable, "-c", COUNT, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        capture_stderr=True,
    )
    found = json.loads(done.stderr.decode().splitlines()[-1])
    assert found["code"] == 0
    return found


async def test_the_version_is_told_without_importing_anything() -> None:
    code = "import sys; from trio_swarm.cli import main; main(); print(*sys.modules)"
    done = await trio.run_process(
        [sys.executable, "-I", "-c", code, "--version"], capture_stdout=True
    )
    version, modules = done.stdout.decode().splitlines()
    assert version == f"trio-swarm {trio_swarm.__version__}"
    ours = {name for name in modules.split() if name.startswith("trio_swarm")}
    assert ours == {"trio_swarm", "trio_swarm._version", "trio_swarm.cli"}
    assert not {"trio", "cyclopts", "msgspec"} & set(modules.split())


async def test_a_swarm_is_simulated_without_trio_nor_what_starts_processes(tmp_path: Path) -> None:
    scenario = tmp_path / "two.toml"
    scenario.write_text("""
        size = "1MiB"
        [[peers]]
        role = "seeder"
        up = "50Mbit"
        [[peers]]
        up = "50Mbit"
    """)
    code = "import sys; from trio_swarm.cli import main; assert not main(); print(*sys.modules)"
    done = await trio.run_process(
        [sys.executable, "-I", "-c", code, "simulate", str(scenario)], capture_stdout=True
    )
    modules = set(done.stdout.decode().splitlines()[-1].split())
    assert "trio_swarm.lab.simulator.swarm" in modules
    assert not {"trio", "multiprocessing", "concurrent.futures"} & modules


@pytest.mark.parametrize(
    "arguments",
    [("show", f"magnet:?xt=urn:btih:{'ab' * 20}"), ("schedulers",), ("check", "peer.toml")],
    ids=lambda arguments: arguments[0],
)
async def test_what_waits_for_nothing_needs_neither_trio_nor_what_draws(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "peer.toml").write_text("[tracker]\n")
    code = "import sys; from trio_swarm.cli import main; assert not main(); print(*sys.modules)"
    done = await trio.run_process(
        [sys.executable, "-I", "-c", code, *arguments], capture_stdout=True, cwd=tmp_path
    )
    modules = set(done.stdout.decode().splitlines()[-1].split())
    assert "cyclopts" in modules
    assert not {"trio", "rich"} & modules


async def test_ls_imports_no_node_and_nothing_seldom_needed() -> None:
    async with tracker() as url:
        found = await run_counted("ls", "--tracker", url)
    more = set(found["more"])
    assert not more & SELDOM_NEEDED
    assert not {name for name in more if name.startswith(("trio_swarm.peer", "trio_swarm.storage"))}
    assert "trio_swarm.node" not in more
    assert len(more) < 120
    assert found["calls"] < 60_000


@pytest.mark.parametrize("output", [(), ("--json",)])
async def test_get_imports_nothing_seldom_needed(tmp_path: Path, output: tuple[str, ...]) -> None:
    path = make_file(tmp_path / "film.bin", 100_000)
    async with tracker() as url, node(tmp_path, url) as seeder:
        await seeder.share(path)
        found = await run_counted(
            *("get", path.name, "--tracker", url, "--dir", tmp_path / "out", "--no-seed"),
            *("--peer", format_address((HOST, seeder.port)), "--state-dir", tmp_path / "state2"),
            *output,
        )
    more = set(found["more"])
    assert not more & SELDOM_NEEDED
    assert len(more) < 310  # 301 now
    assert found["calls"] < 130_000  # 106,100 now, and a quarter of head-room


FIRST_PACKET = """
import json, sys

seen = []

def note(event, arguments):
    if event == "socket.connect" and not seen:
        seen.extend(sys.modules)

sys.addaudithook(note)
from trio_swarm.cli import main
code = main()
print(json.dumps({"code": code, "modules": seen}), file=sys.stderr)
"""


async def test_a_tracker_is_asked_for_a_name_before_the_node_is_imported(tmp_path: Path) -> None:
    path = make_file(tmp_path / "film.bin", 100_000)
    async with tracker() as url, node(tmp_path, url) as seeder:
        await seeder.share(path)
        done = await trio.run_process(
            [
                *(sys.executable, "-c", FIRST_PACKET, "get", path.name, "--tracker", url),
                *("--no-seed", "--dir", tmp_path / "out", "--state-dir", tmp_path / "state2"),
            ],
            stdout=subprocess.DEVNULL,
            capture_stderr=True,
        )
    found = json.loads(done.stderr.decode().splitlines()[-1])
    assert found["code"] == 0
    ours = {name for name in found["modules"] if name.startswith("trio_swarm")}
    assert "trio_swarm.announcing.clients" in ours
    late = ("engine", "node", "peer", "schedulers", "service.service", "storage")
    assert not {name for name in ours if name.startswith(tuple(f"trio_swarm.{it}" for it in late))}
    assert len(ours) < 65  # 56 now


async def test_status_imports_no_node_and_no_server(tmp_path: Path) -> None:
    """httpx is what it asks with; the table is written without what draws."""
    with fake_node(tmp_path) as fake:
        fake.torrent("film.mkv")
        found = await run_counted("status", "--state-folder", tmp_path)
    more = set(found["more"])
    assert "httpx" in more
    # What httpx imports for its own command line is no part of ours.
    needed = {"httpx", "email", "rich", "trio_swarm.cli.output.json_events"}
    assert not more & (SELDOM_NEEDED - needed)
    others = ("trio_swarm.peer", "trio_swarm.storage", "trio_swarm.engine", "trio_swarm.service")
    assert not {name for name in more if name.startswith(others)}
    assert not {"trio_swarm.node", "starlette", "hypercorn", "prometheus_client"} & more
    ours = {name for name in more if name.startswith("trio_swarm")}
    assert len(ours) < 60  # 50 now
