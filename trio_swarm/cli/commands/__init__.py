"""One module for each command.

Reading order: `ls` (the shortest: asks trackers and prints) with `ls_watching`, `tracker` with
`tracker_status`, `seed` and `get` (run a node and tell of it), `run` (a whole peer from a file),
`config` (the commands check and init), `create`, `show`, `verify`, `diff`, `demo` (all of it on
this machine).
"""
