"""The built-in chokers: whom to unchoke. Pure."""
