"""The tracker's state: who is in which swarm, for how long, and under which names. Pure."""
