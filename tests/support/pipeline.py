"""The picture of the pipeline in docs/architecture.md: `python -m tests.support.pipeline` writes it anew.

Its boxes are packages of `tests.test_imports.ORDER`, its arrows the walk from a spec to a table; a test holds that the
picture is the one that this file makes, that every file named in it is there, and that every step imports only forward.
"""

from dataclasses import dataclass
from html import escape

from tests.support.paths import ROOT

FILE = ROOT / "docs" / "images" / "pipeline.svg"


@dataclass(frozen=True)
class Step:
    """A package of the pipeline, what it makes of what it is given, and the file in which that is done."""

    package: str
    file: str
    gives: str
    column: int
    row: int


STEPS = (
    Step("orchestrator.spec", "orchestrator/spec/load.py", "a checked SweepSpec", 0, 0),
    Step("orchestrator.plan", "orchestrator/plan/plan.py", "jobs, and the stages they share", 1, 0),
    Step("orchestrator.engine", "orchestrator/engine/engine.py", "ready stages, one a worker", 2, 0),
    Step("orchestrator.worker", "orchestrator/worker/run_task.py", "a lease, checked parents", 2, 1),
    Step("dfcil_core", "dfcil_core/run_stage.py", "networks, counts, curves", 1, 1),
    Step("orchestrator.store", "orchestrator/store/store.py", "one folder a finished stage", 0, 1),
    Step("orchestrator.results", "orchestrator/results/read.py", "accuracy matrices", 0, 2),
    Step("orchestrator.tracking", "orchestrator/tracking/tracker.py", "runs in MLflow", 1, 2),
    Step("reports", "reports/frame.py", "tables, figures, the page", 2, 2),
)
ARROWS = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (6, 8))
"""Positions in STEPS: who hands on to whom."""

_WIDTH, _HEIGHT, _ACROSS, _DOWN = 270, 92, 330, 150
_STYLE = """
  rect { fill: #f6f8fa; stroke: #57606a; }
  text { font-family: system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .file { font-size: 12px; font-family: ui-monospace, monospace; }
  .gives { font-size: 13px; fill: #57606a; }
  path { stroke: #57606a; stroke-width: 2; fill: none; marker-end: url(#head); }
  marker path { fill: #57606a; stroke: none; marker-end: none; }
  @media (prefers-color-scheme: dark) {
    rect { fill: #161b22; stroke: #8b949e; } text { fill: #e6edf3; } .gives { fill: #8b949e; } path { stroke: #8b949e; }
    marker path { fill: #8b949e; }
  }
"""


def _corner(step: Step) -> tuple[int, int]:
    return 10 + _ACROSS * step.column, 10 + _DOWN * step.row


def _box(step: Step) -> str:
    x, y = _corner(step)
    lines = ((step.package, "title", 28), (step.file, "file", 52), (step.gives, "gives", 76))
    texts = "".join(
        f'<text x="{x + 14}" y="{y + down}" class="{kind}">{escape(text)}</text>' for text, kind, down in lines
    )
    return f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>{texts}'


def _arrow(start: Step, end: Step) -> str:
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    half = _HEIGHT // 2
    if start.row != end.row:
        middle = x1 + _WIDTH // 2
        return f'<path d="M{middle},{y1 + _HEIGHT} L{middle},{y2 - 4}"/>'
    if abs(end.column - start.column) > 1:
        # Around the box in between.
        below = y1 + _HEIGHT + 24
        down, up = x1 + _WIDTH // 2, x2 + _WIDTH // 2
        return f'<path d="M{down},{y1 + _HEIGHT} L{down},{below} L{up},{below} L{up},{y2 + _HEIGHT + 4}"/>'
    if end.column > start.column:
        return f'<path d="M{x1 + _WIDTH},{y1 + half} L{x2 - 4},{y2 + half}"/>'
    return f'<path d="M{x1},{y1 + half} L{x2 + _WIDTH + 4},{y2 + half}"/>'


def picture() -> str:
    """The picture as SVG."""
    width, height = 2 * _ACROSS + _WIDTH + 20, 2 * _DOWN + _HEIGHT + 50
    told = "From a spec to tables and MLflow: " + ", then ".join(step.package for step in STEPS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        f'role="img" aria-label="{escape(told)}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L10,5 L0,10 z"/></marker></defs>',
        *(_box(step) for step in STEPS),
        *(_arrow(STEPS[start], STEPS[end]) for start, end in ARROWS),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    FILE.write_text(picture())
