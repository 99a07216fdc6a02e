"""`init`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options
from orchestrator.cli.next_steps import command
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion
from orchestrator.text import counted, duration

if TYPE_CHECKING:
    from orchestrator.plan.plan import Plan


@click.command()
@click.argument("name", default="first")
@click.option(
    "--data",
    metavar="NAME|DIR",
    shell_complete=completion.data,
    help="A data set (`dfcil-sweep datasets`), or a folder with a folder of images a class in its train and val. "
    "Default: digits, which need no download.",
)
@click.option(
    "--methods",
    "method_names",
    metavar="NAME,...",
    shell_complete=completion.method_list,
    help="Default: upper-bound,base,lwf,abd.",
)
@click.option("--tasks", type=click.IntRange(min=1), metavar="N", help="Equal tasks. Default: about five.")
@options.device
@options.runs
@click.option("-o", "--output", metavar="FILE", shell_complete=completion.files, help="Default: NAME.yaml.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given has its default.")
def init(
    name: str,
    data: str | None,
    method_names: str | None,
    tasks: int | None,
    device: str,
    runs: str | None,
    output: str | None,
    force: bool,
    yes: bool,
) -> None:
    """Write a first spec, NAME.yaml, with a comment at each key, of sizes that suit this machine.

    NAME may be that file, too. What is not given is asked for, at a terminal. Then it says what the spec would run, and
    about how long that takes.
    """
    from orchestrator.cluster.device import device_of_results
    from orchestrator.errors import UserError
    from orchestrator.first_spec import METHODS_OF_A_START, Choice, first_spec, names

    kind = device_of_results(device)  # the sweep may be for another machine
    file = Path(f"{name}.yaml")
    if Path(name).suffix in (".yaml", ".yml"):
        name, file = Path(name).stem, Path(name)
    path = Path(output or file).expanduser()
    if path.exists() and not force:
        raise UserError(f"{path} is there already: --force writes over it, --output FILE writes another one")
    if sys.stdin.isatty() and not yes:
        data = data or click.prompt("Data set, or folder of images", default="digits")
        method_names = method_names or click.prompt("Methods", default=",".join(METHODS_OF_A_START))
    chosen = names(method_names) if method_names else METHODS_OF_A_START
    text = first_spec(Choice(name, data or "digits", chosen, tasks, kind))
    _write(path, text, kind, runs)


def _write(path: Path, text: str, device: str, runs: str | None) -> None:
    from orchestrator.cli.plan import print_plan
    from orchestrator.errors import UserError
    from orchestrator.preview import plan

    preview = plan(text, runs=runs, device=device, elsewhere=True)  # it says what is wrong, before anything is written
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. Choose another file with --output") from error
    say(f"written: {path}\n")
    print_plan(preview)
    if preview.seconds is None:
        say(_about(preview.plan))
    name = preview.plan.spec.name
    say("\nNext:")
    for words, does in (
        (("launch", str(path)), "run it; Ctrl-C stops, the same command goes on"),
        (("report", name), "the table"),
        (("ui", name), "accuracies, curves and dreams in MLflow"),
    ):
        say(f"  {command(*words, runs=runs):<38}  {does}")


def _about(planned: "Plan") -> str:
    """The time that it takes, as far as that can be told before anything like it was run."""
    import os

    from orchestrator.results.guess import guess

    seconds, cores = guess(planned), len(os.sched_getaffinity(0))
    if seconds is None:
        return "how long that takes is known to `dfcil-sweep status` once its first stages are done"
    return (
        f"about {duration(seconds / cores)} on {counted(cores, 'core')}, within a factor of three: by what sweeps took "
        "on two cores of an AMD EPYC"
    )
