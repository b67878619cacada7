"""The exercises of the notebooks."""
