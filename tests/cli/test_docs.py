"""What the documents say is what the program does."""

import re
import tomllib

from dfcil_core.measures import MEASURES
from dfcil_core.methods import METHODS
from orchestrator.cli.methods import _needs
from orchestrator.spec import tune
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.model import OBJECTIVES, PRUNERS, SAMPLERS
from sweeps import bundled
from tests.support.paths import ROOT

METHODS_PAGE = (ROOT / "docs" / "methods.md").read_text()


def test_the_readme_shows_the_bundled_quickstart():
    shown = re.search(r"```yaml\n(name: quickstart.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    read, given = parse_spec(shown, "README.md"), load_spec(bundled()["quickstart"])
    for field in ("name", "dataset", "splits", "seeds", "exclude"):
        assert getattr(read, field) == getattr(given, field)
    assert [entry.label for entry in read.methods] == [entry.label for entry in given.methods]


def test_every_dependency_has_a_line_that_says_why():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = re.findall(r"^\| ([\w\-., ]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.M)
    explained = {name for cell in listed for name in cell.split(", ")} - {"package", "---"}
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    needed = {re.split(r"[>\[]", item)[0] for item in (*project["dependencies"], *extras)} - {project["name"]}
    assert needed == explained


def test_every_dependency_is_bounded_below():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [item for item in project["dependencies"] if ">=" not in item] == []


def test_links_between_documents_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_method_is_listed_with_its_needs_and_source():
    listed = re.findall(r"^\| `([\w-]+)` \| (.*) \| (.*) \|$", METHODS_PAGE.partition("## The measures")[0], re.M)
    assert listed == [(name, _needs(method), method.source) for name, method in METHODS.items()]


def test_every_measure_is_listed_with_its_title_source_and_formula():
    measures = METHODS_PAGE.partition("## The measures")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", measures, re.M)
    assert [(name, formula) for name, _, formula in listed] == [(m.name, m.formula) for m in MEASURES.values()]
    for name, told, _ in listed:
        assert told.startswith(MEASURES[name].title) and MEASURES[name].source in told


def test_every_measure_that_is_logged_is_in_the_table_of_metrics():
    metrics = (ROOT / "docs" / "mlflow.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    for measure in MEASURES.values():
        assert not measure.logged or f"\n| `{measure.logged}` |" in metrics


def test_every_method_has_its_measured_row():
    measured = METHODS_PAGE.partition("## Measured: ")[2].partition("\n### ")[0]
    assert re.findall(r"^\| ([a-z0-9-]+) \| \d", measured, re.M) == list(METHODS)
    assert [entry.method.name for entry in load_spec("digits-methods").methods] == list(METHODS)


def test_every_key_of_tuning_is_explained_and_the_example_is_a_spec():
    page = (ROOT / "docs" / "tuning.md").read_text()
    keys = page.partition("## The keys")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", keys, re.M) == list(tune._KEYS)
    for choice in (*OBJECTIVES, *SAMPLERS, *PRUNERS):
        assert f"`{choice}`" in keys
    example = parse_spec(re.search(r"```yaml\n(.*?)```", page, re.S).group(1), "tuning.md")
    assert example.tune.trials == 50 and len(example.tune.space) == 3
