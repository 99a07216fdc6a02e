"""The `name:` of a sweep, which is that of its folder."""

from orchestrator.spec.reading import Reading
from orchestrator.spec.settings import folder


def read_name(reading: Reading) -> str:
    """The name."""
    value = reading.document.data.get("name")
    if value is None:
        reading.document.add(("name",), "the sweep has no name", None, "Give it one, as in `name: my-sweep`")
    else:
        folder(reading.document, ("name",), value)
    return str(value)
