"""What a recording tells: what was known at each moment, and why something was asked. Pure.

Reading order: `history` (applies the records in order), `waiting` (what was asked and is awaited),
`explaining` (why something was asked of somebody), `telling` (all that happened to one piece or
peer), `summary` (the whole recording in numbers), `sentences` (reasons in words), `live` (the
latest decisions of a download that goes on). Other words for people are in `cli.lab.explained`.
"""
