"""What is said between a peer and a tracker, over UDP and HTTP. Pure."""
