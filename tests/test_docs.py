"""What the documents say is what the program does."""

import re
import tomllib
from pathlib import Path

from orchestrator import spec
from sweeps import bundled

ROOT = Path(__file__).parents[1]


def test_the_readme_shows_the_bundled_quickstart():
    shown = re.search(r"```yaml\n(name: quickstart.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    read, given = spec.parse(shown, "README.md"), spec.load(bundled()["quickstart"])
    for field in ("name", "dataset", "splits", "seeds", "exclude"):
        assert getattr(read, field) == getattr(given, field)
    assert [entry.label for entry in read.methods] == [entry.label for entry in given.methods]


def test_every_dependency_has_a_line_that_says_why():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = re.findall(r"^\| ([\w\-., ]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.M)
    explained = {name for cell in listed for name in cell.split(", ")} - {"package", "---"}
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    needed = {re.split(r"[>\[]", item)[0] for item in (*project["dependencies"], *extras)}
    assert needed == explained


def test_every_dependency_is_bounded_below():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [item for item in project["dependencies"] if ">=" not in item] == []


def test_links_between_documents_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
