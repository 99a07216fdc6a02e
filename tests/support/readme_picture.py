"""The README's picture: `python -m tests.support.readme_picture RUNS`, RUNS with the finished sweep `demo`.

On the left accuracy over tasks, as `report --figures` draws it; on the right what `abd` dreamed after the last task but
one. Written to docs/images/demo.png.
"""

import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from orchestrator.store import sweep_folder
from reports.figures.files import dreams
from reports.figures.job_figures import comparison
from reports.jobs import JobReport
from reports.sources.store import read_sweep
from tests.support.paths import ROOT

FILE = ROOT / "docs" / "images" / "demo.png"
HEIGHT, MARGIN, DOTS = 440, 28, 100
CAPTION = "dreamed by {label} after task {task} (seed {seed}): a row for each digit so far"


def picture(jobs: list[JobReport]) -> Image.Image:
    """The picture of these jobs."""
    curves = _curves(jobs)
    job, sheets = next(dreams(jobs))
    task, content = sheets[-1]
    side = HEIGHT - 2 * MARGIN
    sheet = Image.open(io.BytesIO(content)).convert("RGB").resize((side, side), Image.Resampling.NEAREST)
    whole = Image.new("RGB", (curves.width + side + 2 * MARGIN, HEIGHT), "white")
    whole.paste(curves, (0, 0))
    whole.paste(sheet, (curves.width + MARGIN, MARGIN))
    text, font = CAPTION.format(label=job.label, task=task, seed=job.seed), ImageFont.load_default(size=12)
    ImageDraw.Draw(whole).text((curves.width + MARGIN, HEIGHT - MARGIN + 6), text, fill="black", font=font)
    return whole


def _curves(jobs: list[JobReport]) -> Image.Image:
    figure, drawn = comparison(jobs), io.BytesIO()
    assert figure is not None, "the demo has several tasks"
    figure.savefig(drawn, format="png", dpi=DOTS)
    shown = Image.open(drawn).convert("RGB")
    return shown.resize((shown.width * HEIGHT // shown.height, HEIGHT), Image.Resampling.LANCZOS)


def main(runs: Path) -> None:
    plan = sweep_folder.load(runs, "demo", as_launched=True)
    picture(list(read_sweep(runs, plan, lambda job: None).jobs)).save(FILE, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
