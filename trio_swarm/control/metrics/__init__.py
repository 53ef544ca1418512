"""What Prometheus scrapes: `GET /metrics`.

Everything is read at the scrape from whoever counts it, so a node that nobody scrapes pays nothing
for it, and nothing is counted twice. No series stands for one torrent, peer or tracker, and no
label has text that a stranger chose: there are at most some hundred series.

Reading order: `loop_delay` (how long the event loop keeps others waiting), `families` (what is told
of a node), `routes` (one answer).

The library `prometheus_client` is imported by the first scrape.
"""
