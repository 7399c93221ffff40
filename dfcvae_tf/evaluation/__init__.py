"""Evaluation: statistics on plain arrays, the model side, and the report."""
