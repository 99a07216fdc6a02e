"""Every YAML example of the documents is read: whole specs, a key or two of one, and a cluster's profile.

The examples of docs/spec.md are read in tests/schema/test_spec_page.py.
"""

import re
import tomllib

import pytest
from PIL import Image

from dfcil_core import plugins
from orchestrator.cluster.profile import load_profile
from orchestrator.cluster.systems import BATCH_SYSTEMS
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from tests.support.documents import PAGES, blocks, plug_ins

FOUND = [(page, text) for page in PAGES if page != "docs/spec.md" for text in blocks(page, "yaml")]
WHOLE = [(page, text) for page, text in FOUND if text.startswith("name: ")]
PARTS = [
    (page, part)
    for page, text in FOUND
    if not text.startswith("name: ") and "walltime" not in text
    for part in re.findall(r"^\S.*\n(?:[ ].*\n)*", text, re.M)  # each key with what is indented below it
]
AROUND = {
    "name": "name: s\n",
    "dataset": "dataset: {name: synthetic, classes: 100}\n",
    "methods": "methods: [base, abd]\n",
    "tasks": "tasks: [5]\n",
}
FIVE = {
    "dataset": "dataset: {name: folder, root: ~/five, image_size: 32, classes: [bird, cat, dog, ship, truck]}\n",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with images where the examples have them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DFCIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    names = [f"class-{number}" for number in range(10)]
    for place in (tmp_path / "data" / "flowers", tmp_path / "pictures"):
        for number, (part, name) in enumerate((part, name) for part in ("train", "val") for name in names):
            (place / part / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (number, number, number)).save(place / part / name / "1.png")
    return tmp_path


def test_the_examples_were_found():
    assert len(WHOLE) >= 8 and len(PARTS) >= 18


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("page", "text"), WHOLE, ids=[page for page, _ in WHOLE])
def test_a_whole_spec(page, text, home):
    plugin = None
    for file, code in plug_ins(page).items():
        (home / file).write_text(code)
        plugin = plugin or str(home / file)
    assert make_plan(parse_spec(text, page, plugin=plugin)).jobs


@pytest.mark.parametrize(("page", "part"), PARTS, ids=[f"{page}: {part.splitlines()[0][:40]}" for page, part in PARTS])
def test_a_part_of_a_spec(page, part, home):
    around = {**AROUND, **FIVE} if "cat" in part or "[3, 1, 4" in part else AROUND
    if part.startswith("dataset:"):
        around = {**around, "tasks": "tasks: [2]\n"}
    text = "".join({**around, part.partition(":")[0]: part}.values())
    assert make_plan(parse_spec(text, page)).jobs


def test_a_profile_of_a_cluster(tmp_path):
    (text,) = (text for _, text in FOUND if "walltime" in text)
    (tmp_path / "a100.yaml").write_text(text)
    assert load_profile(tmp_path / "a100.yaml", BATCH_SYSTEMS["slurm"]).walltime


def test_entry_points_are_of_the_groups_that_are_looked_for():
    for page in ("docs/add-a-method.md", "docs/plug-ins.md"):
        (text,) = blocks(page, "toml")
        assert set(tomllib.loads(text)["project"]["entry-points"]) <= set(plugins.GROUPS)
