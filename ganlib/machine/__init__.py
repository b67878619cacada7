"""The machine: device, processes, randomness, files."""
