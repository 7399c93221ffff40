"""Small programs around the package; run with `python -m tools.NAME`."""
