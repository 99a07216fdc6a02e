"""A sweep's own folder, `runs/sweeps/<name>/`: what was asked for, so that it can be looked at by its name later."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dfcil_core.data.catalog import DATASETS, IMAGE_FILES, DatasetInfo
from orchestrator.errors import UserError, choices
from orchestrator.files import listing, reading, there, write_json, write_text
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.model import SweepSpec
from orchestrator.spec.rehearsal import rehearse

SPEC, SETTINGS, JOBS, PLUGIN = "spec.yaml", "sweep.json", "jobs.json", "plugin.py"


@dataclass(frozen=True)
class Changes:
    """What a launch changes of the sweep of the same name."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def runs_folder(given: str | None) -> Path:
    """The runs folder: `--runs`, else DFCIL_RUNS, else `./runs`; absolute."""
    return Path(given or os.environ.get("DFCIL_RUNS") or "runs").expanduser().absolute()


def sweep_folder(runs: Path, name: str) -> Path:
    """The folder of the sweep of that name."""
    return runs / "sweeps" / name


def names(runs: Path) -> list[str]:
    """The sweeps launched in this runs folder, in alphabetical order. Raises Unreadable."""
    return sorted(name for name in listing(runs / "sweeps") if there(sweep_folder(runs, name) / SPEC))


def save(runs: Path, plan: Plan) -> Changes:
    """Write down what is launched, and say what it changes of the sweep of the same name."""
    folder = sweep_folder(runs, plan.spec.name)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = {job.name: list(job.stages) for job in plan.jobs}
    before = json.loads(_text(folder / JOBS)) if there(folder / JOBS) else jobs
    write_text(folder / SPEC, plan.spec.text)
    write_json(folder / SETTINGS, _settings(plan), indent=1, end="\n")
    if plan.spec.plugin:
        # A copy: the sweep can be looked at when the plug-in has moved, or changed.
        write_text(folder / PLUGIN, Path(plan.spec.plugin).read_text(encoding="utf-8"))
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
    """The plan of the sweep launched last under that name. Raises UserError where there is none.

    `as_launched`: with the stages that the launch named, whatever the program would name them now.
    """
    folder = sweep_folder(runs, name)
    if not there(folder / SPEC):
        known = names(runs)
        listed = choices(name, known) if known else "None was launched yet"
        raise UserError(f"no sweep '{name}' in {runs}. {listed}. (--runs or DFCIL_RUNS chooses the runs folder)")
    settings = json.loads(_text(folder / SETTINGS))
    read = parse_spec(
        _text(folder / SPEC),
        str(folder / SPEC),
        settings["overrides"],
        data_root=settings["data_root"],
        plugin=str(folder / PLUGIN) if settings["plugin"] else None,
        known=_dataset(settings["dataset"]),
    )
    launched = json.loads(_text(folder / JOBS)) if as_launched else None
    return make_plan(rehearse(read) if settings["rehearsed"] else read, settings["device"], launched)


def _dataset(told: dict[str, Any] | None) -> DatasetInfo | None:
    """The data set as it was launched. Which function opens it is ours to say, never a file's."""
    return None if told is None else DatasetInfo(**{**told, "opens": DATASETS[told["name"]].opens})


def _settings(plan: Plan) -> dict[str, Any]:
    """What the plan depends on beside the spec's text."""
    read = plan.spec
    of_files = read.dataset.info.name in IMAGE_FILES and not read.rehearsed
    return {
        "device": plan.device,
        "overrides": list(read.overrides),
        "data_root": read.dataset.root and str(Path(read.dataset.root).absolute()),
        "plugin": read.plugin,
        "rehearsed": read.rehearsed,
        # Image files can change or go; the sweep was of these.
        "dataset": {key: value for key, value in asdict(read.dataset.info).items() if key != "opens"}
        if of_files
        else None,
    }


def find(runs: Path, name_or_spec: str, device: str, as_launched: bool = False) -> Plan:
    """The plan of a sweep by its name or by its spec file.

    A spec file stands for the sweep launched under its name, so that `--set` and the device of the launch are known;
    where none was, for the plan that it would make on `device`.
    """
    if not looks_like_a_file(name_or_spec):
        return load(runs, name_or_spec, as_launched)
    read = load_spec(name_or_spec)
    return load(runs, read.name, as_launched) if _launched_from(runs, read) else make_plan(read, device)


def looks_like_a_file(name_or_spec: str) -> bool:
    """Whether a person means a spec file: it has a suffix or a folder in it."""
    return name_or_spec.endswith((".yaml", ".yml")) or os.sep in name_or_spec


def _launched_from(runs: Path, read: SweepSpec) -> bool:
    launched = sweep_folder(runs, read.name) / SPEC
    return there(launched) and _text(launched) == read.text


def _text(path: Path) -> str:
    with reading(path):
        return path.read_text(encoding="utf-8")
