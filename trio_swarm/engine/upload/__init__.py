"""What is revealed to whom, served in which order, and who is unchoked. Pure.

Reading order: `served` (one peer as the uploading side knows it), `uploads` (what the strategies
are shown, and what becomes of their decisions), `serving` (how much is asked and sent at a time,
and how often it is decided), `reveal_times` (when to decide again about pieces that are kept back),
`sent_bytes` (how often each piece was sent). Of a whole node: `link_state` (what the system knows
of a link), `governor` (how much all connections may put out together), `turns` (whose turn it is),
`uplink_sharing` (who sends, and when to look).
"""
