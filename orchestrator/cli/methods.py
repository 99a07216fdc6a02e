"""`methods`."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion

if TYPE_CHECKING:
    from dfcil_core.methods.base import Method


@click.command()
@click.argument("name", required=False, shell_complete=completion.methods)
@options.plugin
def methods(name: str | None, plugin: str | None) -> None:
    """List the methods, or tell all about the one called NAME."""
    from dfcil_core.methods import METHODS
    from orchestrator.cli.tables import print_table
    from orchestrator.errors import UserError, choices
    from orchestrator.spec.load import load_plugins

    load_plugins(plugin)
    if name:
        if name not in METHODS:
            raise UserError(f"no method '{name}'. {choices(name, METHODS)}")
        _method_in_full(METHODS[name])
        return
    print_table(
        ("method", "needs", "what it does", "source"),
        [(key, _needs(method), method.summary, method.source) for key, method in METHODS.items()],
    )


def _needs(method: "type[Method]") -> str:
    if method.group == "bound":
        return "the images of all tasks"
    if method.group == "memory":
        return "a memory of old images"
    return "data-free, dreams" if method.dreams else "data-free"


def _method_in_full(method: "type[Method]") -> None:
    import dataclasses
    import inspect

    from orchestrator.schema.explained import explained

    say(f"{method.name} (version {method.version}): {method.summary}\nNeeds: {_needs(method)}\n")
    say(inspect.getdoc(method))
    say("\nSettings, with their defaults:")
    fields, texts = dataclasses.fields(method.settings_type), explained(method.settings_type)
    for field in fields:
        say(f"  {field.name}: {_as_yaml(field.default)}")
        if field.name in texts:
            say(f"      {texts[field.name]}")
    if not fields:
        say("  none of its own")
    _own_defaults(method)


def _own_defaults(method: "type[Method]") -> None:
    """Those that its authors use, and for which data sets others."""
    from dfcil_core.data.catalog import DATASETS

    _sections("Its own defaults of", method.recipe)
    for info in DATASETS.values():
        if (recipe := method.recipe_for(info)) != method.recipe:
            _sections(f"On {info.name} at {info.image_size} pixels, of", recipe)


def _sections(about: str, recipe: dict[str, dict[str, Any]]) -> None:
    for section, values in recipe.items():
        given = ", ".join(f"{key}: {_as_yaml(value)}" for key, value in values.items())
        say(f"{about} {'its settings' if section == 'settings' else section}: {given}")


def _as_yaml(value: object) -> str:
    """A default as a spec would have it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
