"""A small scenario file."""

SMALL = """
size = "2MiB"
piece_length = "64KiB"
[[peers]]
role = "seeder"
up = "20Mbit"
[[peers]]
count = 3
up = ["10Mbit", "20Mbit"]
down = "50Mbit"
"""
