"""Control of a running node by HTTP: its own API, and what else is served at the same doors.

A node has up to two doors: a Unix socket in its state folder, for the user who runs it, and a TCP
address if the configuration names one. Until somebody knocks nothing here is imported but
`listening`, `serving` and `context`: a node that nobody asks pays for two sockets only.

Reading order: `listening` (the sockets), `serving` (who is let in, and how it ends), `connections`
(one connection, by Hypercorn, which knows of `asgi` only), `access` (who may do what: pure rules),
`guarding` (the rules applied to each request), `hiding` (what readers are not told), `logged_lines`
(the log, for whoever asks), `context` (what the answers are made of), `folders` (where content may
go), `transmission` (Transmission's RPC), `metrics` (what Prometheus scrapes), `app` (all that is
served), `shapes` (what the API says), `problems` (how it says no), `api` (our own requests and
answers), `page` (what a browser shows of it). For commands, which import nothing else here:
`client` with `answers` and `event_stream`.
"""
