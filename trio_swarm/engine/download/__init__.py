"""One download: what it has, what is in flight from whom, and what to ask next. Pure."""
