"""What is set of the whole node at run time: over restarts, until the file says something new."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from local_swarm import HOST, Recorder
from trio_swarm import NodeSettings, open_service
from trio_swarm.config.reading import parse_config
from trio_swarm.errors import StorageError
from trio_swarm.service.described import rates_in, schedule_in
from trio_swarm.service.entries.records import NodeValues
from trio_swarm.service.rates import RateLimits, Rates
from trio_swarm.service.run_time import RunTimeSettings
from trio_swarm.service.service import Service

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""

SCHEDULE = '[schedule]\nbegin = "08:00"\nend = "18:00"\nupload = 100\n'
DAY = 86_400.0


class Node:
    """A node that runs by a file, at a time of the day (UTC) that the test sets."""

    def __init__(self, service: Service, text: str, at: float) -> None:
        self.at = at
        self.service = service
        config = parse_config(text.encode(), file=Path("/etc/peer.toml"))
        self.rates = RateLimits(
            rates_in(config),
            schedule_in(config),
            apply=lambda rates: service.node.set_rates(*rates),
            clock=self._now,
        )
        self.run_time = RunTimeSettings(service.entries, self.rates, clock=self._now)
        self._config = config

    def _now(self) -> float:
        return 10 * DAY + self.at

    async def begin(self) -> None:
        await self.run_time.begin(self._config)

    async def reload(self, text: str) -> None:
        await self.run_time.follow(parse_config(text.encode(), file=Path("/etc/peer.toml")))

    @property
    def values(self) -> tuple[object, ...]:
        limits = self.service.entries.limits
        return (*self.rates.normal, limits.max_active_downloads, limits.seed_ratio)


@asynccontextmanager
async def node(folder: Path, text: str = "", *, at: float = 0.0) -> AsyncIterator[Node]:
    settings = NodeSettings(listen_host=HOST, state_folder=folder / "state", on_event=Recorder())
    with trio.fail_after(LIMIT):
        async with open_service(settings, keeps_entries=True) as service:
            opened = Node(service, text, at)
            await opened.begin()
            yield opened


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


async def test_what_is_set_outlives_the_node_until_the_file_says_something_new(
    tmp_path: Path,
) -> None:
    file = "[limits]\nupload = 1000\ndownload = 2000\n"
    place = str(tmp_path / "begins")
    async with node(tmp_path, file) as first:
        await first.run_time.set(
            NodeValues(
                upload_rate=500,
                download_rate=None,
                max_active_downloads=3,
                seed_ratio=1.5,
                incomplete_folder=place,
                download_folder=f"{place}/films",
            )
        )
        assert first.values == (500, None, 3, 1.5)
        assert first.service.node.rates == (500, None)
    async with node(tmp_path, file) as again:
        assert again.values == (500, None, 3, 1.5)
        assert str(again.service.entries.incomplete_folder) == place
        assert str(again.run_time.download_folder) == f"{place}/films"
    other = "[limits]\nupload = 1000\ndownload = 9000\nmax_active_downloads = 7\n"
    async with node(tmp_path, other) as later:
        assert later.values == (500, 9000, 7, 1.5)
    async with node(tmp_path, file) as back:  # what the file has overruled is forgotten
        assert back.values == (500, 2000, None, 1.5)


async def test_a_reload_takes_over_what_changed_in_the_file_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with node(tmp_path, "[limits]\nupload = 1000\ndownload = 2000\n") as one:
        await one.run_time.set(NodeValues(upload_rate=500, max_active_downloads=3))
        await one.reload("[limits]\nupload = 1000\ndownload = 9000\n")
        assert one.values == (500, 9000, 3, None)
        await one.reload(
            '[node]\ndownload_folder = "/d"\n[limits]\nupload = 1001\ndownload = 9000\n'
        )
        assert one.run_time.download_folder == Path("/d")
        assert one.values == (1001, 9000, 3, None)
        assert one.service.node.rates == (1001, 9000)
        assert one.service.entries.kept_node.changed == NodeValues(max_active_downloads=3)


async def test_whoever_sets_what_the_file_says_leaves_it_to_the_file(tmp_path: Path) -> None:
    async with node(tmp_path, "[limits]\nupload = 1000\n") as one:
        await one.run_time.set(NodeValues(upload_rate=500))
        await one.run_time.set(NodeValues(upload_rate=1000))
        assert one.service.entries.kept_node.changed == NodeValues()
    async with node(tmp_path, "[limits]\nupload = 7\n") as one:
        assert one.values[0] == 7


async def test_a_switch_by_hand_holds_until_the_schedules_next_change(tmp_path: Path) -> None:
    hour = 3600.0
    async with node(tmp_path, SCHEDULE, at=9 * hour) as one:
        assert one.rates.in_force == Rates(100, None)
        await one.run_time.set(NodeValues(), is_alternative=False)
        assert one.rates.in_force == Rates(None, None)
    async with node(tmp_path, SCHEDULE, at=17 * hour) as one:
        assert one.rates.in_force == Rates(None, None)
    async with node(tmp_path, SCHEDULE, at=33 * hour) as one:  # the next morning
        assert one.rates.in_force == Rates(100, None)


async def test_alternative_limits_without_a_schedule_outlive_the_node(tmp_path: Path) -> None:
    # As Transmission keeps `alt-speed-*` in its settings.json.
    async with node(tmp_path) as one:
        await one.run_time.set(NodeValues(alternative_upload_rate=300), is_alternative=True)
        assert one.rates.in_force == Rates(300, None)
    async with node(tmp_path) as one:
        assert one.rates.in_force == Rates(300, None)
        await one.run_time.set(NodeValues(), is_alternative=False)
    async with node(tmp_path) as one:
        assert (one.rates.alternative, one.rates.is_alternative) == (Rates(300, None), False)
    async with node(tmp_path, SCHEDULE, at=0) as one:  # the file has its own now
        assert one.rates.alternative == Rates(100, None)


async def test_what_cannot_be_kept_is_not_done(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        (tmp_path / "state" / "entries" / "node.json").mkdir()
        with pytest.raises(StorageError):
            await one.run_time.set(NodeValues(upload_rate=500), is_alternative=True)
        assert one.values[0] is None


async def test_a_damaged_file_is_put_aside_and_the_node_runs_by_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "state" / "entries" / "node.json"
    async with node(tmp_path) as one:
        await one.run_time.set(NodeValues(upload_rate=500))
    kept.write_text('{"version": 1, "changed": {"upload_rate": -1}}')
    async with node(tmp_path) as one:
        assert one.values[0] is None
        assert not kept.exists()
        assert kept.with_name("node.json.unreadable").exists()


async def test_what_a_killed_process_left_in_the_state_folder_is_gone(tmp_path: Path) -> None:
    left = [tmp_path / "state" / name / ".new-left" for name in ("entries", "hashes", "resume")]
    for each in left:
        each.parent.mkdir(parents=True)
        each.write_bytes(b"half")
    async with node(tmp_path):
        assert not [each for each in left if each.exists()]
