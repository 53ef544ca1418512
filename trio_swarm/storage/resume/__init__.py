"""What a download remembers between runs: the journal, and what it vouches for. Blocking.

Reading order: `journal` (the file: records with checksums, one appended per step), `log` (the same
facts in memory and in the journal at once), `vouching` (which pieces need no hashing).
"""
