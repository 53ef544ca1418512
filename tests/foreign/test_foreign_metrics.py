"""Prometheus' own checks (promtool) of what a node tells and of the rules that come with it."""

from pathlib import Path

import pytest
import trio

from controlled_node import controlled

MONITORING = Path(__file__).parents[2] / "config" / "monitoring"


@pytest.mark.foreign("promtool")
async def test_promtool_finds_nothing_wrong_with_the_metrics(tmp_path: Path) -> None:
    limits = '[limits]\nupload = "1MB"\ndownload = "1MB"\n'
    async with controlled(tmp_path, limits + "[tracker]\n") as node, node.client() as client:
        await node.context.peer.wait_open()
        text = (await client.get("/metrics")).content
        checked = await trio.run_process(
            ["promtool", "check", "metrics"], stdin=text, capture_stdout=True, capture_stderr=True
        )
    assert (checked.stdout, checked.stderr) == (b"", b"")


@pytest.mark.foreign("promtool")
async def test_promtool_finds_nothing_wrong_with_the_alerts() -> None:
    await trio.run_process(
        ["promtool", "check", "rules", str(MONITORING / "alerts.yml")], capture_stdout=True
    )
