"""`dfcil-sweep ui` in a real browser: the runs, the charts, the dreamed images."""

import os
import urllib.error
import urllib.request

import pytest

from orchestrator.store import sweep_folder
from tests.support.browser import Browser, image_grid, run_address, ui
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import view
from tests.support.tools import need
from tests.support.tracked import sync

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A runs folder with a sweep of four jobs, as a launch leaves it."""
    need("chromium", "chromedriver")
    assert "MLFLOW_TRACKING_URI" not in os.environ
    folder = tmp_path_factory.mktemp("ui") / "my runs"
    plan = sweep(("base", "abd"), seeds=(0, 1))
    finish(plan, folder)
    sweep_folder.save(folder, plan)
    sync(plan, folder)
    return folder


@pytest.fixture(scope="module")
def address(runs):
    with ui("fab", runs) as printed:
        yield printed
    with pytest.raises(urllib.error.URLError):  # ended, it leaves no server behind
        urllib.request.urlopen(printed, timeout=2)


@pytest.fixture(scope="module")
def page(address):
    shown = Browser()
    shown.open(address)
    yield shown
    shown.close()


def test_the_printed_address_shows_the_jobs_the_best_first(page, address):
    page.open(address)
    names = [f"{method} · 5 tasks · seed {seed}" for method in ("abd", "base") for seed in (0, 1)]
    page.wait_for_text("4 matching runs", *names)
    places = [page.text.index(name) for name in names]
    assert places == sorted(places), "the final accuracy falls from abd, seed 0, to base, seed 1"


def test_the_charts_have_a_line_a_job(page, address, runs):
    page.open(f"{address}&compareRunsMode=CHART")
    page.wait_for_text("accuracy/average", "accuracy/task_01")
    page.wait(lambda page: len(page.find(".js-plotly-plot")) >= 6, "six charts")
    expected = {
        tuple(value for key, _, value, _ in sorted(run["points"]) if key == "accuracy/average")
        for name, run in view(f"sqlite:///{runs}/mlflow.db").items()
        if name != "fab"
    }
    assert len(expected) == 4 and all(len(line) == 5 for line in expected)

    def drawn(page) -> set[tuple[float, ...]]:
        return {tuple(line) for line in page.driver.execute_script(_LINES)}

    page.wait(lambda page: expected <= drawn(page), "the average accuracy of four jobs after each task")


_LINES = """
return [...document.querySelectorAll('.js-plotly-plot')[0].data].map(trace => Array.from(trace.y || []));
"""


def test_the_dreamed_images_are_shown(page, address, runs):
    abd = view(f"sqlite:///{runs}/mlflow.db")["abd · 5 tasks · seed 0"]["id"]
    page.open(run_address(address, abd, "model-metrics"))
    shown = image_grid(page, "dreams")
    assert all(image["width"] > 0 and image["colours"] > 100 for image in shown), "an image of one colour"


def test_the_accuracy_matrix_is_shown(page, address, runs):
    abd = view(f"sqlite:///{runs}/mlflow.db")["abd · 5 tasks · seed 0"]["id"]
    page.open(run_address(address, abd, "artifacts/accuracy_matrix.png"))
    page.wait(lambda page: any(p["src"].startswith("blob:") and p["colours"] > 10 for p in page.pictures()), "a matrix")


def test_a_second_ui_takes_another_port(runs, address):
    with ui("fab", runs) as other:
        assert other.partition("#")[0] != address.partition("#")[0]
