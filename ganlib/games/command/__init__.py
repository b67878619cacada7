"""Functions that the commands of all games use."""
