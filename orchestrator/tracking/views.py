"""Saved views of MLflow's UI (from 3.17 on): pages of numbers, kept in tags of the experiment.

A view is a tag `mlflow.sharedViewState.KEY`, opened by `viewStateShareKey=KEY` in the address of the experiment's runs,
and listed in the UI's own menu. The UI documents neither; `tests/tracking/test_ui_browser.py` opens each.
"""

import base64
import json
import re
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfcil_core import measures
from orchestrator.plan.plan import Plan
from orchestrator.tracking.describe import IN_SPEC, KIND, SWEEP, TAG_LIMIT

if TYPE_CHECKING:
    from mlflow.entities import RunData
    from mlflow.tracking import MlflowClient

KNOWN_FROM = (3, 17)
"""The version of MLflow whose UI knows them. An earlier one shows the runs by a filter alone (`View.filtered`)."""
BY_STEP = "/by_step"
"""Ends the name of the metric of a trial's objective after each task."""
_TAG = "mlflow.sharedViewState."
_SPLIT = ("label", "tasks")
"""The tags whose runs differ by seed alone: by `label` alone, a mean would go over splits."""

# One card of pictures, as wide as the page, instead of one of three in a row with all settings above each picture.
_WHOLE_WIDTH = {
    "uuid": "dfcil",
    "name": "Model metrics",
    "display": True,
    "isReordered": False,
    "deleted": False,
    "isGenerated": True,
    "columns": 1,
    "cardHeight": 700,
}
_DREAMS = {
    "uuid": "dfcil-dreams",
    "type": "IMAGE",
    "metricSectionId": "dfcil",
    "imageKeys": ["dreams"],
    "step": 1,
    "showRunParams": False,
    "runsCountToCompare": 10,
    "deleted": False,
    "isGenerated": True,
}


@dataclass(frozen=True)
class View:
    """A page of the UI."""

    key: str
    name: str
    """In the UI's menu."""
    state: Mapping[str, Any]

    @property
    def filtered(self) -> dict[str, str]:
        """What an address says of it to a UI that does not know saved views: which runs, and in what order."""
        told = {name: str(self.state[name]) for name in ("searchFilter", "orderByKey")}
        return {**told, "orderByAsc": str(self.state["orderByAsc"]).lower()}


@dataclass(frozen=True)
class SweepViews:
    """The pages of a sweep."""

    methods: View
    """A line for each method and split, the mean over its seeds; its charts have a band."""
    seeds: View
    dreams: View
    """Best seen as charts."""

    @property
    def all(self) -> tuple[View, ...]:
        """All of them."""
        return self.methods, self.seeds, self.dreams


def sweep_views(sweep: str, experiment: str, groups: Iterable[tuple[str, str]] = ()) -> SweepViews:
    """The pages of a sweep in an experiment, which others may share. `groups`: its pairs of label and split."""
    jobs = f'tags.`{KIND}` = "job" and tags.`{IN_SPEC}` = "yes" and tags.`{SWEEP}` = "{sweep}"'
    logged = [measure.logged for measure in measures.MEASURES.values() if measure.logged]
    metrics = [_column("metrics", name) for name in logged]
    tags = [_column("tags", name) for name in (*_SPLIT, "seed", "fold")]
    ordered = {"orderByKey": metrics[0], "orderByAsc": False, "runsHiddenMode": "SHOW_ALL"}
    means = {
        **ordered,
        "searchFilter": jobs,
        **_columns(metrics, name=330),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [_key(name) for name in _SPLIT]},
        # Closed: with three seeds a method, five methods would fill the page.
        "groupsExpanded": {",".join(map(_group, _SPLIT, pair)): False for pair in groups},
    }
    seeds = {**ordered, "searchFilter": jobs, **_columns([*tags, *metrics], name=260)}
    dreams = {
        **ordered,
        # Of a method that does not dream there is no such metric.
        "searchFilter": f"{jobs} and metrics.`seconds/dream` >= 0",
        **_columns([*tags, *metrics], name=260),
        "chartsSearchFilter": "dreams",
        "compareRunCharts": [_DREAMS],
        "compareRunSections": [_WHOLE_WIDTH],
    }
    start, title = _start(sweep), "" if experiment == sweep else f"{sweep}: "
    return SweepViews(
        View(f"{start}-methods", f"{title}By method and split", means),
        View(f"{start}-seeds", f"{title}Each seed", seeds),
        View(f"{start}-dreams", f"{title}Dreams", dreams),
    )


def groups_of(plan: Plan) -> list[tuple[str, str]]:
    """The pairs of label and split of a sweep's jobs."""
    return list(dict.fromkeys((job.entry.label, job.split.label) for job in plan.jobs))


def study_view(study: str, objectives: Sequence[str], settings: Sequence[str]) -> View:
    """The page of a study: a line a trial, its objectives and the settings tried."""
    known = measures.objectives()
    smaller_is_better = bool(objectives) and not known[objectives[0]].higher_is_better
    columns = [*(_column("metrics", name) for name in objectives), *(_column("params", name) for name in settings)]
    state = {
        "searchFilter": f'tags.`{KIND}` = "trial"',
        "orderByKey": columns[0] if objectives else "attributes.start_time",
        "orderByAsc": smaller_is_better,
        "runsHiddenMode": "SHOW_ALL",
        **_columns([*columns, _column("tags", "state"), _column("tags", "published")], name=140),
    }
    return View(f"{_start(study)}-trials", "Trials", state)


def _start(name: str) -> str:
    """How the keys of the views of that sweep, or study, begin. A tag of MLflow's takes no `+`, `=` or `@`."""
    return "dfcil-" + re.sub(r"[^\w .:/-]", lambda found: f":{ord(found[0]):x}", name)


def view_of_trials(study: str, trials: Sequence["RunData"]) -> View:
    """The page of a study of which these are the trials' runs."""
    measured = {name.removesuffix(BY_STEP) for trial in trials for name in trial.metrics}
    settings = {name for trial in trials for name in trial.params}
    return study_view(study, [name for name in measures.objectives() if name in measured], sorted(settings))


def write(client: "MlflowClient", experiment: str, views: Iterable[View]) -> None:
    """Make the views those of the experiment. What is there already is left alone."""
    now = round(1000 * time.time())
    kept = client.get_experiment(experiment).tags
    for view in views:
        told = _told(view)
        before = _read(kept.get(_TAG + view.key))
        if before is None or (before["name"], before["state"]) != (view.name, told):
            created = now if before is None else before["createdAt"]
            text = json.dumps({"name": view.name, "createdAt": created, "updatedAt": now, "state": told})
            client.set_experiment_tag(experiment, _TAG + view.key, text)


def has(tags: Mapping[str, str], view: View) -> bool:
    """Whether an experiment with these tags has the view."""
    return _read(tags.get(_TAG + view.key)) is not None


def _told(view: View) -> str:
    """The state as the UI keeps it."""
    text = _packed(view.state)
    if len(text) > TAG_LIMIT - 500:  # hundreds of groups, which are open then
        text = _packed({name: value for name, value in view.state.items() if name != "groupsExpanded"})
    return text


def _packed(state: Mapping[str, Any]) -> str:
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()


def _read(text: str | None) -> dict[str, Any] | None:
    """What a view's tag says; None for one that somebody else has made of it, too."""
    try:
        told = json.loads(text or "")
    except ValueError:
        return None
    sound = isinstance(told, dict) and {"name", "createdAt", "state"} <= told.keys()
    return told if sound else None


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _columns(shown: Sequence[str], name: int) -> dict[str, Any]:
    """These columns in this order; `name` is the width of the runs' names, in pixels."""
    runs = _column("attributes", "Run Name")
    widths = {runs: name, **{column: 150 for column in shown if column.startswith(("metrics", "params"))}}
    return {"selectedColumns": list(shown), "columnOrder": [runs, *shown], "columnWidths": widths}


def _key(tag: str) -> dict[str, str]:
    return {"mode": "tag", "groupByData": tag}


def _group(tag: str, value: str) -> str:
    return f"tag.{tag}.{value}"
