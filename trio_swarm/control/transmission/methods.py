"""The methods, one table."""

from typing import Final

from trio_swarm.control.transmission import session_actions as session
from trio_swarm.control.transmission import torrent_actions as torrents
from trio_swarm.control.transmission.rpc_session import Method
from trio_swarm.control.transmission.torrent_settings import torrent_set

METHODS: Final[dict[str, Method]] = {
    "blocklist_update": Method(session.blocklist_update),
    "free_space": Method(session.free_space, changes=False),
    "group_get": Method(session.group_get, changes=False),
    "group_set": Method(session.group_set),
    "port_test": Method(session.port_test, changes=False),
    "queue_move_bottom": Method(torrents.queue_move("bottom")),
    "queue_move_down": Method(torrents.queue_move("down")),
    "queue_move_top": Method(torrents.queue_move("top")),
    "queue_move_up": Method(torrents.queue_move("up")),
    "session_close": Method(session.session_close),
    "session_get": Method(session.session_get, changes=False),
    "session_set": Method(session.session_set),
    "session_stats": Method(session.session_stats, changes=False),
    "torrent_add": Method(torrents.torrent_add),
    "torrent_get": Method(torrents.torrent_get, changes=False),
    "torrent_reannounce": Method(torrents.torrent_reannounce),
    "torrent_remove": Method(torrents.torrent_remove),
    "torrent_rename_path": Method(torrents.torrent_rename_path),
    "torrent_set": Method(torrent_set),
    "torrent_set_location": Method(torrents.torrent_set_location),
    "torrent_start": Method(torrents.starting(at_once=False)),
    "torrent_start_now": Method(torrents.starting(at_once=True)),
    "torrent_stop": Method(torrents.torrent_stop),
    "torrent_verify": Method(torrents.torrent_verify),
}
"""Every method, by its snake-case name."""
