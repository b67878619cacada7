"""A run in several processes: whether all train the same."""
