"""What is said between a peer and a tracker: bytes to values and back. Pure.

Reading order: `announces` (the values, whatever carries them), `udp` (BEP 15, and how names are
registered and found), `urls` (tracker URLs, and what of them is sent: BEP 41), `url_secrets` (what
of them is shown), `share_names` (which names and patterns are allowed), `http`, `http_bodies` (BEP
3, 7, 23 and 48) and `http_names` (names over HTTP).
"""
