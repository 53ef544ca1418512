"""The laboratory: swarms without a network, what is drawn of them, and the kit for authors."""
