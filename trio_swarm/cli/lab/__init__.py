"""The commands of the laboratory, and their output.

Reading order: `simulate` with `variants` (strategies as they are typed), `simulation_runs`,
`simulation_table` and `simulation_recordings`; `explain` with `recordings` (files that are read),
`explained` and `explained_summary` (what they tell, in words); `replay`; `plot` with `plotting` and
`recorded_tables`; `schedulers`; `plugin` with `plugin_files` (what `plugin new` writes).
`column_words` tells what the columns of all tables mean.
"""
