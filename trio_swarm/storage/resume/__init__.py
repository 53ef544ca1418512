"""What a download remembers between runs: the journal, and what it vouches for."""
