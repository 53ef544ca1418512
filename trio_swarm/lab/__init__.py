"""The laboratory: swarms without a network, what is drawn of them, and the kit for authors.

Nothing here is needed to share a file. Reading order: `simulator` (a swarm on a virtual clock),
`replaying` (a recorded download again, with other strategies), `pictures` (what happened, drawn),
`testing` (tests what a strategy promises). The page for people is docs/laboratory.md.
"""
