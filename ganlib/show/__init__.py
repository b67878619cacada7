"""Show a run: grids of images, curves, timelines, films, the live view, and the plane."""
