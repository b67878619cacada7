"""Save and resume runs: checkpoints and autosave; and the export of a generator for others."""
