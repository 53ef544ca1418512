"""The page in a real browser (Debian's Chromium), beside a node that is only told."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripted_swarm import HOSTILE_NAME, MIB, TOKEN
from served_node import Served

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=120_000)  # that something is there at all, on a busy machine as well
pytestmark = pytest.mark.foreign("chromium")

Serve = Callable[..., Served]
Open = Callable[..., Any]


def row(page: Any, name: str) -> Any:
    return page.get_by_role("row").filter(has_text=name)


def asked(place: Served, method: str, path: str) -> list[Any]:
    return [body for verb, where, body in place.node.asked if (verb, where) == (method, path)]


def until_asked(page: Any, place: Served, method: str, path: str) -> Any:
    """Wait for a request, and return its body."""
    for _ in range(600):
        if found := asked(place, method, path):
            return found[-1]
        page.wait_for_timeout(50)
    raise AssertionError(f"{method} {path} was not asked: {place.node.asked}")


# The list


def test_the_list_shows_each_torrent_with_state_progress_rates_and_labels(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place)
    image = row(page, "debian-13.2.0")
    for words in (
        "downloading",
        "63.4 %",
        "11.4 MiB/s",
        "2.10 MiB/s",
        "2 min 8 s",
        "14",
        "0.31",
        "images",
    ):
        expect(image).to_contain_text(words)
    expect(row(page, "backup-home")).to_contain_text("No space left on /srv/downloads")
    place.node.change(1, waits_for="no peer left, for 8 s")
    expect(image).to_contain_text("no peer left, for 8 s")
    expect(page.get_by_role("row")).to_have_count(13)


def test_what_changes_at_the_node_changes_in_the_list_and_the_focus_stays(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place)
    link = page.get_by_role("link", name="map-tiles-europe")
    link.focus()
    place.node.change(6, state="downloading", progress=0.5, download_rate=3 * MIB)
    expect(row(page, "map-tiles-europe")).to_contain_text("3.00 MiB/s")
    expect(row(page, "map-tiles-europe")).to_contain_text("downloading")
    expect(link).to_be_focused()  # though its row moved
    del place.node.torrents[12]
    place.node.removed.append(12)
    expect(row(page, "team-photos")).to_have_count(0)
    expect(link).to_be_focused()


def test_the_list_is_filtered_by_state_label_and_words_and_sorted_by_columns(
    serve: Serve, open_page: Open
) -> None:
    page = open_page(serve())
    page.get_by_role("button", name="seeding 4").click()
    expect(page.get_by_role("row")).to_have_count(5)
    page.get_by_role("button", name="all 12").click()
    page.get_by_role("button", name="office 2").click()
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="office 2").click()
    page.get_by_role("searchbox").fill("nightly")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("No torrent is like that")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Size").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("field-recordings")
    expect(page.get_by_role("columnheader", name="Size")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_role("button", name="Size").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("magnet of somebody")


def test_thousands_of_torrents_are_shown_by_and_by(serve: Serve, open_page: Open) -> None:
    place = serve()
    like = place.node.torrents[2]
    place.node.torrents.update(
        {number: {**like, "id": number, "name": f"share {number}"} for number in range(100, 3100)}
    )
    page = open_page(place)
    expect(page.get_by_role("row")).to_have_count(201)
    page.get_by_role("button", name=re.compile("Show 200 more of 3,012")).click()
    expect(page.get_by_role("row")).to_have_count(401)


def test_several_torrents_are_changed_at_once(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place)
    page.get_by_role("checkbox", name="Select office-images").check()
    page.get_by_role("checkbox", name="Select wikipedia-dump-2026-11").check()
    tools = page.get_by_role("toolbar")
    expect(tools).to_contain_text("2 selected")
    tools.get_by_role("button", name="Pause").click()
    expect(row(page, "office-images")).to_contain_text("paused")
    expect(row(page, "wikipedia-dump")).to_contain_text("paused")
    tools.get_by_role("button", name="Limits…").click()
    page.get_by_label("Upload", exact=True).fill("nonsense")
    page.get_by_role("button", name="Set limits").click()
    expect(page.get_by_role("alert")).to_contain_text("is no rate")
    page.get_by_label("Upload", exact=True).fill("1 MiB/s")
    page.get_by_label("Seed for hours").fill("1.5")
    page.get_by_role("button", name="Set limits").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    for number in (2, 11):
        limits = until_asked(page, place, "PATCH", f"/torrents/{number}")["limits"]
        assert limits["upload_rate"] == MIB
        assert limits["seed_for"] == 5400
        assert limits["download_rate"] is None
    tools.get_by_role("button", name="Select none").click()
    expect(tools).to_be_hidden()


def test_removing_asks_first_and_deletes_data_only_if_told(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/#/torrents/12")
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Cancel").click()
    assert not asked(place, "DELETE", "/torrents/12")
    expect(page.get_by_role("button", name="Remove…")).to_be_focused()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    until_asked(page, place, "DELETE", "/torrents/12")
    expect(page.get_by_role("heading", name="Torrents")).to_be_attached()
    expect(row(page, "team-photos")).to_have_count(0)
    assert 12 not in place.node.torrents
    page.get_by_role("checkbox", name="Select lecture-videos").check()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_label("Delete its data as well").check()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    until_asked(page, place, "DELETE", "/torrents/8?delete_data=true")
    expect(page.get_by_role("toolbar")).to_be_hidden()


# One torrent


def test_the_strategy_tells_what_it_does_and_why_by_peer_and_by_piece(
    serve: Serve, open_page: Open
) -> None:
    page = open_page(serve(), "/#/torrents/1")
    said = page.get_by_label("What the strategy is doing and why")
    expect(said).to_contain_text("bandwidth-weighted")
    expect(said).to_contain_text("window = 16")
    lines = said.locator(".decisions > li")
    expect(lines).to_have_count(40)
    expect(lines.first).to_contain_text(re.compile(r"rarest-first asked .* of piece \d+"))
    expect(said).to_contain_text("0 rarer, 41 as rare; 2 of 8 peers had it")
    said.get_by_label("Decisions about this peer").select_option("10.11.4.31:6881")
    expect(lines).to_have_count(8)
    said.get_by_label("Decisions about this peer").select_option("")
    lines.first.get_by_role("button", name=re.compile("Only decisions about piece")).click()
    expect(lines).not_to_have_count(40)
    piece = said.get_by_label("Decisions about this piece").input_value()
    for text in lines.all_inner_texts():
        assert f"piece {piece}" in text


def test_a_decision_that_is_made_now_appears_on_top_unless_the_list_is_held_still(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place, "/#/torrents/1")
    lines = page.locator(".decisions > li")
    expect(lines).to_have_count(40)
    place.node.decide(1, number=99, text="just now")
    expect(lines.first).to_contain_text("just now")
    page.get_by_role("button", name="Hold still").click()
    place.node.decide(1, number=100, text="later")
    page.wait_for_timeout(2500)
    expect(lines.first).to_contain_text("just now")
    page.get_by_role("button", name="Hold still").click()
    expect(lines.first).to_contain_text("later")


def test_who_sees_no_decision_is_told_why(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/#/torrents/2")
    said = page.get_by_label("What the strategy is doing and why")
    expect(said).to_contain_text("It is complete: there is nothing left to decide.")


def test_only_new_decisions_are_asked_for_also_when_their_numbers_begin_anew(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place, "/#/torrents/1")
    lines = page.locator(".decisions > li")
    expect(lines).to_have_count(40)
    place.node.decide(1, number=99, text="the last one")
    expect(lines).to_have_count(41)
    while 99 not in place.node.asked_since:
        page.wait_for_timeout(100)
    assert place.node.asked_since[0] == 0
    # It was paused and goes on: the record is another one.
    place.node.told[1] = [{**place.node.told[1][-1], "number": 1, "text": "after a pause"}]
    expect(lines).to_have_count(1)
    expect(lines.first).to_contain_text("after a pause")


def test_the_strategy_of_a_running_download_is_changed(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/#/torrents/1")
    page.get_by_role("button", name="Change…").click()
    expect(page.get_by_label("Options")).to_have_value("window = 16\nspread = 0.25")
    page.get_by_label("Strategy", exact=True).select_option("rarest-first")
    page.get_by_label("Options").fill("window = 8")
    page.get_by_role("dialog").get_by_role("button", name="Change").click()
    body = until_asked(page, place, "PATCH", "/torrents/1")
    assert body == {"scheduler": {"name": "rarest-first", "options": {"window": 8}}}
    expect(page.get_by_label("What the strategy is doing and why")).to_contain_text("rarest-first")


@pytest.mark.parametrize("number", [1, 3])
def test_the_map_of_pieces_is_read_by_keyboard_and_pointer(
    serve: Serve, open_page: Open, number: int
) -> None:
    """3 has 42,000 pieces: several share a cell."""
    page = open_page(serve(), f"/#/torrents/{number}")
    canvas = page.get_by_role("slider", name=re.compile("Piece map"))
    expect(canvas).to_have_attribute("aria-valuemax", re.compile(r"^[1-9]\d+$"))
    expect(page.locator(".map-about")).to_contain_text("Point at a piece")
    canvas.focus()
    expect(canvas).to_have_attribute("aria-valuetext", re.compile(r"^Pieces? 0"))
    page.keyboard.press("ArrowRight")
    first = "Piece 1:" if number == 1 else "Pieces "
    expect(page.locator(".map-about")).to_contain_text(first)
    page.keyboard.press("End")
    last = 3899 if number == 1 else 41_999
    expect(page.locator(".map-about")).to_contain_text(str(last))
    page.keyboard.press("Enter")
    assert str(last) in page.get_by_label("Decisions about this piece").input_value()
    page.get_by_role("heading", name="Pieces", exact=True).click()
    canvas.hover(position={"x": 3, "y": 3})
    expect(page.locator(".map-about")).to_contain_text(re.compile(r"^Pieces? 0"))


def test_the_map_has_a_colour_for_what_is_here_in_flight_and_held_by_nobody(
    serve: Serve, open_page: Open
) -> None:
    page = open_page(serve(), "/#/torrents/3")
    expect(page.get_by_label("Pieces", exact=True)).to_contain_text("381 held by no peer")
    ours = colours(page)
    assert len(ours) >= 4
    page.get_by_role("button", name="Rarity").click()
    assert colours(page) != ours
    page.get_by_role("button", name="One peer").click()
    page.get_by_label("Peer whose pieces are shown").select_option("10.11.9.3:40112")
    expect(page.get_by_text("the peer holds it, we miss it")).to_be_visible()
    assert 2 <= len(colours(page)) <= 4


def colours(page: Any) -> set[str]:
    found = page.evaluate(
        """() => {
             const canvas = document.querySelector("canvas.map");
             const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
             const seen = new Set();
             for (let at = 0; at < data.length; at += 4)
               if (data[at + 3] === 255) seen.add([...data.slice(at, at + 3)].join());
             return [...seen];
           }"""
    )
    return set(found)


def test_peers_trackers_and_files_are_told_in_words(serve: Serve, open_page: Open) -> None:
    page = open_page(serve(), "/#/torrents/1")
    page.get_by_role("link", name=re.compile("^Peers")).click()
    peer = row(page, "10.11.4.27:51413")
    for words in (
        "Transmission 4.1.0",
        "97.0 %",
        "4.10 MiB/s",
        "381 MiB",
        "asked for 42 blocks",
        "waits for a slot",
    ):
        expect(peer).to_contain_text(words)
    page.get_by_role("button", name="Takes").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("192.168.7.12")
    page.get_by_role("link", name="Trackers").click()
    expect(row(page, "udp://tracker.office")).to_contain_text("14 peers")
    expect(row(page, "https://tracker.elsewhere")).to_contain_text("Not answered within 15 s")
    page.go_back()
    expect(peer).to_be_visible()


def test_a_file_is_opened_and_kept_while_it_downloads(
    serve: Serve, open_page: Open, tmp_path: Path
) -> None:
    page = open_page(serve(), "/#/torrents/3/files")
    page.get_by_label("Search files").fill("notes-03")
    file = row(page, "notes-03.txt")
    address = file.get_by_role("link", name=re.compile("^Open")).get_attribute("href")
    assert address.startswith("/api/v1/torrents/3/files/field-recordings")
    assert "session%201/notes-03.txt" in address
    with page.expect_download() as started:
        file.get_by_role("link", name=re.compile("^Download")).click()
    assert started.value.suggested_filename == "notes-03.txt"
    page.get_by_label("Search files").fill("film-02")
    page.get_by_role("button", name=re.compile("^Play")).click()
    expect(page.locator("dialog video")).to_have_attribute("src", re.compile("film-02.mp4$"))
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_the_settings_of_a_torrent_are_saved(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/#/torrents/1/settings")
    page.get_by_label("Download", exact=True).fill("20 Mbit")
    page.get_by_label("Labels", exact=True).fill("images, ours,, ours")
    page.get_by_role("button", name="Save").click()
    body = until_asked(page, place, "PATCH", "/torrents/1")
    assert body["limits"]["download_rate"] == 2_500_000
    assert body["labels"] == ["images", "ours"]
    assert "queue_position" not in body
    expect(page.locator(".title")).to_contain_text("ours")


# Adding


MAGNET = "magnet:?xt=urn:btih:" + "9" * 40


def test_a_torrent_is_added_by_what_is_typed(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place)
    page.get_by_role("button", name="Add").click()
    page.get_by_label("Magnet link, name or info-hash").fill(MAGNET)
    page.get_by_label("Add it paused").check()
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Labels").fill("new")
    page.get_by_label("Strategy").select_option("round-robin")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    body = until_asked(page, place, "POST", "/torrents")
    assert body == {
        "what": MAGNET,
        "paused": True,
        "labels": ["new"],
        "seed": True,
        "scheduler": {"name": "round-robin", "options": {}},
    }
    expect(row(page, MAGNET)).to_contain_text("paused")


def test_a_torrent_is_added_by_a_file_that_is_chosen_or_dropped(
    serve: Serve, open_page: Open, tmp_path: Path
) -> None:
    place = serve()
    page = open_page(place)
    path = tmp_path / "some.torrent"
    path.write_bytes(b"d4:infod4:name1:aee")
    page.get_by_role("button", name="Add").click()
    page.get_by_label(".torrent files").set_input_files(path)
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    assert (
        until_asked(page, place, "POST", "/torrents")["metainfo"] == "ZDQ6aW5mb2Q0Om5hbWUxOmFlZQ=="
    )
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.evaluate(
        """() => {
             const data = new DataTransfer();
             data.items.add(new File(["d4:infode"], "dropped.torrent"));
             document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
           }"""
    )
    expect(page.get_by_role("dialog")).to_contain_text("dropped.torrent")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(row(page, "file of 9 bytes")).to_be_visible()


def test_a_magnet_link_that_is_pasted_anywhere_opens_the_dialog(
    serve: Serve, open_page: Open
) -> None:
    page = open_page(serve())
    expect(page.get_by_role("row").first).to_be_attached()
    page.evaluate(
        """(text) => {
             const data = new DataTransfer();
             data.setData("text/plain", text);
             const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
             document.body.dispatchEvent(event);
           }""",
        MAGNET,
    )
    expect(page.get_by_label("Magnet link, name or info-hash")).to_have_value(MAGNET)
    expect(page.get_by_label("Magnet link, name or info-hash")).to_be_focused()


def test_an_error_of_the_node_is_one_line_where_it_was_asked(serve: Serve, open_page: Open) -> None:
    place = serve()
    place.node.refusals["POST", "/torrents"] = (
        409,
        "present",
        "debian is here already\nsecond\u202e line",
    )
    page = open_page(place)
    page.get_by_role("button", name="Add").click()
    page.get_by_label("Magnet link, name or info-hash").fill("debian")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("debian is here already\ufffdsecond\ufffd line")
    expect(page.get_by_label("Magnet link, name or info-hash")).to_have_value("debian")
    page.keyboard.press("Escape")
    place.node.refusals["POST", "/torrents/6/resume"] = (429, "too-many", "Too many requests")
    page.get_by_role("link", name="map-tiles-europe").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("alert")).to_contain_text("Too many requests")
    page.get_by_role("button", name="Close this message").click()
    expect(page.get_by_role("alert")).to_have_count(0)


# The node, its log, its tracker


def test_limits_of_the_node_are_changed_and_the_alternative_ones_switched_on(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place, "/#/node")
    expect(page.get_by_label("Download", exact=True)).to_have_value("20 MiB/s")
    page.get_by_label("Upload", exact=True).fill("")
    page.get_by_label("Seeds at once").fill("7")
    page.get_by_role("button", name="Save").click()
    body = until_asked(page, place, "PATCH", "/session")
    assert body == {
        "download_rate": 20 * MIB,
        "upload_rate": None,
        "max_active_downloads": 3,
        "max_active_seeds": 7,
    }
    slow = page.get_by_role("button", name="Alternative limits")
    slow.click()
    expect(slow).to_have_attribute("aria-pressed", "true")
    assert asked(place, "PATCH", "/session")[-1] == {"alternative_limits": True}
    expect(page.get_by_text("Alternative limits hold now:")).to_be_visible()


def test_limits_that_a_schedule_changes_are_seen_by_who_comes_back(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place)
    slow = page.get_by_role("button", name="Alternative limits")
    expect(slow).to_have_attribute("aria-pressed", "false")
    place.node.is_slow = True
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(slow).to_have_attribute("aria-pressed", "true")


def test_a_reload_shows_first_what_it_would_change(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/#/node")
    page.get_by_role("button", name="Show what would change").click()
    table = page.get_by_role("table", name="What would change")
    expect(table).to_contain_text("limits.upload")
    expect(table).to_contain_text("8MiB")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Applied 3 changes.")).to_be_visible()
    assert [path for _, path, _ in place.node.asked] == ["/reload?dry_run=true", "/reload"]


def test_the_log_is_live_and_filtered(serve: Serve, open_page: Open) -> None:
    page = open_page(serve(), "/#/log")
    lines = page.get_by_label("Log lines").get_by_role("listitem")
    expect(lines).to_have_count(36)
    page.get_by_label("Severity").select_option("WARNING")
    expect(lines).to_have_count(12)
    page.get_by_label("Search the log").fill("no space")
    expect(lines).to_have_count(6)


def test_names_of_the_tracker_are_shown_and_fetched(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/#/tracker")
    expect(page.get_by_text("14 swarms, 212 peers")).to_be_visible()
    expect(row(page, "debian-13.2.0").get_by_role("link", name="here")).to_be_visible()
    page.get_by_role("button", name="Get unseen here").click()
    assert until_asked(page, place, "POST", "/torrents")["what"] == "fe" * 20


def test_without_a_tracker_there_is_no_view_of_it(serve: Serve, open_page: Open) -> None:
    place = serve()
    place.node.has_tracker = False
    page = open_page(place)
    expect(page.get_by_role("link", name="Node")).to_be_visible()
    expect(page.get_by_role("link", name="Tracker", exact=True)).to_have_count(0)


KEPT = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"

# Who may do what, and what goes wrong


def test_a_token_is_asked_for_and_the_page_keeps_none(serve: Serve, open_page: Open) -> None:
    page = open_page(serve(asks_token=True), "/#/node")
    page.get_by_label("Token").fill("wrong token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the token")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("About this node")).to_contain_text("/srv/downloads")
    assert TOKEN not in page.evaluate(KEPT)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_focused()
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()


def test_who_may_only_look_is_offered_nothing_else(serve: Serve, open_page: Open) -> None:
    page = open_page(serve(access="read"))
    page.get_by_role("checkbox", name="Select debian-13.2.0").check()
    expect(page.get_by_role("toolbar")).to_contain_text("1 selected")
    words = re.compile("Add|Pause|Resume|Remove|Verify|Move|Stop|Apply|Save|Change|Alternative")
    for address in ("#/torrents", "#/torrents/1", "#/torrents/1/settings", "#/node", "#/tracker"):
        page.goto(page.url.partition("#")[0] + address)
        expect(page.locator("main section").first).to_be_visible()
        for control in page.get_by_role("button", name=words).all():
            assert not control.is_visible() or not control.is_enabled(), control.inner_text()


def test_a_lost_connection_is_told_and_comes_back_by_itself(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place)
    expect(row(page, "debian-13.2.0")).to_be_visible()
    place.stop()
    expect(page.get_by_text("The connection to the node is lost")).to_be_visible()
    expect(row(page, "debian-13.2.0")).to_be_visible()  # as it was
    place.node.change(1, state="paused")
    place.start()
    expect(page.get_by_text("The connection to the node is lost")).to_be_hidden()
    expect(row(page, "debian-13.2.0")).to_contain_text("paused")


def test_a_node_that_is_not_there_when_the_page_opens_is_waited_for(
    serve: Serve, open_page: Open
) -> None:
    place = serve()
    page = open_page(place, "/page/icon.svg")
    place.node.refusals["GET", "/session"] = (503, "starting", "The node is starting")
    page.goto(place.address + "/")
    expect(page.get_by_text("The node is starting. Trying again")).to_be_visible()
    place.node.refusals.clear()
    expect(row(page, "debian-13.2.0")).to_be_visible()


def test_names_of_strangers_are_text_and_never_run(serve: Serve, open_page: Open) -> None:
    page = open_page(serve())
    expect(row(page, "<img src=x onerror=alert(1)>\ufffdgnp.exe <script>")).to_be_visible()
    page.get_by_role("link", name=re.compile("<img src=x")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x")
    page.goto(page.url.partition("#")[0] + "#/torrents/1/peers")
    expect(row(page, "<b>aria2</b> 1.37.0")).to_be_visible()
    page.goto(page.url.partition("#")[0] + "#/log")
    expect(page.get_by_label("Log lines")).to_contain_text("<img src=x")
    assert page.locator("main img, main script, main b:has-text('aria2')").count() == 0
    assert "gone" not in page.title()
    assert HOSTILE_NAME not in page.content()


def test_the_page_asks_nobody_but_its_node(serve: Serve, open_page: Open) -> None:
    place = serve()
    page = open_page(place, "/page/icon.svg")
    addresses: list[str] = []

    def note(request: Any) -> None:
        addresses.append(request.url)

    page.on("request", note)
    for address in ("/", "/#/torrents/1", "/#/torrents/3/files", "/#/node", "/#/tracker"):
        page.goto(place.address + address)
        page.wait_for_timeout(200)
    page.remove_listener("request", note)
    assert len(addresses) > 20
    assert all(address.startswith(place.address) for address in addresses)


# Looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_follow_the_system_and_the_switch(
    serve: Serve, open_page: Open, scheme: str
) -> None:
    page = open_page(serve(), scheme=scheme)
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(247, 248, 249)", "rgb(16, 20, 24)"
    assert page.evaluate(paper) == (light if scheme == "light" else dark)
    switch = page.locator("#theme")
    switch.click()
    expect(switch).to_have_attribute("aria-label", "Colours: light")
    assert page.evaluate(paper) == light
    switch.click()
    assert page.evaluate(paper) == dark
    page.reload()
    assert page.evaluate(paper) == dark


VIEWS = {
    "#/torrents": "debian-13.2.0",
    "#/torrents/1": "rarest-first asked",
    "#/torrents/3": "held by no peer",
    "#/torrents/1/peers": "Transmission 4.1.0",
    "#/torrents/1/trackers": "udp://tracker.office",
    "#/torrents/3/files": "notes-03.txt",
    "#/torrents/1/settings": "Save",
    "#/node": "/srv/downloads",
    "#/log": "no space left",
    "#/tracker": "14 swarms, 212 peers",
}
"""What is to be read in each once it has what it shows."""


@pytest.mark.parametrize("address", VIEWS)
def test_no_view_is_wider_than_a_phone(show_view: Open, address: str) -> None:
    page = show_view(address)
    expect(page.locator("main")).to_contain_text(VIEWS[address])
    for width in (320, 390, 760, 1024):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(
            "() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))"
        )
        wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, width


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("address", VIEWS)
def test_no_view_has_a_fault_that_axe_finds(
    show_view: Open, address: str, scheme: str, width: int
) -> None:
    """axe-core 4: contrast (AA), names, roles, landmarks, order of headings."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = show_view(address, scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.locator("main")).to_contain_text(VIEWS[address])
    found = axe.run(page)
    faults = [
        (fault["id"], fault["nodes"][0]["html"][:200], fault["nodes"][0]["failureSummary"][:300])
        for fault in found.response["violations"]
    ]
    assert not faults


def test_all_is_reached_by_keyboard(serve: Serve, open_page: Open) -> None:
    page = open_page(serve())
    expect(row(page, "debian-13.2.0")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_role("link", name="debian-13.2.0").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("debian-13.2.0")
    expect(page.locator("#main")).to_be_focused()  # the new view is read from its beginning
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="All torrents", exact=True)).to_be_focused()
