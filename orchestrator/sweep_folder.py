"""A sweep's own folder, `runs/sweeps/<name>/`: what was asked for, so that it can be looked at by its name later."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator import spec
from orchestrator.errors import Mistake, choices
from orchestrator.plan import Plan, make_plan
from orchestrator.sweep import SweepSpec

SPEC, SETTINGS, JOBS = "spec.yaml", "sweep.json", "jobs.json"


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
    """The sweeps launched in this runs folder, in alphabetical order."""
    return sorted(path.parent.name for path in (runs / "sweeps").glob(f"*/{SPEC}"))


def save(runs: Path, plan: Plan) -> Changes:
    """Write down what is launched, and say what it changes of the sweep of the same name."""
    folder = sweep_folder(runs, plan.spec.name)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = {job.name: list(job.stages) for job in plan.jobs}
    before = json.loads((folder / JOBS).read_text()) if (folder / JOBS).exists() else jobs
    _write(folder / SPEC, plan.spec.text)
    _write(folder / SETTINGS, json.dumps({"device": plan.device, "overrides": list(plan.spec.overrides)}) + "\n")
    _write(folder / JOBS, json.dumps(jobs, indent=1) + "\n")
    return Changes(
        added=tuple(name for name, stages in jobs.items() if before.get(name) != stages),
        removed=tuple(name for name, stages in before.items() if jobs.get(name) != stages),
    )


def load(runs: Path, name: str) -> Plan:
    """The plan of the sweep launched last under that name. Raises Mistake where there is none."""
    folder = sweep_folder(runs, name)
    if not (folder / SPEC).exists():
        known = names(runs)
        listed = choices(name, known) if known else "None was launched yet"
        raise Mistake(f"no sweep '{name}' in {runs}. {listed}. (--runs or DFCIL_RUNS chooses the runs folder)")
    settings = json.loads((folder / SETTINGS).read_text())
    text = (folder / SPEC).read_text()
    return make_plan(spec.parse(text, str(folder / SPEC), settings["overrides"]), settings["device"])


def find(runs: Path, name_or_spec: str, device: str) -> Plan:
    """The plan of a sweep by its name or by its spec file.

    A spec file stands for the sweep launched under its name, so that `--set` and the device of the launch are known;
    where none was, for the plan that it would make on `device`.
    """
    if not looks_like_a_file(name_or_spec):
        return load(runs, name_or_spec)
    read = spec.load(name_or_spec)
    return load(runs, read.name) if _launched_from(runs, read) else make_plan(read, device)


def looks_like_a_file(name_or_spec: str) -> bool:
    """Whether a person means a spec file: it has a suffix or a folder in it."""
    return name_or_spec.endswith((".yaml", ".yml")) or os.sep in name_or_spec


def _launched_from(runs: Path, read: SweepSpec) -> bool:
    launched = sweep_folder(runs, read.name) / SPEC
    return launched.exists() and launched.read_text() == read.text


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
