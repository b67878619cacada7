"""A run: the loop, what `train` is given, when it ends, its history; recipes; speed."""
