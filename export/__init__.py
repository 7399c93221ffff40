"""`python -m export`, and in web/ the npm packages of the web page."""
