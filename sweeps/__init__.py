"""The bundled specs, by name."""

from pathlib import Path


def bundled() -> dict[str, Path]:
    """Name to file of each spec that comes with the package, in alphabetical order."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
