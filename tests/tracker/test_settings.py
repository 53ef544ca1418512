"""A bound on what strangers can make a tracker remember is written once, and is everywhere."""

import tomllib
from pathlib import Path

import pytest

from trio_swarm.config.model import settings_in
from trio_swarm.config.reading import read_config
from trio_swarm.config.starting import starting_file
from trio_swarm.errors import ConfigError
from trio_swarm.tracker.settings import Bound, RegistrySettings, TrackerSettings, bounds

by_name = pytest.mark.parametrize("bound", bounds(), ids=lambda bound: bound.name)


def test_every_setting_but_the_times_is_a_bound() -> None:
    assert {bound.name for bound in bounds()} == set(RegistrySettings.__struct_fields__) - {
        "interval", "lease"
    }  # fmt: skip


@by_name
def test_a_bound_is_a_key_of_the_configuration_file(tmp_path: Path, bound: Bound) -> None:
    file = tmp_path / "tracker.toml"
    file.write_text(f"[tracker]\nlisten = '127.0.0.2:7000'\n{bound.name} = {bound.least}\n")
    tracker = read_config(file).tracker
    assert tracker is not None
    settings = TrackerSettings(**settings_in(tracker))
    assert settings == TrackerSettings(host="127.0.0.2", port=7000, **{bound.name: bound.least})
    settings.check()


@by_name
def test_a_bound_out_of_its_limits_is_refused_by_name(tmp_path: Path, bound: Bound) -> None:
    file = tmp_path / "tracker.toml"
    for value in (bound.least - 1, bound.most + 1):
        with pytest.raises(ConfigError, match=f"^{bound.name}: must be .*, not {value:,}$"):
            TrackerSettings(**{bound.name: value}).check()
        file.write_text(f"[tracker]\n{bound.name} = {value}\n")
        with pytest.raises(ConfigError, match=f"tracker.{bound.name}"):
            read_config(file)


@by_name
def test_init_writes_a_bound_with_its_default_and_what_it_is(bound: Bound) -> None:
    text = starting_file("tracker")
    assert f"# {bound.description}\n{bound.name} = " in text
    assert tomllib.loads(text)["tracker"][bound.name] == bound.default
