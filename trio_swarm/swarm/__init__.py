"""Decisions about a swarm: the ledger of blocks, the guard, rates, the tracker registry. Pure."""
