"""Dreaming: training a generator of synthetic images against the frozen network."""
