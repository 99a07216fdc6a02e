"""The environment of the processes that a benchmark starts."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(tree: Path = ROOT) -> dict[str, str]:
    """Ours, in which Python finds the packages of `tree` first, and then whatever it finds here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(tree), os.environ.get("PYTHONPATH"))))}
