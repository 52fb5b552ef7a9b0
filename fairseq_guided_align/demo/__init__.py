"""A page to try a model in a browser: the server behind it, and its answers."""
