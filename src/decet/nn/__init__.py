"""Parts that two or more families or tasks use."""
