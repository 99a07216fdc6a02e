"""Methods from outside the repository: the file of docs/add-a-method.md, launched for real, and what is refused."""

import json
import os
import re
import subprocess
import sys

import pytest

from dfcil_core import plugins
from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS, OBJECTIVES
from dfcil_core.run_stage import run_stage
from orchestrator.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_result
from orchestrator.spec.load import load_plugins, parse_spec
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("registries")

DOCUMENT = ROOT / "docs" / "add-a-method.md"


def block(language):
    """The first code block in that language in the document."""
    return re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "feature_lwf.py"
    path.write_text(block("python"))
    return path


@pytest.mark.long
def test_the_documents_method_is_launched_and_reported_without_its_file(plugin, tmp_path):
    sweep = tmp_path / "my-sweep.yaml"
    sweep.write_text(block("yaml"))
    environment = {**os.environ, "DFCIL_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(DOCUMENT.parents[1])}

    def command(*words):
        line = [sys.executable, "-c", "from orchestrator.cli import main; main()", *words]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "mean|f(x) - f_O(x)|^2" in command("methods", "feature-lwf", "--plugin", str(plugin))
    command("launch", str(sweep), "--plugin", str(plugin), "--device", "cpu")
    plugin.unlink()
    table = command("report", "my-sweep")
    assert "feature-lwf-10" in table
    assert "3 of 3 jobs done" in command("status", "my-sweep")


def test_only_its_own_stages_carry_its_source(plugin):
    plan = make_plan(parse_spec(block("yaml"), "s.yaml", plugin=str(plugin)))
    digest = plugins.digest_of("feature-lwf")
    assert len(digest) == 64
    for stage in plan.stages.values():
        expected = digest if stage.recipe.method == "feature-lwf" else None
        assert stage.recipe.plugin == expected
    # Task 1 is everybody's; tasks 2 to 5 are each of the three jobs' own.
    assert len(plan.stages) == 1 + 3 * 4


def test_a_changed_plugin_makes_other_stages(plugin):
    before = make_plan(parse_spec(block("yaml"), "s.yaml", plugin=str(plugin))).stages
    plugin.write_text(plugin.read_text() + "# a remark\n")
    after = make_plan(parse_spec(block("yaml"), "s.yaml", plugin=str(plugin))).stages
    assert len(before.keys() & after.keys()) == 5  # those of base


JOINT = """
from dfcil_core.methods.base import Method


class Joint(Method):
    name = "joint"
    summary = source = "all classes so far, from a fresh network"
    group = "bound"
    chained = False


class JointInTheMiddle(Joint):
    name = "joint-in-the-middle"

    def trains_task(self, task, tasks):
        return task == tasks // 2
"""


def test_a_method_of_fresh_networks_says_which_tasks_it_trains(tmp_path):
    path = tmp_path / "joint.py"
    path.write_text(JOINT)
    text = block("yaml").replace("[base, feature-lwf, {name: feature-lwf, label: feature-lwf-10, mu: 10}]", "[METHOD]")
    text = text.replace("epochs: 5", "epochs: 1")
    plan = make_plan(parse_spec(text.replace("METHOD", "joint"), "s.yaml", plugin=str(path)))
    (job,) = plan.jobs
    assert None not in job.learn and len(plan.stages) == 5
    assert [len(stage.recipe.classes[0]) for stage in plan.stages.values()] == [2, 4, 6, 8, 10]
    records = {}
    for key, stage in plan.stages.items():
        assert stage.parents == ()
        (tmp_path / key).mkdir()
        records[key] = run_stage(stage.recipe, tmp_path / key, {}, Execution(plugin=str(path)))
    assert [len(row) for row in job_result(job, records).matrix] == [1, 2, 3, 4, 5]

    (job,) = make_plan(parse_spec(text.replace("METHOD", "joint-in-the-middle"), "s.yaml", plugin=str(path))).jobs
    assert [key is not None for key in job.learn] == [False, True, False, False, True]
    tune = "tune: {method: joint-in-the-middle, space: {training.lr: {low: 0.1, high: 1}}, objective: forgetting}"
    with pytest.raises(UserError, match="joint-in-the-middle learns all classes at once .* Choose final_accuracy"):
        parse_spec(text.replace("METHOD", "joint-in-the-middle") + tune, "s.yaml", plugin=str(path))


def test_a_worker_refuses_another_source_than_the_plans(plugin, tmp_path):
    plan = make_plan(parse_spec(block("yaml"), "s.yaml", plugin=str(plugin)))
    stage = next(stage for stage in plan.stages.values() if stage.recipe.plugin)
    plugin.write_text(plugin.read_text() + "# a remark\n")
    plugins._plugins.clear()
    for name in (METHODS, OBJECTIVES):
        del name["feature-lwf"]
    first = next(iter(plan.stages.values()))
    (tmp_path / "first").mkdir()
    run_stage(first.recipe, tmp_path / "first", {}, Execution())
    with pytest.raises(plugins.PluginError, match="has another source than when the sweep was planned"):
        run_stage(stage.recipe, tmp_path, {"model": tmp_path / "first"}, Execution(plugin=str(plugin)))


REFUSED = {
    "x = 1\n": "there is nothing in it that a sweep can use",
    "import nowhere_to_be_found\n": "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    "def (\n": "SyntaxError",
    "from dfcil_core.methods.base import Method\nclass A(Method):\n    name = 'abd'\n    summary = source = 'x'\n": (
        "there is a method 'abd' already"
    ),
    "from dfcil_core.methods.base import Method\nclass A(Method):\n    name = 'mine'\n    source = 'x'\n": (
        "A has no `summary`"
    ),
    "from dfcil_core.methods.base import Method\nclass A(Method):\n    name = 'My One'\n    summary = source = 'x'\n": (
        "'My One' is no name for a method"
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.items())
def test_what_is_no_plugin_is_a_persons_mistake(source, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source)
    before = list(METHODS)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        load_plugins(str(path))
    assert str(path) in str(error.value) and list(METHODS) == before


def test_a_missing_file_is_a_persons_mistake(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_plugins(str(tmp_path / "none.py"))


def test_an_installed_package_brings_a_method(plugin, tmp_path, monkeypatch):
    site = tmp_path / "site"
    information = site / "my_package-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "my_feature_lwf.py").write_text(block("python"))
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    entry_point = "[dfcil_sweep.methods]\nfeature-lwf = my_feature_lwf:FeatureLwf\n"
    (information / "entry_points.txt").write_text(entry_point)
    script = (
        "import json, sys; from dfcil_core import plugins; from dfcil_core.methods import METHODS\n"
        "from orchestrator.spec.load import load_plugins\nload_plugins()\n"
        "print(json.dumps([list(METHODS)[-1], plugins.digest_of('feature-lwf'), "
        "'torch' in sys.modules]))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{DOCUMENT.parents[1]}:{site}"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    name, digest, torch = json.loads(done.stdout)
    assert (name, digest, torch) == ("feature-lwf", plugins.load_file(plugin)[0].digest, False)
