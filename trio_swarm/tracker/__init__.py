"""The UDP tracker, on Trio."""
