"""`methods` and `datasets`: looking without changing anything."""

import click

from orchestrator.cli import options


@click.command()
@click.argument("name", required=False)
@options.plugin
def methods(name, plugin) -> None:
    """List the methods, or tell all about the one called NAME."""
    from dfcil_core.methods import METHODS
    from orchestrator.errors import UserError, choices
    from orchestrator.spec.load import load_plugins

    load_plugins(plugin)
    if name:
        if name not in METHODS:
            raise UserError(f"no method '{name}'. {choices(name, METHODS)}")
        _method_in_full(METHODS[name])
        return
    _table(
        ("method", "needs", "what it does", "source"),
        [(key, _needs(method), method.summary, method.source) for key, method in METHODS.items()],
    )


def _needs(method) -> str:
    if method.group == "bound":
        return "the images of all tasks"
    if method.group == "memory":
        return "a memory of old images"
    return "data-free, dreams" if method.dreams else "data-free"


def _method_in_full(method) -> None:
    import dataclasses
    import inspect

    click.echo(f"{method.name} (version {method.version}): {method.summary}\nNeeds: {_needs(method)}\n")
    click.echo(inspect.getdoc(method))
    click.echo("\nSettings, with their defaults:")
    fields, explained = dataclasses.fields(method.settings_type), _explained(method.settings_type)
    for field in fields:
        click.echo(f"  {field.name}: {_as_yaml(field.default)}")
        if field.name in explained:
            click.echo(f"      {explained[field.name]}")
    if not fields:
        click.echo("  none of its own")
    for section, values in method.recipe.items():
        given = ", ".join(f"{key}: {_as_yaml(value)}" for key, value in values.items())
        click.echo(f"Its own defaults of {section}: {given}")


def _explained(settings_type) -> dict[str, str]:
    """Field to the docstring below it, which is in the source alone."""
    import ast
    import inspect
    import textwrap

    (body,) = ast.parse(textwrap.dedent(inspect.getsource(settings_type))).body
    texts = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = " ".join(text.split())
    return texts


def _as_yaml(value) -> str:
    """A default as a spec would have it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@click.command()
def datasets() -> None:
    """List the data sets."""
    from dfcil_core.data import DATASETS, IMAGE_FILES

    downloaded = "a folder (root), downloaded there if there is a network"
    _table(
        ("data set", "classes", "images", "size", "what it is", "needs"),
        [
            (
                info.name,
                str(info.classes or "any"),
                f"{info.train_images} + {info.test_images}" if info.train_images else "any",
                f"{info.native_size}x{info.native_size}" if info.native_size else "any",
                info.summary,
                "nothing" if not info.needs_root else "a folder (root)" if info.name in IMAGE_FILES else downloaded,
            )
            for info in DATASETS.values()
        ],
    )


def _table(headings, rows) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
