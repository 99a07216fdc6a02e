"""What a release says of itself agrees: version, changelog, citation, types, and the checks of a public forge."""

import re
import tomllib

from ruamel.yaml import YAML

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(path):
    return YAML(typ="safe").load((ROOT / path).read_text())


def test_the_version_is_said_alike():
    version = PROJECT["project"]["version"]
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == version
    citation = read("CITATION.cff")
    assert citation["version"] == version and citation["title"] == PROJECT["project"]["name"]
    assert citation["license"] == PROJECT["project"]["license"]


def test_every_package_says_that_it_is_typed():
    packages = PROJECT["tool"]["mypy"]["packages"]
    assert all((ROOT / package / "py.typed").is_file() for package in packages)
    assert PROJECT["tool"]["setuptools"]["package-data"]["*"] == ["py.typed"]


def test_a_public_forge_runs_the_same_checks():
    (job,) = read(".github/workflows/checks.yml")["jobs"].values()
    assert job["steps"][-1]["run"].endswith(" .ci/run")
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert lowest in job["strategy"]["matrix"]["python"]


def test_hooks_are_the_linters_of_make_lint():
    (local,) = read(".pre-commit-config.yaml")["repos"]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    for hook in local["hooks"]:
        tool, *words = hook["entry"].split()
        assert f"$(BIN)/{tool.rpartition('/')[2]} {' '.join(words[:1])}".strip() in lint


def test_issue_templates_are_forms():
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 2
    for path in forms:
        form = read(path.relative_to(ROOT))
        assert form["name"] and form["description"] and all(part["attributes"]["label"] for part in form["body"])
