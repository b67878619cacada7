"""Pictures: grids, curves, timelines, the live view, the plane."""
