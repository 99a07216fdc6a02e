"""Every example of docs/reports.md runs."""

import re
import shlex

import pytest

from tests.support.fabricated import with_logits
from tests.support.paths import ROOT
from tests.support.reported import AS_EVER, SPEC, launched, output

TEXT = (ROOT / "docs/reports.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
SMALL = SPEC.replace("  - rehearsal\n", "").replace("tasks: [2, 5]", "tasks: [2]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ./runs in it."""
    place = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made = with_logits(place / "runs", AS_EVER)
        launched(place / "runs", "demo", SMALL, made=made, tracked=True)
        launched(place / "runs", "more", SMALL.replace("repeats: 3", "repeats: 4"))
    return place


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command(line, folder):
    program, *arguments = shlex.split(line, comments=True)
    assert program == "dfcil-sweep"
    text = output(*arguments)
    written = [folder / file for option, file in zip(arguments, arguments[1:], strict=False) if option == "--output"]
    assert "abd" in (written[0].read_text() if written else text)


def test_the_python(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    exec(code, {})
    told = capsys.readouterr().out
    assert "upper-bound 2" in told and "count" in told


def test_every_measure_is_explained():
    from dfcil_core.measures import MEASURES

    assert list(MEASURES) == re.findall(r"^\| `(\w+)` \|", TEXT, re.M)
    methods = (ROOT / "docs/methods.md").read_text()
    formulas = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", methods, re.M))
    assert {name: formulas[name] for name in MEASURES} == {name: entry.formula for name, entry in MEASURES.items()}
    sources = {entry.source for entry in MEASURES.values() if entry.source}
    assert all(source in methods for source in sources)
