"""Backbones and data sets of a plug-in: those of docs/plug-ins.md, in the identity where they act, and checked."""

import re

import pytest

from dfcil_core import plugins
from dfcil_core.data.catalog import DATASETS
from dfcil_core.execution import Execution
from dfcil_core.networks.catalog import BACKBONES
from dfcil_core.run_stage import run_stage
from orchestrator.errors import SpecError, UserError
from orchestrator.plan.plan import make_plan
from orchestrator.plugin_check import check
from orchestrator.spec.load import load_plugins, parse_spec
from tests.support.launched import dfcil
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("registries")

PAGE = (ROOT / "docs" / "plug-ins.md").read_text()
PLAIN, WINE = re.findall(r"```python\n(.*?)```", PAGE, re.S)
SPEC = re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1]
OF_WINE = SPEC.replace("with-plain4", "of-wine").replace("{name: digits, image_size: 16}", "wine")
OF_WINE = OF_WINE.replace("tasks: [2]", "tasks: [3]").replace("plain4", "resnet8")


@pytest.fixture
def plain(tmp_path):
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path / "plain.py"


@pytest.fixture
def wine(tmp_path):
    (tmp_path / "wine.py").write_text(WINE)
    return tmp_path / "wine.py"


def forget():
    """As in a worker's process that has not loaded the plug-in yet."""
    for kind, name in list(plugins._plugins):
        plugins._plugins.pop((kind, name))
        {"backbone": BACKBONES, "data set": DATASETS}[kind].pop(name)


def test_a_backbones_source_is_in_every_stage_that_has_the_network(plain):
    plan = make_plan(parse_spec(SPEC, "s.yaml", plugin=str(plain)))
    digest = plugins.digest_of("plain4", "backbone")
    assert len(digest) == 64
    assert {stage.recipe.training["backbone_plugin"] for stage in plan.stages.values()} == {digest}
    assert {stage.recipe.plugin for stage in plan.stages.values()} == {None}
    ours = make_plan(parse_spec(SPEC.replace("plain4", "resnet8"), "s.yaml", plugin=str(plain)))
    assert not any("backbone_plugin" in stage.recipe.training for stage in ours.stages.values())
    plain.write_text(PLAIN + "# a remark\n")
    after = make_plan(parse_spec(SPEC, "s.yaml", plugin=str(plain)))
    assert not plan.stages.keys() & after.stages.keys()


def test_a_data_sets_source_is_in_every_stage(wine):
    plan = make_plan(parse_spec(OF_WINE, "s.yaml", plugin=str(wine)))
    digest = plugins.digest_of("wine", "data set")
    assert {stage.recipe.data.options["plugin"] for stage in plan.stages.values()} == {digest}
    wine.write_text(WINE + "# a remark\n")
    assert not plan.stages.keys() & make_plan(parse_spec(OF_WINE, "s.yaml", plugin=str(wine))).stages.keys()


@pytest.mark.parametrize(("source", "text"), [(PLAIN, SPEC), (WINE, OF_WINE)], ids=["backbone", "data set"])
def test_a_worker_takes_it_from_the_very_source_that_the_recipe_names(source, text, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source)
    stage = next(iter(make_plan(parse_spec(text, "s.yaml", plugin=str(path))).stages.values()))
    forget()
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    record = run_stage(stage.recipe, tmp_path / "first", {}, Execution(plugin=str(path)))
    assert record["evaluation"]["correct"]
    forget()
    with pytest.raises(plugins.PluginError, match="is not there: the plan says"):
        run_stage(stage.recipe, tmp_path / "second", {}, Execution())
    path.write_text(source + "# a remark\n")
    with pytest.raises(plugins.PluginError, match="has another source than when the sweep was planned"):
        run_stage(stage.recipe, tmp_path / "second", {}, Execution(plugin=str(path)))


@pytest.mark.long
@pytest.mark.parametrize(("source", "text"), [(PLAIN, SPEC), (WINE, OF_WINE)], ids=["backbone", "data set"])
def test_it_is_launched_and_read_without_its_file(source, text, tmp_path):
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "s.yaml").write_text(text)
    name = text.splitlines()[0].partition(": ")[2]
    done = dfcil("launch", "s.yaml", "--plugin", "mine.py", "--device", "cpu", folder=tmp_path)
    assert done.returncode == 0 and "2 of 2 jobs done" in done.stdout, done.stderr
    (tmp_path / "mine.py").unlink()
    for command in (("status", name), ("report", name), ("store", "verify"), ("sync", name)):
        done = dfcil(*command, folder=tmp_path)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert re.search(r"abd\W+\d", dfcil("report", name, folder=tmp_path).stdout)
    refused = dfcil("sync", name, "--log-models", folder=tmp_path)
    if source == PLAIN:
        assert refused.returncode == 2 and "--plugin FILE --log-models" in refused.stderr


def test_what_has_no_variant_of_a_backbone_says_so(plain):
    with pytest.raises(SpecError, match="r-dfcil trains a variant of the backbone, and plain4 has no") as no:
        parse_spec(SPEC.replace("[base, abd]", "[base, r-dfcil]"), "s.yaml", plugin=str(plain))
    assert "s.yaml:3:17" in str(no.value) and "resnet32" in str(no.value)


REFUSED = {
    PLAIN.replace('name="plain4", ', ""): "backbone has no `name`",
    PLAIN.replace("plain4", "resnet8"): "there is a backbone 'resnet8' already",
    WINE.replace('"wine"', '"digits"'): "there is a data set 'digits' already",
    WINE.replace("classes=3", "classes=1"): "it needs at least 2 `classes`",
    "from dfcil_core.networks.catalog import BACKBONES\nmine = BACKBONES['resnet8']\n": "there is nothing in it",
}


@pytest.mark.parametrize(("source", "message"), REFUSED.items())
def test_what_is_wrong_is_a_persons_mistake(source, message, tmp_path):
    path, before = tmp_path / "mine.py", (list(BACKBONES), list(DATASETS))
    path.write_text(source)
    with pytest.raises(UserError, match=re.escape(message)):
        load_plugins(str(path))
    assert (list(BACKBONES), list(DATASETS)) == before


# ---- check-plugin ----------------------------------------------------------------------------------------------------


def problems(path):
    return {finding.claim.partition(",")[0]: finding.problem for finding in check(path) if finding.problem}


def test_the_documents_plug_ins_hold(plain, wine):
    for path, count in ((plain, 8), (wine, 3)):
        findings = list(check(path))
        assert len(findings) == count and [found for found in findings if found.problem] == []


WRONG_BACKBONES = {
    PLAIN.replace("nn.init.kaiming_normal_(layer.weight, generator=generator)", "pass"): "starts equal from one seed",
    PLAIN.replace("nn.BatchNorm2d(width), nn.ReLU()", "nn.ReLU()"): "can be dreamed from: has batch normalisations",
    PLAIN.replace("before, n_classes)", "before + 1, n_classes)"): "gives features and logits of their sizes",
    PLAIN.replace("nn.BatchNorm2d(width)", "nn.BatchNorm2d(width, track_running_stats=False)"): "answers each image",
}


@pytest.mark.parametrize(("source", "claim"), WRONG_BACKBONES.items(), ids=WRONG_BACKBONES.values())
def test_a_backbone_that_breaks_the_contract_is_told(source, claim, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source)
    assert any(told.startswith(claim) for told in problems(path))


WRONG_WINES = {
    WINE.replace("train_images=133", "train_images=132"): "opens",
    WINE.replace("classes=3", "classes=4"): "opens",
    WINE.replace("pixels = (255 * ", "pixels = (1 * "): "opens",
    WINE.replace("(pixels[test], labels[test])", "(pixels[~test][:45], labels[~test][-45:])"): "opens",
    WINE.replace("Images(pixels[~test], labels[~test])", "Images(pixels, labels)").replace("133", "178"): (
        "has no image both to train on and to test with"
    ),
    WINE.replace("pixels = (255", "pixels = torch.rand(178, 1, 1, 13) * (255"): "is the same when it is opened again",
}


@pytest.mark.parametrize(("source", "claim"), WRONG_WINES.items())
def test_a_data_set_that_breaks_the_contract_is_told(source, claim, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source)
    assert claim in problems(path)


LUCKY = '''
import torch
from dfcil_core.lazy import functional
from dfcil_core.methods.base import Method


class Lucky(Method):
    """A loss with a number that no stream draws."""

    name = "lucky"
    summary = source = "by chance"

    def loss(self, context, batch):
        logits = context.student(batch.images)[:, : context.n_seen]
        return functional.cross_entropy(logits, batch.labels) * (1 + torch.rand(()))
'''


def test_a_method_that_breaks_the_contract_is_told(tmp_path):
    (tmp_path / "lucky.py").write_text(LUCKY)
    done = dfcil("check-plugin", "lucky.py", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "ok      method lucky: learns two tasks" in done.stdout
    assert "FAILED  method lucky: gives the same numbers twice" in done.stdout
    assert "is every random number drawn from a stream?" in done.stdout
