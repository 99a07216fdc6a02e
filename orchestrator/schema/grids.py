"""`{grid: [...]}` in the place of a setting's value, in the schema: of an entry of `methods` alone."""

from typing import Any

from orchestrator.spec.grid import KEY, NOT_SETTINGS
from orchestrator.spec.settings import SECTIONS

_ABOUT = ("description", "default")


def add_grids(schema: dict[str, Any]) -> None:
    """Let every setting of an entry be a grid of values; `schema` is that of a spec, and is changed."""
    forms: dict[str, Any] = schema["$defs"]
    entries = {form["properties"]["name"]["const"]: form for name, form in forms.items() if name.startswith("method-")}
    for section, declared in SECTIONS.items():
        form = forms[declared.__name__]
        settings = {name: _or_grid(told) for name, told in form["properties"].items()}
        forms[f"{declared.__name__}-of-an-entry"] = {**form, "properties": settings}
        for entry in entries.values():
            if section in entry["properties"]:
                told = {
                    name: entry["properties"][section][name] for name in _ABOUT if name in entry["properties"][section]
                }
                reference = {"$ref": f"#/$defs/{declared.__name__}-of-an-entry"}
                entry["properties"][section] = {"anyOf": [reference, {"type": "null"}], **told}
    for entry in entries.values():
        for name, told in entry["properties"].items():
            if name not in (*NOT_SETTINGS, *SECTIONS):
                entry["properties"][name] = _or_grid(told)


def _or_grid(told: dict[str, Any]) -> dict[str, Any]:
    about = {name: told[name] for name in _ABOUT if name in told}
    value = {name: part for name, part in told.items() if name not in _ABOUT}
    grid = {
        "additionalProperties": False,
        "properties": {KEY: {"description": "The values.", "items": value, "minItems": 1, "type": "array"}},
        "required": [KEY],
        "type": "object",
    }
    return {"anyOf": [value, grid], **about}
