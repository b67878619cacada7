"""Save and resume runs: checkpoints, autosave; export generators for others, and sample them."""
