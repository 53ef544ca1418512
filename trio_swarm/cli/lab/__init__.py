"""The commands of the laboratory, and what they print."""
