"""The built-in uploaders: what to offer to whom. Pure."""
