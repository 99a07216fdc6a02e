"""`schema`."""

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say, write_file
from orchestrator.cli.usage import completion


@click.command()
@options.plugin
@click.option(
    "-o", "--output", metavar="FILE", shell_complete=completion.files, help="Write to a file, not to the terminal."
)
def schema(plugin: str | None, output: str | None) -> None:
    """Print JSON Schema of a spec, for editors: completion and checks as you type; docs/spec.md.

    With the YAML language server, a spec's first line tells where it is: # yaml-language-server: $schema=FILE
    """
    from orchestrator.schema.json_schema import schema_text
    from orchestrator.spec.load import load_plugins

    load_plugins(plugin)
    if output:
        write_file(output, schema_text())
    else:
        say(schema_text(), nl=False)
