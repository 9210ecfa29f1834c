"""Published checkpoints into models of ours: download, read, convert, install, list, remove.

A model that is installed is a folder with the same files as a bundled one. The submodules, in the order a file goes
through them: `downloads`, `official` (reading), `layout` (names and shapes), `side_files` (tags, thresholds, tokens),
`installing`; `pulling` runs them all, `inventory` says what is there.
"""
