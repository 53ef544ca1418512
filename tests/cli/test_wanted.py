"""What a person may ask for: the forms of info-hashes."""

from pathlib import Path

import pytest

from trio_swarm.wanted import WantedHash, WantedMagnet, WantedName, WantedTorrent, parse_wanted


def test_an_info_hash_of_either_version_is_told_by_its_length() -> None:
    digest = bytes(range(32))
    assert parse_wanted(digest[:20].hex()) == WantedHash(digest[:20])
    assert parse_wanted(digest.hex().upper()) == WantedHash(digest[:20], digest)


@pytest.mark.parametrize("text", ["0" * 39, "0" * 41, "0" * 63, "0" * 65, "g" * 64, "film.torrent"])
def test_what_is_no_hash_and_no_file_is_a_name(text: str) -> None:
    assert parse_wanted(text) == WantedName(text)


def test_links_and_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.torrent"
    path.write_bytes(b"")
    assert parse_wanted(str(path)) == WantedTorrent(path)
    assert parse_wanted("magnet:?xt=x") == WantedMagnet("magnet:?xt=x")
