"""Connections to peers and the torrent they share, on Trio.

Reading order: `torrent` (one torrent's way from metadata to seeding, and its tasks), `torrent_plan`
(what a torrent is to become), `peer_set` (the one boundary where a peer's failure ends), `dialing`
(from addresses to peers), `connection` (one peer: a task that reads, a task that writes), `saying`
and `hearing` (the wire's messages to and from its `engine.conversation`), `download` (blocks in,
requests out, pieces to the disk) with `piece_buffers` and `disk` (memory and threads for them),
`exchange` (the tasks that choke and reveal, and who is woken), `metadata` (BEP 9), `hashes` (BEP
52), `trackers` (what they are told), `keeping` (files that others change), `torrent_users` (who
keeps it from resting): `verifying` (all files, when asked) and `reading` (files that are read
meanwhile), `torrent_limits` (its own), `standstill` (what a download waits for), `torrent_events`,
`torrent_progress` and `torrent_parts` (for people and programs), `recording`, `torrent_strategies`
and `strategies` (made from the settings, in their guard). `context` and `places` are what torrents
of a node share, and so are `tally`, what is counted, and `uplink`, which gives connections their
turns to send; `read_limit` limits what is read; `wakeup`, `latch` and `blocking` are small tools,
`transport` the streams.

The tasks, and the states of a torrent::

    open_node
    ├─ disk threads                      end when their queue is empty
    ├─ accept peers                      one task per incoming handshake
    ├─ share out the uplink              looks at links and gives turns while blocks are sent
    ├─ keep trackers told                of all torrents
    ├─ part with resting torrents        at the end
    └─ torrent NAME, unless it rests     metadata → checking → downloading → finishing → seeding
       ├─ peers of NAME                  keeps house
       │  └─ peer ADDRESS                reads; its nursery has one task that writes
       ├─ dial                           one task per address
       ├─ choke, reveal                  uploads
       ├─ keep, watch peers, record, verify
       └─ (its own task)                 plans while downloading

Who ends whom:

- A peer ends by its own fault or stream (an exception of the list in the boundary), or by
  `PeerConnection.close(reason)`: banned, silent, useless, its place given to another, its file
  gone.
- A torrent ends by `Torrent.remove()`, or fails by an error of its files or metadata. Its nursery
  is cancelled; then it announces `stopped` and closes its files, shielded, within STOP_DEADLINE.
- A node ends when `open_node` is left: all torrents end side by side, then the disk threads.
- A bug in any task ends everything, and comes out of `open_node`.
"""
