"""A run: `train` and its loop, rules that end it, its history; recipes; measurements of speed."""
