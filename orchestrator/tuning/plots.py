"""Optuna's own plots of a study, each as PNG; where there is plotly also as HTML, to be explored.

The HTML is small, as MLflow's own is: a browser takes plotly's program from its site.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import optuna
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from orchestrator.tuning.study import COMPLETE, Study, value_of

logging.getLogger("matplotlib").setLevel(logging.WARNING)


def interactive() -> bool:
    """Whether there are plots as HTML too: whether plotly is installed."""
    return optuna.visualization.is_available()


def draw(study: Study, folder: Path) -> list[Path]:
    """Write the plots that there are trials enough for; their files."""
    matplotlib.use("agg")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot, options in _plots(study):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the matplotlib side is experimental, and its layout not tight
            if interactive():
                html = folder / f"{name}.html"
                getattr(optuna.visualization, plot)(study.optuna, **options).write_html(html, include_plotlyjs="cdn")
                written.append(html)
            written.append(_png(getattr(optuna.visualization.matplotlib, plot)(study.optuna, **options), folder, name))
    return written


def _plots(study: Study) -> list[tuple[str, str, dict[str, Any]]]:
    """File name, Optuna's function, its options."""
    names = study.tune.objective
    completed = study.trials(COMPLETE)
    if not completed:
        return []
    plots: list[tuple[str, str, dict[str, Any]]] = []
    for index, name in enumerate(names):
        several = len(names) > 1
        options: dict[str, Any] = {"target": value_of(index), "target_name": name} if several else {"target_name": name}
        suffix = f"-{name}" if several else ""
        plots.append((f"history{suffix}", "plot_optimization_history", options))
        plots.append((f"slice{suffix}", "plot_slice", options))
        plots.append((f"parallel-coordinates{suffix}", "plot_parallel_coordinate", options))
        if len(completed) > 1 and len({trial.values[index] for trial in completed}) > 1:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            plots.append((f"importance{suffix}", "plot_param_importances", {**options, "evaluator": evaluator}))
    if len(names) > 1:
        plots.append(("pareto-front", "plot_pareto_front", {"target_names": list(names)}))
    return plots


def _png(axes: Any, folder: Path, name: str) -> Path:
    from matplotlib import pyplot

    first = axes.flat[0] if hasattr(axes, "flat") else axes
    figure = first.figure
    figure.set_size_inches(max(8.0, 4.0 * len(figure.axes)) if name.startswith("slice") else 10.0, 6.0)
    for part in figure.axes:
        for axis in (part.xaxis, part.yaxis):
            if axis.get_scale() == "log":
                # Matplotlib would write 2 × 10⁻² to 9 × 10⁻² one over the other.
                axis.set_major_locator(LogLocator(subs=(1, 3)))
                axis.set_major_formatter(FuncFormatter(_plain))
                axis.set_minor_formatter(NullFormatter())
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=100, bbox_inches="tight")
    pyplot.close(figure)
    return path


def _plain(value: float, _: int) -> str:
    return f"{value:g}"
