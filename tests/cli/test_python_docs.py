"""docs/python.md: its examples run, one after the other, as a script of a person's own."""

import inspect
import json
import re
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

import orchestrator
from orchestrator.cli.launch import launch as command
from orchestrator.errors import UserError
from orchestrator.launch import launch
from sweeps import bundled
from tests.support.launched import environment
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text()
LIGHT = ("torch", "mlflow", "optuna", "dask", "distributed", "pandas", "click", "rich")


def run(code, folder):
    (folder / "script.py").write_text(code)
    places = {**environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "script.py"], cwd=folder, env=places, capture_output=True, text=True)


@pytest.mark.long
def test_the_examples_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(blocks) == 7
    body = "".join(f"    {line}".rstrip() + "\n" for line in "\n".join(blocks).splitlines())
    done = run(f'if __name__ == "__main__":\n{body}', tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "2 jobs, 4 stages to run"
    assert lines[3] == "{'base · 2 tasks · seed 0': 'done', 'abd · 2 tasks · seed 0': 'done'}"
    assert lines[4] == "4 stages run, 0 reused"
    assert "training.epochs" in done.stdout and "{'done': 2}" in lines
    assert "{'complete': 2, 'pruned': 0, 'running': 0, 'failed': 0}" in lines
    assert (tmp_path / "runs" / "mlflow.db").exists()


def test_every_option_of_launch_is_named():

    options = {name for name in inspect.signature(launch).parameters if name not in ("spec", "on_event", "warn")}
    assert {option for option in options if f"`{option}`" not in PAGE} == set()
    assert options == {parameter.name for parameter in command.params} - {"spec", "dry_run"}
    given = command.make_context("launch", ["a-spec"]).params
    here = inspect.signature(launch).parameters
    assert {name: here[name].default for name in options} == {name: given[name] for name in options}


def test_a_spec_in_every_form_is_the_same_sweep(tmp_path):
    text = bundled()["quickstart"].read_text()
    forms = ("quickstart", bundled()["quickstart"], text, YAML(typ="safe").load(text))
    plans = [orchestrator.plan(form, device="cpu", runs=tmp_path).plan for form in forms]
    assert len({tuple(plan.stages) for plan in plans}) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "options", "told"),
    [
        ("name: [", {}, "no such file"),
        ({"name": "x", "seeds": [object()]}, {}, "nothing that YAML can say"),
        ("quickstart", {"keep": "some"}, "keep: 'some' is no choice"),
        ("quickstart", {"jobs": 0}, "jobs: 0 is too small"),
        ("quickstart", {"device": "tpu"}, "'tpu' is no device"),
        ("quickstart", {"scheduler": "tcp://127.0.0.1:1"}, "say --device cpu"),
        ("name: x\nmethods: [nothing]\n", {}, "mistakes in the spec"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(spec, options, told, tmp_path):
    with pytest.raises(UserError, match=re.escape(told)):
        orchestrator.launch(spec, runs=tmp_path, **{"device": "auto", **options})
    assert list(tmp_path.iterdir()) == []


def test_the_front_door_is_light_and_its_functions_are_modules_too(tmp_path):
    code = f"""\
import json, sys
import orchestrator
loaded = [name for name in {LIGHT!r} if name in sys.modules]
import orchestrator.plan.plan
from orchestrator.status import State
assert callable(orchestrator.plan) and orchestrator.plan.plan.Plan
assert callable(orchestrator.launch) and callable(orchestrator.tune) and callable(orchestrator.status)
print(json.dumps([loaded, [name for name in {LIGHT!r} if name in sys.modules]]))
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], []]
