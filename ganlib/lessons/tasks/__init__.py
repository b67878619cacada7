"""The exercises of each notebook, in a file of its name."""
