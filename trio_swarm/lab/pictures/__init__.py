"""Pictures of what happened in a swarm: the numbers behind them, and how they are drawn.

Reading order: `course` (what happened, and what is worked out of it; pure), `from_simulation`,
`from_recording` and `from_recordings` (fill it), `spark` (curves as text), `numbers` and `readings`
(what panels show), `theme` and `lighting` (colours). `axes`, `panels`, `poster` and `page` draw
with matplotlib, which is an extra: nothing else imports them before something is to be drawn.
"""
