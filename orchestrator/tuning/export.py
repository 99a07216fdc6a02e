"""The winner as a spec ready to launch: the published setting and the tuned one, side by side, on the test images."""

from collections.abc import Mapping
from typing import Any

from orchestrator.spec.given import as_yaml
from orchestrator.spec.model import SweepSpec, Value
from orchestrator.spec.yaml_document import read_document
from orchestrator.tuning.trials import tune_of

SUFFIX = "-tuned"
_LONGEST = 100 - len(SUFFIX)


def winner_spec(spec: SweepSpec, settings: Mapping[str, Value], comment: str) -> str:
    """The text of a spec named `<name>-tuned`, with the entry that was tuned and, as `<label>-tuned`, the winner.

    Everything else is as it was read, `--set` included. `comment` goes to the top.
    """
    data = read_document(spec.text, spec.name, spec.overrides).data
    entry = next(entry for entry in spec.methods if entry.label == tune_of(spec).method)
    items = [{"name": item} if isinstance(item, str) else dict(item) for item in data["methods"]]
    plain = next(item for item in items if item.get("label", item["name"]) == entry.label)
    tuned = {**plain, "label": entry.label[:_LONGEST] + SUFFIX}
    for path, value in settings.items():
        section, _, name = path.rpartition(".")
        if section:
            tuned[section] = {**(tuned.get(section) or {}), name: value}
        else:
            tuned[name] = value
    left = {key: value for key, value in data.items() if key not in ("name", "methods", "tune", "exclude")}
    whole: dict[str, Any] = {"name": spec.name[:_LONGEST] + SUFFIX, **left, "methods": [plain, tuned]}
    return "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines()) + as_yaml(whole)
