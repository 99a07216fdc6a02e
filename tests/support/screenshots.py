"""The pictures of docs/mlflow.md: `python -m tests.support.screenshots RUNS`, RUNS with the finished sweep `demo`.

Needs Chromium and its driver. The pictures are written to docs/images.
"""

import io
import sys
import time
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser, image_grid, run_address, ui
from tests.support.mlflow_views import view
from tests.support.paths import ROOT

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


def choose_columns(page: Browser, out: tuple[str, ...], into: tuple[str, ...]) -> None:
    """In the table of runs: leave some columns out, show others."""
    page.press("//button[contains(., 'Columns')]")
    for name in (*out, *into):
        search = page.find("input[placeholder='Search columns']")[0]
        search.send_keys(Keys.CONTROL, "a")
        search.send_keys(name)
        page.press(f"//*[contains(@class, 'tree-node-content-wrapper')][normalize-space()='{name}']")
    page.press("//h2[contains(., 'Runs')] | //h1[contains(., 'Runs')] | //*[contains(text(), 'matching runs')]")


def main(runs: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = view(f"sqlite:///{Path(runs).resolve()}/mlflow.db", "demo")
    abd, parent = found["abd · 5 tasks · seed 0"]["id"], found["demo"]["id"]
    with ui("demo", Path(runs)) as address:
        page = Browser(1280, 900)
        try:
            page.open(address)
            page.wait_for_text("abd · 5 tasks · seed 0")
            choose_columns(page, ("Dataset", "Source", "Models"), ("final_accuracy", "final_forgetting"))
            take(page, "runs")
            page.open(f"{address}&compareRunsMode=CHART")
            page.wait(lambda page: page.find(".js-plotly-plot .trace"), "charts")
            page.press("//button[contains(., 'Group by')]")
            page.press("//*[@role='menuitemcheckbox'][normalize-space()='label']")
            page.driver.find_element("tag name", "body").send_keys(Keys.ESCAPE)
            page.wait_for_text("rehearsal")
            take(page, "by-method")
            page.open(run_address(address, abd, "model-metrics"))
            page.wait(lambda page: page.find(".js-plotly-plot .trace"), "charts")
            image_grid(page, "dreams")
            take(page, "dreams")
            page.open(run_address(address, abd, "artifacts/accuracy_matrix.png"))
            page.wait(lambda page: any(p["src"].startswith("blob:") for p in page.pictures()), "the matrix")
            take(page, "accuracy-matrix")
            page.open(run_address(address, parent, "artifacts/comparison.png"))
            page.wait(lambda page: any(p["src"].startswith("blob:") for p in page.pictures()), "the comparison")
            take(page, "comparison")
        finally:
            page.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
