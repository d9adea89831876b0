"""The referee: every family of a row and what needs no network, on the same rows, and a verdict in words."""
