"""How commands talk: lines, tables, JSON, the live display.

Reading order: `reporting` (what a command tells its events to), `event_lines` and `describe`
(events as lines for people), `json_lines` and `json_events` (as a line for programs), `log_lines`
and `journal` (log lines, and their priority under systemd), `live` and `redrawing` (what moves on a
terminal), `progress_lines` (one torrent's progress), `tables` and `text` (columns, sizes, times,
strangers' words), `file_trees` (folders with their sizes), `streams` (the standard streams as they
are found), `help_texts` (the help at any width). Of single commands: `new_files` (files that are
written), `elsewhere` (what other machines call a tracker), `default_tracker` and `tracker_news`
(what is told of trackers), `digests` (of simulations).
"""
