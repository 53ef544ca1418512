"""How commands talk: lines, tables, JSON, the live display."""
