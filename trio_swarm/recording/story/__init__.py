"""What a recording tells: what was known at each moment, and why something was asked. Pure."""
