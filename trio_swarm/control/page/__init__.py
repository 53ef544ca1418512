"""The page that a node serves: files of the package, and their routes.

Reading order: `serving` (which file at which address, with which headers).

Of the files in `static`, `js/main.js` comes first: the frame, what it asks and hears. The
JavaScript has no build step. Its pure modules (`format`, `listing`, `folding`, `stream`, `pieces`,
`sentences`) decide what is shown; the views show it, by `dom` and `parts`.
"""
