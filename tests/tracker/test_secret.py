"""The secret of connection ids, kept in the state folder."""

import logging
from pathlib import Path

import pytest

from trio_swarm.tracker.secret import SECRET_BYTES, kept_secret


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_secret_is_kept_where_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    secret = kept_secret(folder)
    assert len(secret) == SECRET_BYTES
    assert the_file(folder).stat().st_mode & 0o777 == 0o600
    assert kept_secret(folder) == secret
    assert kept_secret(tmp_path / "other") != secret


@pytest.mark.parametrize("spoil", ["open to others", "cut", "longer", "a link"])
def test_what_is_no_secret_is_replaced(tmp_path: Path, spoil: str) -> None:
    secret = kept_secret(tmp_path / "s")
    file = the_file(tmp_path / "s")
    match spoil:
        case "open to others":
            file.chmod(0o644)
        case "cut":
            file.write_bytes(secret[:5])
        case "longer":
            file.write_bytes(secret + b"x")
        case _:
            (tmp_path / "elsewhere").write_bytes(b"e" * SECRET_BYTES)
            (tmp_path / "elsewhere").chmod(0o600)
            file.unlink()
            file.symlink_to(tmp_path / "elsewhere")
    replaced = kept_secret(tmp_path / "s")
    assert replaced not in {secret, b"e" * SECRET_BYTES}
    if spoil != "a link":
        assert kept_secret(tmp_path / "s") == replaced
        assert the_file(tmp_path / "s").stat().st_mode & 0o777 == 0o600


def test_a_tracker_without_a_place_for_it_has_a_new_one_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert kept_secret(None) != kept_secret(None)
    assert not caplog.records
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert kept_secret(tmp_path / "file" / "below") != kept_secret(tmp_path / "file" / "below")
    assert "cannot be kept there" in caplog.text
