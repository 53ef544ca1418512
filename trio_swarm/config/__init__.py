"""One TOML file describes a whole peer: read strictly, every problem found, never rewritten.

Reading order: `model` (tables and keys, and the settings they set), `reading` (from TOML to these),
`problems` (all that is wrong, at once), `validation_words` (why
a value is wrong), `values` (sizes, rates, addresses), `changes` (what differs
between two files), `scenarios` (swarms to simulate), `starting` (the file a newcomer begins with).
Import from these modules: most commands
need `values` only, and a quick start is worth more than short imports.
"""
