"""JSON Schema of a spec: what an editor completes and checks as one writes, and what docs/spec.md is made of."""

import json
from collections.abc import Mapping
from dataclasses import field, make_dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from orchestrator.schema.explained import explained
from orchestrator.schema.grids import add_grids
from orchestrator.schema.keys import KEYS
from orchestrator.spec.load import SECTIONS

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What all editors know. Of what pydantic writes only descriptions beside a reference are of a later draft: no harm."""


class _Generator(GenerateJsonSchema):
    """Pydantic's, with what stands below each setting as its description."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        made = super().dataclass_schema(schema)
        for name, text in explained(schema["cls"]).items():
            if name in made.get("properties", {}):
                made["properties"][name].setdefault("description", text)
        for told in made.get("properties", {}).values():
            # A form's `None` and its empty text stand for "not given", which is a default of no type of the setting's.
            if told.get("default", ...) in (None, ""):
                del told["default"]
        made.pop("title", None)
        return made


def spec_schema() -> dict[str, Any]:
    """The schema of a spec, of the methods that are registered now, as plain data.

    What it accepts is a superset of what is a right spec: what depends on several keys at once (whether the classes can
    be dealt to so many tasks, say) only `dfcil-sweep plan` tells.
    """
    made = TypeAdapter(_whole()).json_schema(schema_generator=_Generator)
    add_grids(made)
    made["not"] = {"required": ["seeds", "repeats"]}
    head = {"$schema": DIALECT, "title": "A spec of dfcil-sweep"}
    return {**head, **made}


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(spec_schema(), indent=1, ensure_ascii=False) + "\n"


def _whole() -> type:
    """A spec as a class. A key that has no line in KEYS can be anything."""
    given = [(name, _declared(name), field(default=None)) for name in SECTIONS if not _required(name)]
    required = [(name, _declared(name), field()) for name in SECTIONS if _required(name)]
    about = "A sweep of data-free class-incremental learning: methods x task splits x seeds."
    namespace = {"__pydantic_config__": {"extra": "forbid"}, "__doc__": about}
    return make_dataclass("spec", [*required, *given], kw_only=True, namespace=namespace)


def _required(name: str) -> bool:
    return name in KEYS and not KEYS[name].default


def _declared(name: str) -> Any:
    if name not in KEYS:
        return Any
    return Annotated[KEYS[name].form(), Field(description=KEYS[name].about, examples=[KEYS[name].example])]


def resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """`schema`, or what it refers to in `whole`."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return whole["$defs"][name] if name else schema
