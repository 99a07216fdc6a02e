"""What `status` and `report` say of a study. Optuna is loaded only where there is one to look at."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.terminal import say
from orchestrator.errors import UserError
from orchestrator.text import moment, silence

if TYPE_CHECKING:
    from orchestrator.store.process import Process
    from orchestrator.tuning.studies import Kept


def of(runs: Path) -> "list[Kept]":
    """The studies of the runs folder."""
    from orchestrator.tuning.studies import studies

    return studies(runs)


def instead_of_a_sweep(runs: Path, name: str) -> "list[Kept]":
    """The studies that a person means by `name`: of that name, or of a spec of that name that was never launched.

    A spec file stands for its name. Raises UserError where nothing is called so; a spec file needs no study.
    """
    from orchestrator.store import sweep_folder
    from orchestrator.tuning.studies import called, studies

    if sweep_folder.looks_like_a_file(name):
        return _of_file(runs, name)
    plain, _ = sweep_folder.name_and_commit(runs, name)
    if plain in sweep_folder.names(runs):
        return []
    sweep_folder.require(runs, plain, [each for kept in studies(runs) for each in (kept.spec_name, kept.name)])
    return called(runs, plain)


def _of_file(runs: Path, file: str) -> "list[Kept]":
    from orchestrator.spec.load import load_spec
    from orchestrator.store import sweep_folder
    from orchestrator.tuning.studies import called, studies

    if not studies(runs):
        return []
    name = load_spec(file).name
    return [] if name in sweep_folder.names(runs) else called(runs, name)


def say_state(runs: Path, found: "Sequence[Kept]", as_json: bool) -> None:
    """How far these studies are, and who is at work on them; or all that is known of them as JSON."""
    from orchestrator.tuning.show import facts, line, reopened

    if as_json:
        told = [{**facts(reopened(runs, study)), "tuners": _tuners(study)} for study in found]
        say(json.dumps(told[0] if len(told) == 1 else told, indent=1, ensure_ascii=False))
        return
    for study in found:
        try:
            say(line(reopened(runs, study)))
        except UserError as why:
            say(f"{study.name}: a study: {why}", err=True)
        for tuner in study.tuners():
            say(f"  tuner: {tuner}, since {moment(tuner.holder.since)}{_silence(tuner)}")


def _silence(tuner: "Process") -> str:
    from orchestrator.store.lease import SILENT_SECONDS

    seconds = tuner.silence()
    return silence(seconds, "the same `tune` again goes on with its trials") if seconds > SILENT_SECONDS else ""


def _tuners(study: "Kept") -> list[dict[str, Any]]:
    return [tuner.holder.to_json() for tuner in study.tuners()]


def report_text(runs: Path, found: "Sequence[Kept]", asked: Sequence[str], form: str) -> str:
    """The studies for people, or as JSON. Raises UserError where sweeps are asked for with them, or another format."""
    from orchestrator.tuning.show import facts, reopened, text

    if len(found) < len(asked):
        raise UserError(f"{found[0].name} is a study, which goes into no table with sweeps: report it alone")
    if form not in ("terminal", "json"):
        remedy = "Choose terminal or json; its winner is a spec, which `launch` runs and `report` then tabulates"
        raise UserError(f"--format {form}: {found[0].name} is a study, which has no table of methods. {remedy}")
    shown = [reopened(runs, study) for study in found]
    if form == "json":
        told = [facts(each) for each in shown]
        return json.dumps(told[0] if len(told) == 1 else told, indent=1, ensure_ascii=False) + "\n"
    return "\n\n".join(map(text, shown)) + "\n"
