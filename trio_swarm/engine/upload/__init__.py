"""What is revealed to whom, served in which order, and who is unchoked. Pure."""
