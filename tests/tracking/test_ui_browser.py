"""`dfcil-sweep ui` in a real browser: the runs, the charts, the dreamed images."""

import os
import urllib.error
import urllib.request
from statistics import mean

import pytest

from orchestrator.store import sweep_folder
from orchestrator.tracking.links import LOCAL, links
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


def test_the_printed_address_shows_the_means_of_the_methods_the_best_first(page, address, runs):
    page.open(address)
    page.wait_for_text("4 matching runs", "By method and split", "label: abd, tasks: 5", "label: base, tasks: 5")
    page.wait_for_text(*(f"{mean(line[-1] for line in lines(runs, method))} (average)" for method in ("abd", "base")))
    places = [page.text.index(f"label: {method}") for method in ("abd", "base")]
    assert places == sorted(places) and "seed 0" not in page.text


def test_the_view_of_each_seed_shows_the_jobs_the_best_first(page, address):
    page.open(address.replace("-methods", "-seeds"))
    names = [f"{method} · 5 tasks · seed {seed}" for method in ("abd", "base") for seed in (0, 1)]
    page.wait_for_text("4 matching runs", *names)
    places = [page.text.index(name) for name in names]
    assert places == sorted(places), "the final accuracy falls from abd, seed 0, to base, seed 1"


def lines(runs, method) -> list[list[float]]:
    """The average accuracy of the method's jobs after each task."""
    return [
        [value for key, _, value, _ in sorted(run["points"]) if key == "accuracy/average"]
        for name, run in view(f"sqlite:///{runs}/mlflow.db").items()
        if name.startswith(method)
    ]


def test_the_charts_have_a_line_a_method(page, address, runs):
    page.open(f"{address}&compareRunsMode=CHART")
    page.wait_for_text("accuracy/average", "accuracy/task_01")
    page.wait(lambda page: len(page.find(".js-plotly-plot")) >= 6, "six charts")
    expected = {tuple(map(mean, zip(*lines(runs, method), strict=True))) for method in ("abd", "base")}
    assert len(expected) == 2 and all(len(line) == 5 for line in expected)

    def drawn(page) -> set[tuple[float, ...]]:
        return {tuple(line) for line in page.driver.execute_script(_LINES)}

    page.wait(lambda page: expected <= drawn(page), "the mean of the average accuracy after each task")


_LINES = """
return [...document.querySelectorAll('.js-plotly-plot')[0].data].map(trace => Array.from(trace.y || []));
"""


def test_the_view_of_dreams_shows_those_of_each_job_that_dreams(page, address):
    page.open(address.replace("-methods", "-dreams") + "&compareRunsMode=CHART")
    page.wait_for_text("2 matching runs", "abd · 5 tasks · seed 0")
    page.wait(lambda page: len([p for p in page.pictures() if "get-artifact?path=images" in p["src"]]) == 2, "dreams")


def test_a_link_to_a_run_opens_it_in_the_view_of_training(page, address, runs):
    server = address.partition("/#/")[0]
    link = links(runs, "fab", f"sqlite:///{runs}/mlflow.db")(sweep(("base",), seeds=(0,)).jobs[0].id)
    page.open(link.replace(LOCAL, server))
    page.wait_for_text("base · 5 tasks · seed 0", "Model metrics")
    assert "Evaluation runs" not in page.text


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
