"""Published figures, to be shown beside measured ones where the two can be compared at all."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files

from dfcil_core.config import Dreaming, Training
from dfcil_core.measures import FINAL
from reports.jobs import JobReport

SOURCE = "Smith et al., Always Be Dreaming, ICCV 2021, tables 1 and 2"


@dataclass(frozen=True)
class Published:
    """A published figure: final accuracy in percent, mean and population standard deviation over 3 repeats."""

    mean: float
    std: float


@cache
def figures() -> dict[tuple[str, int, str], Published]:
    """(method, memory, number of equal tasks as text) to its published figure on CIFAR-100."""
    text = files("reports.published").joinpath("cifar100.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (row["method"], int(row["memory"]), row["tasks"]): Published(float(row["mean"]), float(row["std"]))
        for row in rows
    }


def comparable(jobs: Sequence[JobReport], metrics: Sequence[str]) -> tuple[dict[tuple[str, str], Published], list[str]]:
    """(label, split) to the published figure that may stand beside it, and notes on the labels that have none.

    Only what was published is compared: final accuracy, CIFAR-100 at its own size, equal tasks, and the settings of
    the public code (`quirks: iccv2021`, its schedule, its memory).
    """
    if FINAL.name not in metrics:
        asked = " and ".join(metrics)
        return {}, [f"nothing is comparable with the published figures: they are of final accuracy, not of {asked}"]
    found: dict[tuple[str, str], Published] = {}
    reasons: dict[str, str] = {}
    for job in jobs:
        reason = _obstacle(job)
        figure = figures().get((job.method, int(job.settings.get("memory", 0)), str(job.tasks)))
        if reason is None and figure is None:
            reason = "there is no published figure"
        if reason is not None:
            reasons.setdefault(job.label, reason)
        elif figure is not None:
            found.setdefault((job.label, job.split), figure)
    without = {label: reason for label, reason in reasons.items() if all(label != key[0] for key in found)}
    if not found:
        told = "; ".join(sorted(set(without.values())))
        return {}, [f"nothing is comparable with the published figures ({SOURCE}): {told}"]
    return found, [f"{label}: not compared with the published figures: {reason}" for label, reason in without.items()]


def _obstacle(job: JobReport) -> str | None:
    """Why a job's number is of something else than was published; None where it is of the same."""
    if job.dataset != "cifar100":
        return f"they are of cifar100, and this is {job.dataset}"
    if job.split.removeprefix("cifar100 ") != str(job.tasks):
        return f"they are of equal tasks, all of them, in shuffled order, and this is {job.title}"
    if "first_model" in job.settings:
        return "they trained task 1, and this took a network from a file"
    if job.holdout:
        return "they are of the test images, and this is of held-out training images"
    for path, value in _as_published(job.method).items():
        if job.settings.get(path, value) != value:
            return f"{path} is {job.settings[path]}, and was {value}"
    return None


@cache
def _as_published(method: str) -> dict[str, str]:
    """The settings of the published run of a method, as text by dotted path; those it does not have do not matter."""
    from dfcil_core.methods import METHODS

    if method not in METHODS:
        return {}
    entry = METHODS[method]
    training = replace(Training(), **entry.recipe.get("training", {}))
    dreaming = replace(Dreaming(), **entry.recipe.get("dreaming", {}))
    wanted = {"image_size": "32", **{name: str(value) for name, value in asdict(entry().settings).items()}}
    wanted |= {f"training.{name}": str(value) for name, value in asdict(training).items()}
    wanted["training.milestones"] = str(list(training.resolved_milestones()))
    wanted |= {f"dreaming.{name}": str(value) for name, value in asdict(dreaming).items()}
    wanted["quirks"] = "iccv2021"
    if entry.group == "bound":
        # What is trained beside the last task changes nothing there.
        del wanted["at_every_task"]
    return wanted
