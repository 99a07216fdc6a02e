"""`store`: what lies in the runs folder, keeping it clean and sound, and carrying results elsewhere."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion
from orchestrator.cli.usage.groups import Suggesting
from orchestrator.text import counted, readable


@click.group(cls=Suggesting, invoke_without_command=True)
@options.runs
@click.pass_context
def store(context: click.Context, runs: str | None) -> None:
    """Tell what lies in the runs folder, and how large each kind is."""
    from orchestrator.store import sweep_folder

    context.obj = sweep_folder.runs_folder(runs)
    if context.invoked_subcommand is None:
        _sizes(context.obj)


def _with_runs(function: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the runs folder: of its own --runs, else of that before its name."""

    @options.runs
    @click.pass_obj
    @functools.wraps(function)
    def command(before: Path, /, runs: str | None, **told: Any) -> None:
        from orchestrator.store import sweep_folder

        function(sweep_folder.runs_folder(runs) if runs else before, **told)

    return command


def _sizes(runs: Path) -> None:
    from orchestrator.cli.tables import print_table
    from orchestrator.store.maintenance import sizes
    from orchestrator.store.store import Store

    found = sizes(Store(runs))
    rows = [
        (kind, str(size.count), str(size.freed or ""), readable(size.bytes)) for kind, size in sorted(found.items())
    ]
    rows.append(("all", "", "", readable(sum(size.bytes for size in found.values()))))
    say(str(runs))
    print_table(("kind", "number", "freed", "size"), rows)


@store.command()
@click.option("--unused", is_flag=True, help="Also finished stages that no sweep launched here has.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@_with_runs
def prune(runs: Path, unused: bool, dry_run: bool) -> None:
    """Remove damaged stages that were put aside, and what is left of stages that no launched sweep has."""
    from orchestrator.store.maintenance import remove, waste
    from orchestrator.store.store import Store

    store, found = Store(runs), list(waste(runs, unused, lambda damage: say(damage, err=True)))
    if not dry_run and store.stages.is_dir():
        store.prepare()
    for each in found:
        say(f"{'would remove' if dry_run else 'removed'} {each.path} ({readable(each.bytes)}): {each.why}")
        if not dry_run:
            remove(store, each)
    say(f"{counted(len(found), 'thing')}, {readable(sum(each.bytes for each in found))}")


@store.command()
@click.option(
    "--set-aside", is_flag=True, help="Take damaged stages out of the store: the next launch does them again."
)
@_with_runs
def verify(runs: Path, set_aside: bool) -> None:
    """Read every finished stage through, compare it with its checksums and count its right answers again.

    The files of launched sweeps are read, too. Exit status 1 where anything is damaged, 2 where something cannot be
    read: that says nothing of it, and it stays where it is.
    """
    from orchestrator.store.store import Store
    from orchestrator.store.verify import verify as read_through
    from orchestrator.store.verify import verify_sweeps

    store, read, damaged, unread, unsealed = Store(runs), 0, 0, 0, 0
    for found in read_through(store):
        if found.unread is not None:
            unread += 1
            say(f"not read: {found.unread}")
            continue
        read += 1
        unsealed += not found.sealed
        if found.reason is None:
            continue
        damaged += 1
        say(f"damaged: {found.name}: {found.reason}")
        if set_aside:
            say(f"  put aside as {store.put_aside(store.stages / found.name)}")
    files = 0
    for path, reason in verify_sweeps(runs):
        files += 1
        say(f"damaged: {path.relative_to(runs)}: {reason}")
    left = f", {unread} that cannot be read" if unread else ""
    older = f"; {counted(unsealed, 'older record')} without a checksum of its own" if unsealed else ""
    of_sweeps = f"; {counted(files, 'file')} of sweeps damaged" if files else ""
    say(f"{counted(read, 'stage')} read, {damaged} damaged{left}{of_sweeps}{older}")
    if damaged or files or unread:
        sys.exit(2 if unread else 1)


@store.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("sweeps", nargs=-1, shell_complete=completion.sweep_names)
@_with_runs
def export(runs: Path, file: Path, sweeps: tuple[str, ...]) -> None:
    """Write the finished stages of SWEEPS (or all) to FILE, a tar file for another machine's `store import`."""
    from orchestrator.store import archive, sweep_folder
    from orchestrator.store.store import Store

    store = Store(runs)
    plans = [sweep_folder.load(runs, name) for name in sweeps]
    named = {key: stage for plan in plans for key, stage in plan.stages.items() if store.has(stage)}
    stages = named.values() if sweeps else archive.everything(store)
    count = archive.export(store, stages, file)
    say(f"{counted(count, 'stage')} in {file} ({readable(file.stat().st_size)})")


@store.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--most-gib", type=click.FloatRange(min=0), default=100, show_default=True, help="Refuse to bring in more."
)
@_with_runs
def bring(runs: Path, file: Path, most_gib: float) -> None:
    """Bring the stages of FILE, which `store export` wrote, into the store. Every checksum is compared."""
    from orchestrator.store import archive, sweep_folder
    from orchestrator.store.store import Store

    sweep_folder.require_writable(runs)
    done = archive.load(Store(runs), file, int(most_gib * 2**30))
    say(f"{counted(len(done.added), 'stage')} imported, {len(done.present)} were here already")
    if done.held:
        say(f"{counted(len(done.held), 'stage')} left alone, being computed here now")
