"""Decisions about a swarm: what to ask of whom, what to reveal and serve, whom to dial. Pure."""
