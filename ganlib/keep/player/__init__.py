"""What the player of an exported page runs: see operations.py and clips.py."""
