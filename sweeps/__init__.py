"""The bundled specs, by name."""

from pathlib import Path

SCHEMA = Path(__file__).parent / "spec.schema.json"
"""JSON Schema of a spec, as the methods that come with the package have it."""


def bundled() -> dict[str, Path]:
    """Name to file of each spec that comes with the package, in alphabetical order."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
