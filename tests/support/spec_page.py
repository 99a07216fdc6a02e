"""docs/spec.md and sweeps/spec.schema.json, made of the classes that read a spec.

`python -m tests.support.spec_page` writes both anew.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from textwrap import fill

from dfcil_core.data.catalog import DATASETS, FIXED
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import make_plan
from orchestrator.schema.forms import dotted_settings
from orchestrator.schema.json_schema import resolved, schema_text, spec_schema
from orchestrator.schema.keys import KEYS
from orchestrator.spec.grid import KEY
from orchestrator.spec.load import parse_spec
from orchestrator.spec.settings import Common, names
from sweeps import SCHEMA
from tests.support.paths import ROOT

FILE = ROOT / "docs" / "spec.md"
WIDTH = 120
HEAD = """\
<!-- Made by `python -m tests.support.spec_page` from the classes that read a spec: change those, not this file. -->

# A spec, key by key

A spec is a YAML file (YAML 1.2): what to run. `name`, `methods` and `tasks` must be given; all else has a default. The
defaults are the published recipe of *Always Be Dreaming* (Smith et al., ICCV 2021).

    dfcil-sweep plan FILE        # what FILE says, and every mistake in it at once, each with its line and column
    dfcil-sweep schema           # this page for programs: JSON Schema

**In an editor.** With the YAML language server (VS Code: the extension "YAML" by Red Hat; Neovim, Emacs and others
have it too) keys and values complete as you type, with their explanations, and mistakes are underlined. Its line stands
at the top of every bundled spec; for a spec of your own:

    dfcil-sweep schema --output spec.schema.json

    # yaml-language-server: $schema=spec.schema.json

With `--plugin FILE` the methods of a plug-in are in it too. What several keys decide together (whether the classes can
be dealt to so many tasks, say) only `dfcil-sweep plan` tells.

**What overrides what**, from the lowest: the defaults; a method's own recipe (`dfcil-sweep methods NAME`); the spec's
`training`, `dreaming`, `memory` and `quirks`; the method's entry under `methods`.

**For one launch**, `--set PATH=VALUE` (as often as needed) replaces what the spec says. PATH is dotted, VALUE is YAML;
an entry of `methods` goes by its label:

    dfcil-sweep launch demo --set training.lr=0.05 --set 'seeds=[0, 1]' --set methods.abd.mu=0.2

"""
METHODS_TEXT = """\
An entry has these keys, and the settings of its method. `dreaming` and `memory` are keys of those methods alone that
dream or keep images. `{grid: [0.1, 0.2]}` in the place of a setting's value is an entry for each of the values
([sweep.md](sweep.md#a-grid-over-settings)).
"""
EVERYTHING = {"name": "s", "dataset": "digits", "methods": list(METHODS), "tasks": [5], "seeds": [0]}


def page() -> str:
    """The text of docs/spec.md."""
    whole = spec_schema()
    parts = [HEAD, *(_section(name, whole) for name in KEYS)]
    return "".join(parts).rstrip() + "\n"


def _section(name, whole) -> str:
    key, schema = KEYS[name], whole["properties"][name]
    lines = [f"## `{name}`", "", fill(key.about, WIDTH, break_long_words=False, break_on_hyphens=False), ""]
    words = {
        "dataset": "name or mapping",
        "methods": "list of names and mappings",
        "class_order": "`shuffled`, `natural`, mapping, list of classes, or list of these",
    }.get(name)
    lines += [f"Type: {words or _type(schema, whole)}.{_sentence(_bounds(schema))} " + _default(key)]
    if name in names(Common):
        default = {field.name: field.default for field in fields(Common)}[name]
        lines += [f"Acts on: {_acts_on(name, {**schema, 'default': default}, whole)}."]
    lines += ["", "```yaml", key.example, "```", ""]
    tables = {"dataset": _dataset, "methods": _methods}.get(name, _mapping)
    lines += tables(name, schema, whole)
    return "\n".join(lines) + "\n"


def _default(key) -> str:
    return f"Default: {key.default}." if key.default else "It must be given."


def _sentence(text) -> str:
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _mapping(name, schema, whole) -> Iterator[str]:
    """The table of a section's own keys, and of those mappings that it holds."""
    for form in _mappings(schema, whole):
        acts = name in ("training", "dreaming")
        yield from _table(form, whole, (lambda key, told: _acts_on(f"{name}.{key}", told, whole)) if acts else None)
        for inner, told in form["properties"].items():
            for deeper in _mappings(told, whole) if name == "tune" else ():
                yield f"A value of `{inner}`:" if inner == "space" else f"Keys of `{inner}`:"
                yield ""
                yield from _table(deeper, whole)


def _dataset(name, schema, whole) -> Iterator[str]:
    forms = {form["properties"]["name"]["const"]: form for form in _mappings(schema, whole)}
    common = set.intersection(*(set(form["properties"]) for form in forms.values()))
    yield from _table(_only({**forms["digits"], "properties": _name_first(forms["digits"])}, common), whole)
    yield "Keys of `holdout`, where it gives folds of the training images ([data.md](data.md)):"
    yield ""
    (folds,) = _mappings(forms["digits"]["properties"]["holdout"], whole)
    yield from _table(folds, whole)
    yield "`name` is one of " + ", ".join(f"`{name}`" for name in DATASETS) + "."
    yield ""
    for ones in (("synthetic",), ("folder",), FIXED):
        yield f"With {', '.join(f'`{name}`' for name in ones)} also:"
        yield ""
        yield from _table(_only(forms[ones[0]], set(forms[ones[0]]["properties"]) - common), whole)


def _methods(name, schema, whole) -> Iterator[str]:
    forms = {form["properties"]["name"]["const"]: form for form in _mappings(schema, whole)}
    ours = {"name", "label", "training", "dreaming", "memory", "quirks"}
    yield METHODS_TEXT
    widest = max(forms.values(), key=lambda form: len(ours & form["properties"].keys()))
    shared = {
        **widest["properties"],
        **forms["bic"]["properties"],
        "name": {"type": "string", "description": "The method."},
    }
    yield from _table(_only({"properties": shared, "required": ["name"]}, ours), whole)
    yield "The settings of single methods:"
    yield ""
    yield "| method | key | type | default | bounds | what it says |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for method, form in forms.items():
        for key, told in form["properties"].items():
            if key not in ours:
                yield f"| `{method}` {_row(key, told, whole)}"
    yield ""


def _name_first(form):
    return {"name": form["properties"]["name"], **form["properties"]}


def _only(form, keys):
    return {**form, "properties": {key: told for key, told in form["properties"].items() if key in keys}}


def _mappings(schema, whole) -> list:
    """The mappings that a value can be, or that the items of a list can be."""
    schema = resolved(schema, whole)
    if "properties" in schema:
        return [schema]
    deeper = [*_options(schema), schema.get("items"), schema.get("additionalProperties")]
    found = [form for part in deeper if isinstance(part, dict) for form in _mappings(part, whole)]
    return [form for place, form in enumerate(found) if form not in found[:place]]


def _options(schema):
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [option for option in options if KEY not in option.get("properties", ())]  # a grid: said once, in words


def _table(form, whole, acts_on=None) -> Iterator[str]:
    hidden = set(dotted_settings()) if "." in "".join(form["properties"]) else ()  # an exclusion's, which are many
    rows = {key: told for key, told in form["properties"].items() if "." not in key and key not in hidden}
    yield f"| key | type | default | bounds |{' acts on |' if acts_on else ''} what it says |"
    yield "| --- " * (6 if acts_on else 5) + "|"
    for key, told in rows.items():
        yield _row(key, told, whole, acts_on(key, told) if acts_on else "", must=key in form.get("required", ()))
    yield ""


def _row(key, told, whole, acts="", must=False) -> str:
    told = {**resolved(told, whole), **told}
    default = f"`{_yaml(told['default'])}`" if "default" in told else "must be given" if must else ""
    cells = [f"`{key}`", _type(told, whole), default, _bounds(told), *([acts] if acts else []), told["description"]]
    return f"| {' | '.join(cells)} |"


def _type(schema, whole) -> str:
    schema = resolved(schema, whole)
    if options := [option for option in _options(schema) if option.get("type") != "null"]:
        return " or ".join(dict.fromkeys(_type(option, whole) for option in options))
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of: {_type(schema['items'], whole)}"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    return names.get(kind, "mapping" if kind == "object" else "anything")


def _bounds(schema) -> str:
    for option in _options(schema):
        if option.get("type") != "null" and (bounds := _bounds(option)):
            return bounds
    items = schema.get("items", {})
    told = [
        f"{words} {_yaml(schema[name])}"
        for name, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if name in schema
    ]
    told += [f"{_yaml(schema['minItems'])} or more"] if schema.get("minItems", 0) > 1 else []
    told += [f"at most {schema['maxLength']} bytes"] if "maxLength" in schema else []
    each = _bounds(items) if items.get("type") in ("integer", "number") else ""
    told += [f"each {each}"] if each else []
    return ", ".join(told)


def _yaml(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return str(value)


def _acts_on(dotted, schema, whole) -> str:
    """The methods a job of which has another key for its last stage when the setting has another value."""
    other = _another(resolved(schema, whole), whole)
    if other is None:
        return "every method"
    before, after = _last_stages(()), _last_stages((f"{dotted}={other}",))
    acted = [name for name in METHODS if before[name] != after[name]]
    if len(acted) == len(METHODS):
        return "every method"
    return ", ".join(f"`{name}`" for name in acted)


def _another(schema, whole):
    """A value that is not the default; None where none is known."""
    default = schema.get("default")
    if isinstance(default, bool):
        return str(not default).lower()
    if "enum" in schema:
        return next(choice for choice in schema["enum"] if choice != default)
    if schema.get("type") == "integer" and default is not None:
        return 2 * default or 1
    if schema.get("type") == "number" and default is not None:
        return default / 2
    return "[1]" if schema.get("anyOf", [{}])[0].get("type") == "array" else None


def _last_stages(overrides):
    plan = make_plan(parse_spec(json.dumps(EVERYTHING), "everything", overrides))
    return {job.entry.label: job.stages[-1] for job in plan.jobs}


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
