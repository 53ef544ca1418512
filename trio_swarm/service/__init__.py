"""What keeps a configured peer running: shares and fetches, each with a task of its own.

Nothing here prints, exits or knows a flag: a command, a control plane and an embedding program use
it alike. It tells through `trio_swarm.events`, raises the project's errors, and logs what an
operator may want to know (see `trio_swarm.logs`).

Reading order: `trio_swarm.settings` (what a share or a fetch is told), `supervised` (one of them,
its state and how it ends), `shares` and `fetches` (what each does), `service` (all of one node;
begins and ends them at run time), `entries` (the list of them that is kept), `configured` (a whole
peer from one configuration). A fetch is made of `naming` (which torrent is meant), `trackers` (who
is asked), `waiting` (for the name, for peers, for room on the disk) and `seeding` (until when).
Beside them `schedule` says when which limits hold, `rates` sees to it, `hooks` runs an operator's
programs, `watching` fetches what is dropped into a folder, and `notify` tells systemd. `described`
makes settings of a configuration, `run_time` has those that may be set while the node runs, and
`reload` keeps a service as the file describes it.
"""
