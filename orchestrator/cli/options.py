"""Options that several commands share, and what they say alike."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from dfcil_core.execution import Capture
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion
from orchestrator.cluster.systems import BATCH_SYSTEMS

_Function = TypeVar("_Function", bound=Callable[..., Any])

runs = click.option(
    "--runs",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Folder of all results. Default: DFCIL_RUNS, else ./runs.",
)
tracking_uri = click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow tracking store. Default: MLFLOW_TRACKING_URI, else a sqlite file in the runs folder.",
)
experiment = click.option(
    "--experiment",
    metavar="NAME",
    help="MLflow experiment. Default: MLFLOW_EXPERIMENT_NAME, else as the last time, else the sweep's name.",
)
log_models = click.option(
    "--log-models", is_flag=True, help="Log the final network of each finished job as an MLflow model."
)
overrides = click.option(
    "--set", "overrides", metavar="PATH=VALUE", multiple=True, help="Change a setting of the spec: training.lr=0.05."
)
device = click.option(
    "--device",
    metavar="auto|cpu|cuda",
    shell_complete=completion.devices,
    default="auto",
    show_default=True,
    help="auto: CUDA where there is a device, else the CPU.",
)
plugin = click.option(
    "--plugin",
    metavar="FILE",
    shell_complete=completion.files,
    help="A Python file of your own methods, backbones or data sets.",
)
rehearse = click.option(
    "--rehearse", is_flag=True, help="Synthetic images of the same shape and short schedules: a trial of the spec."
)


data_root = click.option(
    "--data-root",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Folder of the data sets. Default: the spec's root, else ./data.",
)


def stack(*decorators: Callable[[_Function], _Function]) -> Callable[[_Function], _Function]:
    """Several options as one decorator, in the order given."""

    def decorate(function: _Function) -> _Function:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


# What decides which stages there are, for `launch`, `plan` and `tune` alike.
sweep = stack(
    click.argument("spec", shell_complete=completion.specs), runs, device, overrides, data_root, plugin, rehearse
)
SWEEP = ("runs", "device", "overrides", "data_root", "plugin", "rehearse")
"""The parameters of `sweep` beside the spec."""

notify = click.option(
    "--notify",
    metavar="CMD",
    help="Run CMD when it has ended, failed or been stopped; a summary as JSON is on its standard input.",
)
gpus = click.option(
    "--gpus", metavar="N,N", help="These GPUs alone: 0,2. Default: all, or those that CUDA_VISIBLE_DEVICES names."
)
capture = click.option(
    "--capture",
    type=click.Choice(get_args(Capture)),
    default="off",
    show_default=True,
    help="auto: on a GPU each training step is one CUDA graph, where it can be and computes the same.",
)
only = click.option(
    "--only",
    metavar="FIELD=VALUE,...",
    multiple=True,
    help="The jobs with these values alone, of method, tasks, class_order, seed, fold: method=abd,seed=0. Repeatable.",
)

elsewhere = stack(
    click.option(
        "--cluster",
        type=click.Choice(list(BATCH_SYSTEMS)),
        help="Run in jobs of this batch system; needs --profile.",
    ),
    click.option(
        "--profile",
        metavar="FILE",
        shell_complete=completion.files,
        help="What a job of --cluster asks for; see docs/cluster.md.",
    ),
    click.option("--scheduler", metavar="tls://HOST:PORT", help="Run on the Dask cluster of this scheduler."),
    click.option(
        "--tls-ca",
        metavar="FILE",
        shell_complete=completion.files,
        help="Certificate of the authority that signed the scheduler's.",
    ),
    click.option(
        "--tls-cert", metavar="FILE", shell_complete=completion.files, help="Our certificate, signed by it too."
    ),
    click.option("--tls-key", metavar="FILE", shell_complete=completion.files, help="The key of our certificate."),
)
"""Where `launch` and `tune` find workers, if not on this machine."""
ELSEWHERE = ("cluster", "profile", "scheduler", "tls_ca", "tls_cert", "tls_key")
"""The parameters of `elsewhere`."""


def say_damaged(sweep: str, damage: Exception) -> None:
    """What a command on all sweeps says of one that cannot be read, before it goes on with the others."""
    say(f"sweep '{sweep}' is left out: {damage}", err=True)


def say_stopped(runs: str | None) -> None:
    """What `launch` and `tune` say after Ctrl-C."""
    from orchestrator.store import sweep_folder

    folder = sweep_folder.runs_folder(runs)
    say(f"\nStopped. What is finished is in {folder}; the same command goes on from there.", err=True)
