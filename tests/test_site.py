"""The pages of the documentation's site that are made from the program; `make docs` builds the whole of it."""

import re

from dfcil_core.measures import MEASURES
from dfcil_core.methods import METHODS
from docs.site.pages import all_pages
from orchestrator.cli import cli
from tests.support.paths import ROOT

PAGES = all_pages(ROOT)


def test_every_command_method_and_measure_has_its_place():
    for name in cli.list_commands(None):
        assert f"## dfcil-sweep {name}\n" in PAGES["commands.md"]
    assert "## dfcil-sweep store verify\n" in PAGES["commands.md"]
    for name in METHODS:
        assert PAGES[f"method/{name}.md"].startswith(f"# {name}\n")
        assert f"[{name}]({name}.md)" in PAGES["method/index.md"]
    for measure in MEASURES.values():
        assert f"## {measure.title}\n" in PAGES["measures.md"] and measure.formula in PAGES["measures.md"]


def test_a_method_has_its_measured_rows_and_their_headers():
    page = PAGES["method/abd.md"].partition("## Measured")[2]
    rows = [line for line in page.splitlines() if line.startswith("| abd")]
    assert len(rows) >= 3
    for row in rows:
        assert row.count("|") == page.splitlines()[page.splitlines().index(row) - 2].count("|")
        assert re.search(r"\d", row)


def test_links_of_the_readme_stay_within_the_documentation():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES["index.md"]):
        assert target.startswith("http") or (ROOT / "docs" / target).exists() or target in PAGES, target


def test_what_is_said_to_be_proved_has_its_test():
    told = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(told) > 15 and [file for file in told if not (ROOT / file).is_file()] == []


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"^ +- .*: ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    written = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert written | {name for name in PAGES if not name.startswith("method/")} | {"method/index.md"} == listed
