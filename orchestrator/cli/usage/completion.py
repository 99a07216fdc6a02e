"""What the shell completes: each function is a parameter's `shell_complete`. Quick, and silent whatever is wrong.

A person presses Tab in the middle of a line: nothing is written, no plug-in is run, and no mistake is told.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from orchestrator.errors import UserError

_SPEC_FILES = (".yaml", ".yml")


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell itself completes as a file."""
    return [CompletionItem(incomplete, type="file")]


def folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell itself completes as a folder."""
    return [CompletionItem(incomplete, type="dir")]


def devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Kinds of device."""
    return _matching(dict.fromkeys(("auto", "cpu", "cuda"), ""), incomplete)


def specs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Bundled specs, and the spec files of this folder; from a slash on, and where nothing fits, any file."""
    from sweeps import bundled

    named = {name: _first_line(path) for name, path in bundled().items()}
    return _or_a_file({**named, **dict.fromkeys(_spec_files(), "")}, incomplete)


def sweeps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sweeps of the runs folder, and spec files."""
    return _or_a_file({**_sweeps(context), **dict.fromkeys(_spec_files(), "")}, incomplete)


def sweeps_and_studies(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sweeps and studies of the runs folder, and spec files."""
    from orchestrator.tuning.studies import studies

    found = {kept.spec_name: "study" for kept in studies(_runs(context))}
    return _or_a_file({**found, **_sweeps(context), **dict.fromkeys(_spec_files(), "")}, incomplete)


def sweep_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sweeps of the runs folder alone."""
    return _matching(_sweeps(context), incomplete)


def jobs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Jobs of the sweep that `--sweep` names, or of all in the runs folder."""
    from orchestrator.store import sweep_folder

    runs, only = _runs(context), context.params.get("sweep")
    found: dict[str, str] = {}
    with _silently():
        names = [only] if only else sweep_folder.names(runs)
        for plan in sweep_folder.load_each(runs, names, lambda *_: None):
            found |= {job.slug: plan.spec.name for job in plan.jobs}
    return _matching(found, incomplete)


def methods(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The methods that come with the program."""
    from dfcil_core.methods import METHODS

    return _matching({name: method.summary for name, method in METHODS.items()}, incomplete)


def method_list(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The last of several methods with commas between them."""
    before, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{item.value}", help=item.help) for item in methods(context, parameter, last)
    ]


def data(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Data sets, and where none fits any folder."""
    from dfcil_core.data.catalog import DATASETS

    found = {name: info.summary for name, info in DATASETS.items() if name not in ("folder", "synthetic")}
    return _matching(found, incomplete) or folders(context, parameter, incomplete)


def _runs(context: click.Context) -> Path:
    from orchestrator.store import sweep_folder

    return sweep_folder.runs_folder(context.params.get("runs"))


def _sweeps(context: click.Context) -> Mapping[str, str]:
    from orchestrator.store import sweep_folder

    found: list[str] = []
    with _silently():
        found = sweep_folder.names(_runs(context))
    return dict.fromkeys(found, "sweep")


def _spec_files() -> Iterator[str]:
    with suppress(OSError):
        for path in sorted(Path().iterdir()):
            if path.suffix in _SPEC_FILES and not path.name.startswith("."):
                yield path.name


def _first_line(path: Path) -> str:
    """What a bundled spec says of itself."""
    comments = (line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return next((line[2:] for line in comments if "$schema" not in line), "")


def _matching(found: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=about or None) for name, about in found.items() if name.startswith(incomplete)]


def _or_a_file(found: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    return _matching(found, incomplete) or [CompletionItem(incomplete, type="file")]


@contextmanager
def _silently() -> Iterator[None]:
    """What keeps a sweep from being read is told by the command itself."""
    with warnings.catch_warnings(action="ignore"), suppress(UserError, OSError, ValueError):
        yield
