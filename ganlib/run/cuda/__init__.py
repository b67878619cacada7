"""Record training steps as CUDA graphs, which start all kernels of a step with one call."""
