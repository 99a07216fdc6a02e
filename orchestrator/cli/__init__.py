"""The command line: parse, call, print. A command's module is imported when it runs, so that `--help` is quick.

Each command has a module of its name; those that one needs before the first sweep have it in setup/. Beside them:

options.py     options that several commands share
standing.py    how a launch stands, by its events
progress.py    what `launch` shows of it: lines, and in a terminal
live.py        a display
next_steps.py  commands to go on with
stage_lines.py a stage in lines, for `logs`
sources.py     where `report` and `compare` take a sweep from
tables.py      a table on the terminal
terminal.py    what every command writes with
usage/         how a command is found, shown and completed
"""

import importlib
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from orchestrator.cli.usage.examples import with_examples
from orchestrator.cli.usage.groups import Suggesting
from orchestrator.errors import OurWarning

# Each is the name of a command, and with _ for - of the function in the module of that name.
_COMMANDS = (
    "init",
    "doctor",
    "launch",
    "plan",
    "tune",
    "status",
    "logs",
    "cancel",
    "store",
    "methods",
    "datasets",
    "check-plugin",
    "schema",
    "convert-model",
    "report",
    "compare",
    "ui",
    "sync",
)

_SETUP = ("schema", "convert-model", "init", "doctor", "check-plugin")
"""Those of them whose modules are in setup/."""


class _Lazy(Suggesting):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        function = name.replace("-", "_")
        module = f"setup.{function}" if name in _SETUP else function
        command: click.Command = getattr(importlib.import_module(f"orchestrator.cli.{module}"), function)
        return with_examples(command, name)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dfcil-sweep")
@click.pass_context
def cli(context: click.Context) -> None:
    """Sweeps of data-free class-incremental learning: planned, run once, tracked, reported."""
    context.with_resource(_warnings_as_lines())


with_examples(cli, "")


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show a warning of ours as a line, without the place in the program that Python shows with it."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, OurWarning):
                from orchestrator.cli.terminal import say

                say(f"warning: {message}", err=True)
            else:
                shown(message, category, filename, lineno, file, line)

        warnings.simplefilter("default", OurWarning)
        warnings.showwarning = show
        yield


def main() -> None:
    """The console script. Exit status: 0 done, 1 a job failed, 2 a person's mistake, 130 interrupted."""
    from orchestrator.cli.terminal import guarded, say

    with guarded() as output:
        status = _run()
        if output.lost is not None:
            say(f"Error: standard output cannot be written to: {output.lost.strerror}", err=True)
            # A command that ends with a status of its own has done more than to write.
            status = 2 if status is None else status
    sys.exit(status or 0)


def _run() -> int | str | None:
    """The exit status; None where the command just came to its end."""
    from orchestrator.cli.terminal import say
    from orchestrator.errors import UserError
    from orchestrator.files import not_ours

    try:
        cli.main(prog_name="dfcil-sweep", standalone_mode=False)
    except SystemExit as stop:
        return stop.code
    except click.exceptions.Abort:
        return 130
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        say(told.getvalue(), err=True, nl=False)
        return 2
    except UserError as mistake:
        say(f"Error: {mistake}", err=True)
        return 2
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): nobody is left to tell.
        sys.stderr.close()
        return 1
    except OSError as error:
        # A disk that is full, a folder of somebody else's, a file server that is gone. Else it is a bug of ours.
        why = not_ours(error)
        if why is None:
            raise
        say(f"Error: {why}", err=True)
        return 2
    return None
