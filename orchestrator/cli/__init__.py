"""The command line: parse, call, print. A command's modules are imported when it runs, so that `--help` is quick.

launch.py  launch, plan
tune.py    tune
look.py    methods, datasets
jobs.py    status, logs, cancel
store.py   store
report.py  report
compare.py compare
ui.py      ui
"""

import importlib
import sys

import click

# Command to its module; each module's function has the command's name.
_COMMANDS = {
    "launch": "launch",
    "plan": "launch",
    "tune": "tune",
    "status": "jobs",
    "logs": "jobs",
    "cancel": "jobs",
    "store": "store",
    "methods": "catalog",
    "datasets": "catalog",
    "report": "report",
    "compare": "compare",
    "ui": "ui",
    "sync": "ui",
}


class _Lazy(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(importlib.import_module(f"orchestrator.cli.{_COMMANDS[name]}"), name)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dfcil-sweep")
def cli() -> None:
    """Sweeps of data-free class-incremental learning: planned, run once, tracked, reported."""


def main() -> None:
    """The console script. Exit status: 0 done, 1 a job failed, 2 a person's mistake, 130 interrupted."""
    from orchestrator.errors import UserError

    try:
        cli.main(prog_name="dfcil-sweep", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UserError as mistake:
        click.echo(f"Error: {mistake}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): nobody is left to tell.
        sys.stderr.close()
        sys.exit(1)
