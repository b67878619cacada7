"""Lock files: which process holds a folder or file, under a lock of the operating system."""
