"""Strategies: their interfaces, how plugins are found, and the built-in ones. Pure."""
