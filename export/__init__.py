"""`python -m export`: a trained run as files for devices, and the web page for them."""
