"""Commands that one needs before the first sweep."""
