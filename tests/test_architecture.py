"""docs/architecture.md and the tree say the same: the picture, the walk, and where to add what."""

import re

from tests.support import pipeline
from tests.support.paths import ROOT
from tests.test_imports import ORDER

TEXT = (ROOT / "docs" / "architecture.md").read_text()
WALK = re.findall(r"^\| (\S+) -> (\S+) \| `([^`]+)` \|", TEXT, re.M)
NAMES = {step.package.rpartition(".")[2]: step for step in pipeline.STEPS}


def test_the_picture_is_made_of_the_names_that_the_imports_are_held_to():
    assert {step.package for step in pipeline.STEPS} <= set(ORDER)
    assert pipeline.FILE.read_text() == pipeline.picture(), "write it anew: python -m tests.support.pipeline"


def test_the_walk_names_files_that_are_there():
    arrows = [(pipeline.STEPS[start].package, pipeline.STEPS[end].package) for start, end in pipeline.ARROWS]
    named = {"core": "dfcil_core", "MLflow": "orchestrator.tracking", "reports": "reports"}
    walked = [tuple(named.get(name, f"orchestrator.{name}") for name in (start, end)) for start, end, _ in WALK]
    assert walked == arrows
    for _, _, file in WALK:
        assert (ROOT / file).is_file(), file
    assert all((ROOT / step.file).is_file() for step in pipeline.STEPS)


def test_nouns_are_added_where_the_table_says():
    table = (ROOT / "CONTRIBUTING.md").read_text()
    named = [
        name
        for row in re.findall(r"^\| (?:a|an) [^|]*\|([^|]*)\|", table, re.M)
        for name in re.findall(r"`([\w.]+/[\w/.]+)`", row)
    ]
    assert len(named) >= 8
    for name in named:
        assert (ROOT / name).exists(), name
