"""A sweep's own folder, `runs/sweeps/<name>/`: what was asked for, so that it can be looked at by its name later.

    spec.yaml    the spec as given
    sweep.json   what the launch was told beside it
    jobs.json    each job's name to the keys of its stages
    plan.json    where a method is a plug-in's: the plan, so that it can be read without running the plug-in
    plugin.py    a copy of the plug-in, for a launch that names it; nothing runs it by itself

Nothing in it is executed: the folder may come from a stranger.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dfcil_core.data.catalog import IMAGE_FILES
from orchestrator.errors import UserError, choices
from orchestrator.files import listing, there
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.model import FirstModel
from orchestrator.spec.rehearsal import rehearse
from orchestrator.spec.yaml_document import read_document
from orchestrator.store import recorded_plan
from orchestrator.store.our_files import Key, ignored, read, read_or, read_text, write_json, write_text

SPEC, SETTINGS, JOBS, PLUGIN, PLAN = "spec.yaml", "sweep.json", "jobs.json", "plugin.py", recorded_plan.FILE
AGAIN = "Launch the sweep again, as it was, and it is written anew; or remove the sweep's folder"

Launched = dict[str, tuple[Key, ...]]
"""Each job's name to the keys of its stages."""
LAUNCHED: TypeAdapter[Launched] = TypeAdapter(Launched)


@dataclass(frozen=True)
class _Settings:
    """What the plan depends on beside the spec's text: the content of sweep.json."""

    device: str
    overrides: tuple[str, ...]
    data_root: str | None
    plugin: str | None
    rehearsed: bool
    dataset: dict[str, Any] | None
    first_models: dict[int, FirstModel] = field(default_factory=dict)


_SETTINGS = TypeAdapter(_Settings)


@dataclass(frozen=True)
class Changes:
    """What a launch changes of the sweep of the same name."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def runs_folder(given: str | None) -> Path:
    """The runs folder: `--runs`, else DFCIL_RUNS, else `./runs`; absolute. Raises UserError for what is no path."""
    folder = Path(given or os.environ.get("DFCIL_RUNS") or "runs").expanduser().absolute()
    if "\0" in str(folder):  # from Python alone: neither an argument nor a variable can hold it
        raise UserError(
            f"the runs folder {folder} cannot be written to: no path has a NUL. "
            "Choose another with --runs or DFCIL_RUNS"
        )
    return folder


def sweep_folder(runs: Path, name: str) -> Path:
    """The folder of the sweep of that name."""
    return runs / "sweeps" / name


def names(runs: Path) -> list[str]:
    """The sweeps launched in this runs folder, in alphabetical order. Raises Unreadable."""
    files = (SPEC, SETTINGS, JOBS)
    return sorted(
        name for name in listing(runs / "sweeps") if any(there(sweep_folder(runs, name) / file) for file in files)
    )


def name_and_commit(runs: Path, given: str) -> tuple[str, str]:
    """`NAME@COMMIT` in its parts, the second empty where it is a name alone: a sweep's name may have an @ itself."""
    if given in names(runs):
        return given, ""
    name, at, commit = given.rpartition("@")
    return (name, commit) if at else (given, "")


def require(runs: Path, name: str, further: Iterable[str] = ()) -> None:
    """Raise UserError unless a sweep of that name was launched in this runs folder, or it is one of `further`."""
    known = list(dict.fromkeys([*names(runs), *further]))
    if name not in known:
        listed = choices(name, known) if known else "None was launched yet"
        raise UserError(f"no sweep '{name}' in {runs}. {listed}. (--runs or DFCIL_RUNS chooses the runs folder)")


def save(runs: Path, plan: Plan) -> Changes:
    """Write down what is launched, and say what it changes of the sweep of the same name."""
    folder = sweep_folder(runs, plan.spec.name)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = {job.name: job.stages for job in plan.jobs}
    before = read_or(folder / JOBS, LAUNCHED, jobs, "It is written anew; what this launch changes is not known")
    write_text(folder / SPEC, plan.spec.text)
    write_json(folder / SETTINGS, _settings(plan), indent=1, end="\n")
    if plan.spec.plugin:
        # A copy, to launch again with when the plug-in has moved, or changed.
        write_text(folder / PLUGIN, Path(plan.spec.plugin).read_text(encoding="utf-8"))
    if recorded_plan.of_plugin(plan):
        write_json(folder / PLAN, recorded_plan.to_json(plan), end="\n")
    elif (folder / PLAN).is_file():
        (folder / PLAN).unlink()
    write_json(folder / JOBS, jobs, indent=1, end="\n")
    return Changes(
        added=tuple(name for name, stages in jobs.items() if before.get(name) != stages),
        removed=tuple(name for name, stages in before.items() if jobs.get(name) != stages),
    )


def require_writable(runs: Path) -> None:
    """Make the runs folder. Raises UserError where nothing can be written there."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs):
            pass
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"the runs folder {runs} cannot be written to: {why}. Choose another with --runs or DFCIL_RUNS"
        ) from None


def load(runs: Path, name: str, as_launched: bool = False) -> Plan:
    """The plan of the sweep launched last under that name. No code of a plug-in is run.

    `as_launched`: with the stages that the launch named, whatever the program would name them now; a plug-in's sweep is
    always read so. Raises UserError where there is no such sweep, or its files are damaged.
    """
    plan = _load(runs, name, as_launched)
    if plan.spec.name != name:
        raise UserError(f"{sweep_folder(runs, name)} is damaged: it is of the sweep '{plan.spec.name}'. {AGAIN}")
    return plan


def _load(runs: Path, name: str, as_launched: bool) -> Plan:
    folder = sweep_folder(runs, name)
    require(runs, name)
    try:
        settings = read(folder / SETTINGS, _SETTINGS, AGAIN)
        text = read_text(folder / SPEC, AGAIN)
    except FileNotFoundError as error:
        raise UserError(f"{error} is missing. {AGAIN}") from None
    if (folder / PLAN).exists():
        return recorded_plan.load(folder / PLAN, text, settings.overrides, settings.rehearsed)
    if settings.plugin:
        raise UserError(f"{folder / PLAN} is missing. {recorded_plan.REMEDY}")
    read_spec = parse_spec(
        text,
        str(folder / SPEC),
        settings.overrides,
        data_root=settings.data_root,
        known=None if settings.dataset is None else recorded_plan.dataset_info(settings.dataset, folder / SETTINGS),
        first_models=settings.first_models,
    )
    return make_plan(
        rehearse(read_spec) if settings.rehearsed else read_spec,
        settings.device,
        _launched(folder) if as_launched else None,
    )


def launched(runs: Path, name: str) -> Launched:
    """Each job's name to the keys of its stages, as launched. Raises UserError where that is not known."""
    path = sweep_folder(runs, name) / JOBS
    try:
        return read(path, LAUNCHED, AGAIN)
    except FileNotFoundError:
        raise UserError(f"{path} is missing. {AGAIN}") from None


def load_each(runs: Path, each: list[str], on_damaged: Callable[[str, UserError], None]) -> Iterator[Plan]:
    """The plans of these sweeps; one that cannot be read is told to `on_damaged`, with why, and keeps no other back."""
    for name in each:
        try:
            plan = load(runs, name)
        except UserError as damage:
            on_damaged(name, damage)
        else:
            yield plan


def _launched(folder: Path) -> Launched | None:
    """As `launched`; None, with a warning, where that is not known."""
    happens = "The stages are read as this program names them; the next launch writes it anew"
    if not (folder / JOBS).exists():
        ignored(f"{folder / JOBS} is missing. {happens}")
    return read_or(folder / JOBS, LAUNCHED, None, happens)


def _settings(plan: Plan) -> dict[str, Any]:
    """The content of sweep.json."""
    read = plan.spec
    of_files = read.dataset.info.name in IMAGE_FILES and not read.rehearsed
    info = {key: value for key, value in asdict(read.dataset.info).items() if key != "opens"}
    root = read.dataset.root and str(Path(read.dataset.root).absolute())
    # Image files can change or go; the sweep was of these.
    told = _Settings(
        plan.device,
        read.overrides,
        root,
        read.plugin,
        read.rehearsed,
        info if of_files else None,
        dict(read.first_models),
    )
    settings = asdict(told)
    if not read.first_models:
        del settings["first_models"]
    return settings


def find(runs: Path, name_or_spec: str, device: str, as_launched: bool = False) -> Plan:
    """The plan of a sweep by its name or by its spec file.

    A spec file stands for the sweep launched under its name, so that `--set` and the device of the launch are known;
    where none was, for the plan that it would make on `device`.
    """
    if not looks_like_a_file(name_or_spec):
        return load(runs, name_or_spec, as_launched)
    name = _launched_from(runs, Path(name_or_spec).expanduser())
    return load(runs, name, as_launched) if name else make_plan(load_spec(name_or_spec), device)


def looks_like_a_file(name_or_spec: str) -> bool:
    """Whether a person means a spec file: it has a suffix or a folder in it."""
    return name_or_spec.endswith((".yaml", ".yml")) or os.sep in name_or_spec


def _launched_from(runs: Path, path: Path) -> str | None:
    """The name of the sweep launched from this very spec, in which a plug-in's methods may be; None: there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        name = read_document(text, str(path), ()).data.get("name")
        same = isinstance(name, str) and read_text(sweep_folder(runs, name) / SPEC) == text
    except (OSError, ValueError, UserError):
        return None  # reading the spec as such says what is wrong with it
    return name if same else None
