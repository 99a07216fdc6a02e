"""A spec in whichever form it is given: a file, a bundled spec's name, YAML text, or a mapping."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RepresenterError

from orchestrator.errors import UserError
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.model import SweepSpec
from orchestrator.spec.rehearsal import rehearse as rehearsal

Spec = str | Path | Mapping[str, Any]
"""A YAML file, the name of a bundled spec, YAML text (of several lines, or in braces), or what such text would say."""

_NAMELESS = "the spec given"


def read_spec(
    spec: Spec,
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    plugin: str | Path | None = None,
    rehearse: bool = False,
) -> SweepSpec:
    """The sweep of `spec`, or its rehearsal. The options are as for `load_spec`, which raises as this does."""
    root, file = None if data_root is None else str(data_root), None if plugin is None else str(plugin)
    if isinstance(spec, Mapping):
        read = parse_spec(as_yaml(spec), _NAMELESS, overrides, data_root=root, plugin=file)
    elif is_text(spec):
        read = parse_spec(str(spec), _NAMELESS, overrides, data_root=root, plugin=file)
    else:
        read = load_spec(spec, overrides=overrides, data_root=root, plugin=file)
    return rehearsal(read) if rehearse else read


def is_text(spec: Spec) -> bool:
    """Whether a spec is YAML text, not a file's or a bundled spec's name."""
    return isinstance(spec, str) and ("\n" in spec or spec.lstrip().startswith("{"))


def as_yaml(spec: Mapping[str, Any]) -> str:
    """A spec as YAML text, its keys in the order given. Raises UserError for what YAML cannot say."""
    yaml, text = YAML(typ="safe", pure=True), StringIO()
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # annotated as if None were its one value
    try:
        yaml.dump(dict(spec), text)
    except RepresenterError as error:
        raise UserError(f"{_NAMELESS}: {error.args[-1]!r} is nothing that YAML can say") from None
    return text.getvalue()
