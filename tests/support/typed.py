"""Commands as a document or a help text has them."""

import shlex

import click

from orchestrator.cli import cli


def parse(typed: str) -> None:
    """Parse a whole command line, and run nothing. Raises click's UsageError."""
    program, *arguments = shlex.split(typed, comments=True)
    assert program == "dfcil-sweep", typed
    command: click.Command = cli
    while arguments and isinstance(command, click.Group):
        context = command.make_context("dfcil-sweep", list(arguments))
        _, found, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, typed
        command = found
    command.make_context("dfcil-sweep", arguments)
