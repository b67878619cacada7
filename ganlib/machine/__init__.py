"""What concerns the computer, not GANs: the device, processes, random numbers, files, progress."""
