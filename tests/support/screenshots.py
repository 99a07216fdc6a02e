"""The pictures of the documentation: `python -m tests.support.screenshots RUNS`, RUNS with the finished sweep `demo`.

Needs Chromium and its driver. The pictures are written to docs/images.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.support.browser import Browser, run_address, ui
from tests.support.mlflow_views import view
from tests.support.paths import ROOT
from tests.support.reported import output

FOLDER = ROOT / "docs" / "images"
SETTLED = 4.0  # seconds after which nothing moves any more


def take(page: Browser, name: str) -> None:
    # A browser without a mouse shows every chart's tools all the time, over its lines.
    page.driver.execute_script(
        "document.head.append(Object.assign(document.createElement('style'), {textContent: '.modebar{display:none}'}))"
    )
    time.sleep(SETTLED)
    image = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    image.save(FOLDER / f"{name}.png", optimize=True)


def main(runs: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = view(f"sqlite:///{Path(runs).resolve()}/mlflow.db", "demo")
    abd, parent = found["abd · 5 tasks · seed 0"]["id"], found["demo"]["id"]
    with ui("demo", Path(runs)) as address:
        page = Browser(1280, 900)
        try:
            page.open(address)
            page.wait_for_text("label: abd")
            take(page, "runs")
            page.open(f"{address}&compareRunsMode=CHART")
            page.wait(lambda page: page.find(".js-plotly-plot .trace"), "charts")
            take(page, "by-method")
            page.open(address.replace("-methods", "-dreams") + "&compareRunsMode=CHART")
            page.wait_for_pictures("get-artifact?path=images")
            take(page, "dreams")
            page.open(run_address(address, abd, "artifacts/accuracy_matrix.png"))
            page.wait(lambda page: any(p["src"].startswith("blob:") for p in page.pictures()), "the matrix")
            take(page, "accuracy-matrix")
            page.open(run_address(address, parent, "artifacts/comparison.png"))
            page.wait(lambda page: any(p["src"].startswith("blob:") for p in page.pictures()), "the comparison")
            take(page, "comparison")
        finally:
            page.close()


def take_report(runs: str) -> None:
    """The top of the report's page, with the values at a task."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demo.html"
        file.write_text(output("report", "demo", "--runs", runs, "--format", "html", "--best-bold"), encoding="utf-8")
        page = Browser(1280, 1000)
        try:
            page.driver.get(file.as_uri())
            page.driver.execute_script("document.querySelector('[data-curve-data]').focus({preventScroll: true})")
            take(page, "page")
        finally:
            page.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
    take_report(*sys.argv[1:])
