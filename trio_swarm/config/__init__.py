"""One TOML file describes a whole peer: read strictly, every problem found, never rewritten.

Reading order: `model` (what a file may hold), `reading` (from TOML to that), `values` (sizes,
rates, addresses), `starting` (the file a newcomer begins with). Import from those: most commands
need `values` only, and starting up quickly is worth more than short imports.
"""
