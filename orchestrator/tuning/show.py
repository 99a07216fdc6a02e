"""What is known of a study, for people and for programs: `tune --show`, `status` and `report`. Changes nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError
from orchestrator.spec.model import SweepSpec
from orchestrator.tuning import study, summary
from orchestrator.tuning.confirm import Verdict, read_verdict
from orchestrator.tuning.studies import CONFIRMATION, WINNER, Kept, folder_of
from orchestrator.tuning.study import Study
from orchestrator.tuning.trials import tune_of
from orchestrator.tuning.tuner import shown_value


@dataclass(frozen=True)
class Shown:
    """A study that is looked at."""

    study: Study
    folder: Path
    device: str

    @property
    def confirmation(self) -> Verdict | None:
        """The verdict on fresh seeds; None where there is none yet, or its file is damaged, with a warning."""
        return read_verdict(self.folder / CONFIRMATION)


def opened(spec: SweepSpec, runs: Path, storage: str | None, device: str) -> Shown:
    """The study of a spec. Raises UserError where there is none."""
    name = study.study_name(spec, device)
    if storage is None and not (runs / study.JOURNAL).exists():
        raise UserError(f"nothing was tuned in {runs} yet. (--runs or DFCIL_RUNS chooses the runs folder)")
    found = study.open_storage(runs, storage)
    if not study.is_open(found, name):
        raise UserError(f"no study {name} in this storage: this spec was not tuned yet, or is another one since")
    return Shown(Study(spec, found, device), folder_of(runs, name), device)


def reopened(runs: Path, kept: Kept) -> Shown:
    """The study that the runs folder has. Raises UserError where it cannot be read by its name."""
    spec, storage, device = kept.told()
    return opened(spec, runs, storage, device)


def line(shown: Shown) -> str:
    """How far it is."""
    found = shown.study
    return f"{found.name}: {summary.state(found)} (asked for: {tune_of(found.spec).trials})"


def text(shown: Shown) -> str:
    """All that is known of it, in lines."""
    found = shown.study
    lines = [line(shown), f"search: {summary.cost(found, shown.device)}"]
    headings, rows = summary.best(found)
    if rows:
        lines.append(_table(headings, rows))
    for objective, shares in summary.importances(found).items():
        told = ", ".join(f"{path} {100 * share:.0f}%" for path, share in shares.items())
        count = len(found.trials(study.COMPLETE))
        lines.append(f"what {objective} depends on, by the {count} completed trials alone: {told}")
    if verdict := shown.confirmation:
        lines.append(_told(verdict))
    if (winner := shown.folder / WINNER).exists():
        lines.append(f"the winner as a spec: dfcil-sweep launch {winner}")
    return "\n".join(lines)


def facts(shown: Shown) -> dict[str, Any]:
    """The same as plain data: values in percent, the best trials first."""
    found = shown.study
    names = found.tune.objective
    return {
        "study": found.name,
        "sweep": found.spec.name,
        "trials": summary.counts(found),
        "asked": found.tune.trials,
        "published": found.published,
        "best": [
            {
                "trial": trial.number,
                "published": trial.params == found.published,
                "values": dict(zip(names, trial.values, strict=True)),
                "settings": trial.params,
            }
            for trial in found.ranked()
        ],
        "importances": summary.importances(found),
        "confirmation": verdict.to_json() if (verdict := shown.confirmation) else None,
        "winner": str(shown.folder / WINNER) if (shown.folder / WINNER).exists() else None,
    }


def _table(headings: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [[text.ljust(width) for text, width in zip(row, widths, strict=True)] for row in (headings, *rows)]
    return "\n".join("  " + "  ".join(line).rstrip() for line in lines)


def _told(verdict: Verdict) -> str:
    winner = verdict.winner
    if winner is None:
        return f"confirmed on {verdict.where}: nothing found is better than the published setting"
    settings = ", ".join(f"{path} {shown_value(value)}" for path, value in winner.settings.items())
    differences = ", ".join(
        f"{item.objective} {item.difference:+.2f} points ({item.low:+.2f} to {item.high:+.2f})"
        for item in winner.differences
    )
    return f"confirmed on {verdict.where}: trial {winner.trial}: {settings}; {differences}"
