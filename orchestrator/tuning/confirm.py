"""The choice: the best settings of a search against the published one, on seeds and images that have judged no trial.

The best of many noisy trials is a lucky one. What is reported of it are the runs on fresh seeds and other held-out
images, paired with the published setting's on the same, and the interval of the difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pydantic import TypeAdapter

from orchestrator.plan.plan import Plan, make_plan
from orchestrator.results.job_result import job_results
from orchestrator.spec.model import OBJECTIVES, SweepSpec, Value
from orchestrator.store.our_files import Nonsense, ignored, read_or
from orchestrator.tuning.trials import Records, entry_of, final_value, held_out, tune_of, with_settings

PUBLISHED = "published"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """One objective of a setting and of the published one, in percent, over the fresh seeds."""

    objective: str
    published: float
    found: float
    difference: float
    """Mean of the paired differences, positive where the setting is better."""
    low: float
    high: float
    """The interval of that mean."""


@dataclass(frozen=True)
class Candidate:
    """A setting on fresh seeds."""

    trial: int
    settings: Mapping[str, Value]
    differences: tuple[Difference, ...]
    """One an objective."""

    @property
    def at_least_as_good(self) -> bool:
        """On the fresh seeds' mean, in every objective."""
        return all(difference.difference >= 0 for difference in self.differences)

    @property
    def certain(self) -> bool:
        """Whether no interval reaches below 0, and some lies above it."""
        return all(item.low >= 0 for item in self.differences) and any(item.low > 0 for item in self.differences)


@dataclass(frozen=True)
class Verdict:
    """What the confirmation says."""

    candidates: tuple[Candidate, ...]
    winner: Candidate | None
    """None: nothing is at least as good as the published setting."""
    seeds: tuple[int, ...]
    confidence: float
    """Of each interval: 95% over all candidates together (Bonferroni), since the best of them is picked."""
    folds: int | None = None
    """Held out was the last of so many parts of the training images; None: what the trials held out."""

    @property
    def where(self) -> str:
        """On which seeds and images."""
        seeds = ", ".join(map(str, self.seeds))
        if self.folds is None:
            return f"fresh seeds {seeds} and the trials' own held-out images"
        return f"fresh seeds {seeds} and held-out images that judged no trial (the last of {self.folds} folds)"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "winner": self.winner.trial if self.winner else None}

    def text(self) -> str:
        """For people, one line or more."""
        lines = [f"On {self.where}, against the published setting:"]
        for candidate in self.candidates:
            lines += [f"  trial {candidate.trial}: {_told(item, self.confidence)}" for item in candidate.differences]
        if self.winner is None:
            lines.append("Nothing found is better than the published setting: keep that.")
        elif self.winner.certain:
            lines.append(f"The winner is trial {self.winner.trial}; it is better than the published setting.")
        else:
            lines.append(
                f"The winner is trial {self.winner.trial}: at least as good as the published setting on these seeds, "
                "but by no more than chance may give."
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class _Told:
    """A verdict as its file has it."""

    candidates: tuple[Candidate, ...]
    winner: int | None
    """The trial."""
    seeds: tuple[int, ...]
    confidence: float
    folds: int | None = None
    """None in what was written before there was another fold, too."""


_TOLD = TypeAdapter(_Told)
_WITHOUT = "The study is told without its confirmation; the same `dfcil-sweep tune` again writes it anew"


def read_verdict(path: Path) -> Verdict | None:
    """The verdict in a file that has `Verdict.to_json`; None where there is none, and, with a warning, for nonsense."""
    told = read_or(path, _TOLD, None, _WITHOUT)
    if told is None:
        return None
    winner = next((candidate for candidate in told.candidates if candidate.trial == told.winner), None)
    if told.winner is not None and winner is None:
        ignored(str(Nonsense(path, f"winner: trial {told.winner} is none of the candidates", _WITHOUT)))
        return None
    return Verdict(told.candidates, winner, told.seeds, told.confidence, told.folds)


def other_folds(spec: SweepSpec) -> int | None:
    """Into how many folds the training images are parted so that the last has no image by which a trial is judged.

    None where a class has too few images for that. Trials hold out the first of each class's images in the order in
    which folds are cut from them (dfcil_core/data/open.py).
    """
    share = tune_of(spec).validation
    folds = round(1 / share)
    for images in spec.dataset.info.train_counts:
        of_trials, begin = max(1, round(share * images)), (folds - 1) * images // folds
        if images < folds or of_trials > begin:
            return None
    return folds


def confirm_plan(spec: SweepSpec, candidates: Mapping[int, Mapping[str, Value]], device: str) -> Plan:
    """The published setting and the candidates (trial number to settings) on fresh seeds and images."""
    entry = entry_of(spec)
    published = with_settings(entry, {}, PUBLISHED)
    found = [with_settings(entry, dict(settings), _label(number)) for number, settings in candidates.items()]
    return make_plan(held_out(spec, tune_of(spec).confirm.seeds, (published, *found), other_folds(spec)), device)


def judge(spec: SweepSpec, plan: Plan, candidates: Mapping[int, Mapping[str, Value]], records: Records) -> Verdict:
    """The verdict from the records of `confirm_plan`'s stages, all of them."""
    seeds = tune_of(spec).confirm.seeds
    by_label: dict[str, list[Any]] = {}
    for result in job_results(plan, records):
        by_label.setdefault(result.job.entry.label, []).append(result)

    def per_seed(label: str, objective: str) -> list[float]:
        of_seed = [[final_value(r, objective) for r in by_label[label] if r.job.seed == seed] for seed in seeds]
        return [fmean(values) for values in of_seed]

    confidence = 1 - (1 - CONFIDENCE) / max(1, len(candidates))
    judged = tuple(
        Candidate(
            number,
            dict(settings),
            tuple(
                paired(objective, per_seed(PUBLISHED, objective), per_seed(_label(number), objective), confidence)
                for objective in tune_of(spec).objective
            ),
        )
        for number, settings in candidates.items()
    )
    good = [candidate for candidate in judged if candidate.at_least_as_good]
    winner = max(good, key=lambda candidate: candidate.differences[0].difference, default=None)
    return Verdict(judged, winner, seeds, confidence, other_folds(spec))


def paired(objective: str, published: Sequence[float], found: Sequence[float], confidence: float) -> Difference:
    """The paired difference, better upwards, and its t interval; `published` and `found` by seed, in percent."""
    from scipy.stats import t

    sign = 1 if OBJECTIVES[objective] == "maximize" else -1
    differences = [sign * (mine - its) for its, mine in zip(published, found, strict=True)]
    mean, count = fmean(differences), len(differences)
    half = float(t.ppf((1 + confidence) / 2, count - 1)) * stdev(differences) / count**0.5
    return Difference(objective, fmean(published), fmean(found), mean, mean - half, mean + half)


def _label(number: int) -> str:
    return f"trial-{number}"


def _told(item: Difference, confidence: float) -> str:
    return (
        f"{item.objective} {item.found:.2f}% against {item.published:.2f}%, {item.difference:+.2f} points "
        f"({100 * confidence:.1f}% interval {item.low:+.2f} to {item.high:+.2f})"
    )
