"""`tune`."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from orchestrator.cli import options


@click.command()
@options.sweep
@options.tracking_uri
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Trials in all. Default: the spec's.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="MINUTES", help="Begin no trial after this time.")
@click.option("--storage", metavar="URL", help="Optuna storage. Default: a journal file in the runs folder.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Trials at a time. Default: one a core, or slot.")
@click.option("--per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="Trials at a time on a GPU.")
@click.option("--show", is_flag=True, help="Print the state, the best trials and what mattered, and stop.")
def tune(spec, runs, device, tracking_uri, trials, timeout, storage, jobs, per_gpu, show, **told) -> None:
    """Search better settings for SPEC's method, as its `tune:` section says, on held-out training images.

    Give the same command again to go on where the tuner stopped. The best settings are run on fresh seeds against the
    published one, and the winner is written as a spec.
    """
    from orchestrator.store.sweep_folder import runs_folder

    runs = runs_folder(runs)
    read, kind = _read(spec, device, **told)
    if trials:
        read = replace(read, tune=replace(read.tune, trials=trials))
    if show:
        from orchestrator.tuning.session import show as shown

        click.echo(shown(read, runs, storage, kind))
        return
    sys.exit(_run(read, runs, kind, tracking_uri, timeout, storage, jobs, per_gpu))


def _read(spec: str, device: str, overrides, data_root, plugin, rehearse: bool):
    """The spec, which must have a `tune:` section, and the kind of device."""
    from orchestrator.cluster.device import device_kind
    from orchestrator.errors import UserError
    from orchestrator.spec.load import load_spec
    from orchestrator.spec.rehearsal import rehearse as rehearsal

    read = load_spec(spec, overrides=overrides, data_root=data_root, plugin=plugin)
    if read.tune is None:
        remedy = f"Add one, as in the bundled spec tune-digits: tune: {{method: {read.methods[0].label}, space: ...}}"
        raise UserError(f"{spec}: there is no `tune:` section. {remedy}")
    return rehearsal(read) if rehearse else read, device_kind(device)


def _run(read, runs: Path, device: str, tracking_uri, timeout, storage, jobs, per_gpu) -> int:
    from orchestrator.cli.launch import _slots
    from orchestrator.engine.engine import Options
    from orchestrator.spec.dataset import require_files
    from orchestrator.tuning.session import Launch, Session

    require_files(read.dataset)
    root = str(Path(read.dataset.root or "data").expanduser().absolute())
    workers = jobs or _slots(device, per_gpu)
    how = Options(workers, device, data_root=root, per_gpu=per_gpu, plugin=read.plugin)
    told = Launch(runs, how, storage, tracking_uri, None if timeout is None else 60 * timeout)
    try:
        return Session(read, told, click.echo).run()
    except KeyboardInterrupt:
        click.echo(f"\nStopped. What is finished is in {runs}; the same command goes on from there.", err=True)
        return 130
