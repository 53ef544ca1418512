"""What an operator sees of a tracker: figures, metrics, a page.

Reading order: `figures` (sums and gauges of one process, which can be added up), `status` (these as
JSON and as a page; pure), `metrics` (for Prometheus; imported at the first scrape), `pages` (who
may ask for them, and how).
"""
