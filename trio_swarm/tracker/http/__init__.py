"""The tracker over HTTP (BEP 3, 7, 23, 24, 48 and names).

Reading order: `server` (connections, and who gets a task), `heads` (bytes to a request), `requests`
(a request to what is asked), `answering` (the store is asked), `answers` (values to bytes). They
need `connections` (the system's calls), `forwarded` (who asks through a proxy), and `pages` with
`names` (what else is served).
"""
