"""Image sources and the one input pipeline."""
