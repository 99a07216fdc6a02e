"""The training core: runs one stage of class-incremental learning, given only its recipe.

It knows nothing of sweeps, clusters, tracking or tuning, and imports none of them.
"""
