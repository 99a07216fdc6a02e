"""The HTML page: it needs nothing but itself, says what the table says, and everybody can read it."""

import base64
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import reports
from orchestrator.store import sweep_folder
from tests.support.fabricated import with_logits
from tests.support.reported import AS_EVER, SPEC, launched, output
from tests.support.tools import lacking, need

HOSTILE = '<script>alert(1)</script> & "quotes"'


def made(runs):
    return with_logits(runs, AS_EVER)


def failed(job):
    return job.entry.label == "abd" and job.seed == 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two splits, a failed job, half-finished ones, runs in MLflow."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        text = SPEC.replace("name: {name}\n", "# " + HOSTILE + "\nname: {name}\n")
        launched(folder, text=text, left_out=failed, failed=failed, tracked=True, made=made(folder))
    return folder


@pytest.fixture(scope="module")
def page(runs) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        output("report", "demo", "--runs", runs, "--format", "html", "--best-bold", "--output", runs / "page.html")
    return runs / "page.html"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of headings."""

    def __init__(self, text):
        super().__init__()
        self.all: list[tuple[str, dict]] = []
        self.feed(text)

    handle_starttag = lambda self, tag, attributes: self.all.append((tag, dict(attributes)))  # noqa: E731

    def of(self, *tags):
        return [attributes for tag, attributes in self.all if tag in tags]


# ---- without a browser -----------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(page):
    elements = Elements(page.read_text())
    sources = [value for _, has in elements.all for name, value in has.items() if name in ("src", "srcset", "data")]
    sources += [has["href"] for has in elements.of("image")]
    # Accuracy against cost; of three seeds four sheets of dreams and one; of four methods on two splits a confusion
    # matrix of all seeds together and of each, but for the two jobs that failed.
    assert len(sources) == 1 + 3 * (4 + 1) + 4 * 2 * (1 + 3) - 2 and all(
        source.startswith("data:image/") for source in sources
    )
    assert not elements.of("link", "iframe", "object", "embed", "base")
    assert all("src" not in script for script in elements.of("script"))
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page.read_text())
    outward = [has["href"] for has in elements.of("a") if not has["href"].startswith("#")]
    assert outward and all(
        re.fullmatch(r"http://127\.0\.0\.1:5000/#/experiments/\d+/runs/[0-9a-f]{32}(\?.*)?", to) for to in outward
    )


def test_every_job_is_linked_to_its_run(page, runs):
    frame = reports.load("demo", runs=str(runs))
    assert len(re.findall(r'aria-label="MLflow run of ', page.read_text())) == len(frame) == 24


def test_the_structure_that_screen_readers_use(page):
    elements = Elements(page.read_text())
    assert elements.of("html")[0]["lang"] == "en" and len(elements.of("main")) == len(elements.of("h1")) == 1
    levels = [int(tag[1]) for tag, _ in elements.all if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert all(image.get("alt") for image in elements.of("img"))
    assert all(heading.get("scope") for heading in elements.of("th"))
    assert all(table.get("aria-labelledby") for table in elements.of("table"))
    ids = [has["id"] for _, has in elements.all if "id" in has]
    assert len(ids) == len(set(ids))
    named = {
        name
        for _, has in elements.all
        for key in ("aria-labelledby", "aria-describedby")
        for name in has.get(key, "").split()
    }
    assert named | {has["href"][1:] for has in elements.of("a") if has["href"].startswith("#")} <= set(ids)


def test_the_page_says_what_the_table_and_the_records_say(page, runs):
    text = page.read_text()
    for metric in ("final", "forgetting", "omega"):
        told = output("report", "demo", "--runs", runs, "--format", "markdown", "--best-bold", "--metric", metric)
        found = re.findall(r"-?\d+\.\d+ ± \d+\.\d+ \(\d[^)]*\)", told.replace("\\*", "*"))
        assert len(found) >= 6 and all(cell in text or cell.replace(" (3)", "") in text for cell in found)
    assert "1 failed" not in text and "2 failed" in text and "the loss is not a number" in text
    for told in ("c0ffee", "torch 2.9.0", "here", "0, 1, 2", "repeats: 3"):
        assert told in text
    plan = sweep_folder.load(runs, "demo")
    assert all(key[:16] in text for key in plan.stages)


def test_the_first_table_is_methods_by_measures_and_says_n_once(runs):
    text = output("report", "demo", "--runs", runs, "--format", "html", "--tasks", "2")
    table = text[text.index('<table class="results"') :]
    table = table[: table.index("</table>")]
    headings = re.findall(r'<th scope="col"><button type="button">([^<]*)<', table)
    # Tasks are of equal size, so that accuracy over images would say nothing new; digits are too few for top-5.
    assert headings == [
        "method",
        "final",
        "average",
        "forgetting",
        "backward transfer",
        "Omega",
        "local",
        "learning accuracy",
        "intransigence",
    ]
    assert "(2 of 3)*" in table and "(3)" in table  # abd of seed 1 failed, so the number of seeds stands in each cell
    assert text.count('<table class="results"') == 1 and 'data-switch="split"' not in text


def test_a_measure_that_a_method_does_not_have_is_no_warning(tmp_path):
    launched(tmp_path, text=SPEC.replace("at_every_task: true", "").replace("upper-bound, ", "upper-bound"))
    text = output("report", "demo", "--runs", tmp_path, "--format", "html", "--tasks", "2")
    assert '<td data-sort="" class="quiet">n/a</td>' in text and "(0 of 3)" not in text
    assert "over 3 seeds;" in text and "(3)</td>" not in text


def test_the_top_says_what_was_run_on_what_and_how_long(page):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.read_text()))
    assert "Data digits, 32 pixels wide and high" in text and "Methods upper-bound, base, abd, rehearsal" in text
    assert "Splits 2 tasks, 5 tasks" in text and "Seeds 0, 1, 2" in text
    assert "Training resnet8, 3 epochs a task" in text and "Computed on cpu" in text
    # Every finished stage took 1.5 s, and counts once however many jobs share it.
    stages, minutes, seconds = re.findall(r"(\d+) stages that took (\d+) min (\d+) s one after the other", text)[0]
    assert 60 * int(minutes) + int(seconds) == pytest.approx(1.5 * int(stages), abs=1)


def test_the_curves_have_the_numbers(page, runs):
    charts = [
        json.loads(has["data-curve-data"]) for has in Elements(page.read_text()).of("svg") if "data-curve-data" in has
    ]
    assert len(charts) == 2 * 5  # two splits, five quantities
    frame = reports.load("demo", runs=str(runs)).query("split == '5' and label == 'base'")
    accuracy = next(chart for chart in charts if "5" in chart["at"] and chart["across"] == "after task")
    base = next(line for line in accuracy["lines"] if line["label"] == "base")
    assert base["points"]["5"] == [round(frame["final"].mean(), 1), round(frame["final"].std(), 1), 3]


def test_the_classes_of_each_task_are_named(page):
    text = re.sub(r"\s+", " ", page.read_text())
    assert "<li>7, 8</li> <li>1, 5</li> <li>3, 4</li> <li>2, 0</li> <li>9, 6</li>" in text  # seed 0


def test_nothing_that_a_spec_says_becomes_markup(page):
    text = page.read_text()
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text


# ---- in a browser ----------------------------------------------------------------------------------------------------

# Every visible text's contrast with what is behind it; those below what WCAG 2.1 AA asks for.
CONTRAST = """
const parse = (c) => { const [r, g, b, a] = c.match(/[\\d.]+/g).map(Number); return [r, g, b, a ?? 1]; };
const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => { v /= 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
const low = []; let seen = 0;
for (const e of document.body.querySelectorAll('*')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.offsetParent) continue;
  seen += 1;
  const style = getComputedStyle(e), [a, b] = [light(parse(style.color)), light(behind(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push([e.tagName, e.textContent.slice(0, 40), ratio]);
}
return [seen, low];
"""
COLUMN = """
const [table, column] = arguments; const rows = [...document.querySelectorAll(table)[0].tBodies];
const own = (body) => [...body.rows].filter(row => !row.classList.contains('group'));
return rows.map(body => own(body).map(row => row.cells[column].dataset.sort));
"""
SCROLLING = """
const scrolls = (e) => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1;
return [...document.querySelectorAll('*')].filter(scrolls).map(e => [e.tagName, e.tabIndex, e.className]);
"""
AXE = (
    "const end = arguments[0]; axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', "
    "'best-practice']}).then(r => end(r.violations.map(v => [v.id, v.help, v.nodes[0].html])), e => end(String(e)))"
)


@pytest.fixture(scope="module")
def shown(page):
    need("chromium", "chromedriver")
    from tests.support.browser import Browser

    window = Browser(1280, 900)
    window.driver.execute_cdp_cmd("Network.enable", {})
    window.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    window.driver.get(page.as_uri())
    yield window
    window.close()


def phone(window, on: bool) -> None:
    if on:
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    else:
        window.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def scheme(window, dark: bool) -> None:
    features = [{"name": "prefers-color-scheme", "value": "dark"}] if dark else []
    window.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def visible_focus(window):
    script = (
        "const e = document.activeElement, s = getComputedStyle(e); return [e.className, e.tagName, s.outlineStyle];"
    )
    return window.driver.execute_script(script)


@pytest.mark.server
def test_all_pictures_show_and_nothing_went_wrong(shown, page):
    images = shown.driver.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth > 0)")
    assert len(images) == page.read_text().count("<img ") and all(images)
    assert [entry for entry in shown.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.server
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
def test_every_text_has_enough_contrast_and_the_page_no_sideways_scroll(shown, narrow, dark):
    phone(shown, narrow)
    scheme(shown, dark)
    try:
        seen, low = shown.driver.execute_script(CONTRAST)
        assert seen > 200 and low == []
        assert shown.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        phone(shown, False)
        scheme(shown, False)


@pytest.mark.server
def test_the_keyboard_reaches_and_sorts(shown):
    from selenium.webdriver.common.keys import Keys

    shown.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    body = shown.driver.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    assert visible_focus(shown) == ["skip", "A", "solid"]
    button = next(b for b in shown.find(".results thead button") if "average" in b.text)
    heading = "return document.querySelectorAll('.results thead')[0].rows[0].cells[2].getAttribute('aria-sort')"
    before = shown.driver.execute_script(COLUMN, ".results", 2)
    shown.driver.execute_script("arguments[0].focus()", button)
    for key, order in ((Keys.ENTER, "ascending"), (Keys.SPACE, "descending")):
        button.send_keys(key)
        assert shown.driver.execute_script(heading) == order
        for group, was in zip(shown.driver.execute_script(COLUMN, ".results", 2), before, strict=True):
            assert group == sorted(was, key=float, reverse=order == "descending")
        assert order in shown.find("#told")[0].get_attribute("textContent")
    assert visible_focus(shown)[1:] == ["BUTTON", "solid"]


@pytest.mark.server
def test_the_switches_show_one_split_and_one_table(shown):
    from selenium.webdriver.support.ui import Select

    def seen(css):
        return [part.get_attribute("id") or part.text for part in shown.find(css) if part.is_displayed()]

    assert [text.splitlines()[0] for text in seen(".result h3")] and len(seen(".result")) == 1
    names = ("split", "table", "curve", "seed")
    split, table, curve, seed = (Select(shown.find(f"[data-switch={name}]")[0]) for name in names)
    try:
        split.select_by_value("5")
        assert len(seen(".result")) == 1 and len(seen(".chart")) == 1 and len(seen("article")) == 4
        table.select_by_value("forgetting")
        assert len(seen(".result")) == 1 and "2 tasks" in seen(".result thead")[0]
        curve.select_by_value("forgetting")
        assert seen(".chart figcaption")[0].startswith("curve-") and len(seen(".chart")) == 1
        assert len(seen(".confusion")) == len(seen(".heat")) == 4 and "3 seeds together" in seen(".confusion")[0]
        assert [text.splitlines()[0] for text in seen(".dreams")] == ["Dreams, seed 0"]
        seed.select_by_value("1")  # that of abd failed: its dreams are there
        assert len(seen(".confusion")) == len(seen(".heat")) == 3 and "seed 1" in seen(".confusion")[0]
        assert [text.splitlines()[0] for text in seen(".dreams")] == ["Dreams, seed 1"]
        assert "seed 1: failed." in seen("article p")
    finally:
        for select, value in ((split, "2"), (table, "measures"), (curve, "accuracy"), (seed, "all")):
            select.select_by_value(value)


@pytest.mark.server
def test_a_curve_says_its_values_by_key_and_hides_a_method(shown):
    drawing = next(part for part in shown.find("[data-curve-data]") if part.is_displayed())
    shown.driver.execute_script("arguments[0].focus()", drawing)
    drawing.send_keys("\ue012")  # arrow to the left
    told = shown.find(".values")[0].text
    assert told.startswith("after task 1\n") and "base " in told and "± " in told
    assert "base " in drawing.get_attribute("aria-valuetext")
    button = next(part for part in shown.find(".legend button") if part.text == "base")
    try:
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        drawn = [part for part in shown.find("[data-series=base]") if part.is_displayed()]
        drawing.send_keys("\ue012")
        assert not drawn and "base " not in shown.find(".values")[0].text
    finally:
        button.click()


@pytest.mark.server
def test_jobs_without_a_number_go_last_either_way(shown):
    button = next(b for b in shown.find(".jobs thead button") if b.text.startswith("final"))
    for _ in range(2):
        button.send_keys("\ue007")
        (column,) = shown.driver.execute_script(COLUMN, ".jobs", 4)
        assert column[-2:] == ["", ""] and "" not in column[:-2]


@pytest.mark.server
def test_every_scrolling_region_can_be_reached_and_has_a_name(shown):
    phone(shown, True)
    try:
        regions = shown.driver.execute_script(SCROLLING)
        assert regions and all(index == 0 for _, index, _ in regions)
    finally:
        phone(shown, False)


@pytest.mark.server
def test_it_prints(shown):
    told = shown.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    paper = base64.b64decode(told["data"])
    assert paper.startswith(b"%PDF") and 3 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 20


@pytest.mark.server
@pytest.mark.parametrize("narrow", [False, True])
def test_axe_finds_nothing(shown, narrow):
    script = os.environ.get("DFCIL_AXE")
    if not script:
        lacking("DFCIL_AXE does not say where axe.min.js is (npm install axe-core)")
    phone(shown, narrow)
    try:
        shown.driver.execute_script(Path(script).read_text())
        violations = shown.driver.execute_async_script(AXE)
        assert violations == [], json.dumps(violations, indent=1)
    finally:
        phone(shown, False)
