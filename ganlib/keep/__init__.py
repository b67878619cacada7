"""What is kept of a run: checkpoints, saving by the clock, and what is shared of it."""
