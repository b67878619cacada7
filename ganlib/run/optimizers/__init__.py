"""Adam with a bound on each step, and Adam's step as a CUDA graph records it."""
