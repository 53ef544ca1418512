"""The commands of the laboratory, and their output."""
