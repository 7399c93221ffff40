"""Frozen feature extractors with named layers, one builder per kind of source."""
