"""libtorrent as a program: seed or fetch one torrent until told to stop.

Run as a script inside a namespace. Prints what happens; `complete` alone on a line says that it
has every byte.
"""

import argparse
import sys
import time

import libtorrent as lt


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", help="a .torrent file or a magnet link")
    parser.add_argument("--address", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--seed", action="store_true", help="the folder has all the data")
    parser.add_argument("--super-seeding", action="store_true", help="BEP 16, while it seeds")
    parser.add_argument("--gives-nothing", action="store_true", help="never unchoke anybody")
    parser.add_argument("--log-peers", action="store_true", help="print every message")
    arguments = parser.parse_args()

    categories = lt.alert.category_t
    mask = (
        categories.error_notification
        | categories.status_notification
        | categories.tracker_notification
        | categories.connect_notification
        | categories.peer_notification
        | categories.storage_notification  # cache_flushed_alert
    )
    if arguments.log_peers:
        mask |= categories.peer_log_notification | categories.torrent_log_notification
    session = lt.session(
        {
            "listen_interfaces": f"{arguments.address}:6881",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
            "alert_mask": mask,
            **({"unchoke_slots_limit": 0} if arguments.gives_nothing else {}),
        }
    )
    if arguments.what.startswith("magnet:"):
        parameters = lt.parse_magnet_uri(arguments.what)
    else:
        parameters = lt.load_torrent_file(arguments.what)
    parameters.save_path = arguments.folder
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if arguments.seed:
        parameters.flags |= lt.torrent_flags.seed_mode
    if arguments.super_seeding:
        parameters.flags |= lt.torrent_flags.super_seeding
    handle = session.add_torrent(parameters)

    started = time.monotonic()
    has_all = False
    while True:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            say(f"{time.monotonic() - started:.2f} {type(alert).__name__}: {alert}")
            if has_all and isinstance(alert, lt.cache_flushed_alert):
                say("complete")
        if not has_all and handle.status().is_seeding:
            has_all = True
            handle.flush_cache()  # the last blocks may not have reached the files yet


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
