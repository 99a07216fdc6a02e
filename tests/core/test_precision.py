"""`training.precision: bfloat16`: the networks' convolutions, and nothing else, where the processor can do it."""

import pytest
import torch
from torch import nn

from dfcil_core import precision, processor
from dfcil_core import train as loop
from dfcil_core.dream import losses as dreaming_losses
from dfcil_core.dream import train as dreaming
from dfcil_core.precision import computed, reduced
from orchestrator import launch as launching
from tests.support.helpers import plan_of, run_plan, stages

METHODS = ["base", "lwf-mc", "dgr", "deep-inversion", "lwf-synthetic", "abd", "r-dfcil", "e2e", "bic"]
REDUCED = {"precision": "bfloat16", "epochs": 1}


@pytest.fixture
def able(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)


@pytest.fixture
def unable(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)


class Dtypes:
    """The dtypes of what layers gave, by kind of layer, while networks are trained."""

    def __init__(self, monkeypatch):
        self.seen = {}
        for kind in (nn.Conv2d, nn.BatchNorm2d):
            monkeypatch.setattr(kind, "forward", self._noting(kind))

    def _noting(self, kind):
        forward = kind.forward

        def noting(layer, x):
            result = forward(layer, x)
            if torch.is_grad_enabled():
                self.seen.setdefault(kind, set()).add(result.dtype)
            return result

        return noting


# A learn stage of each method, from task to task: 10 s.
@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_convolutions_are_reduced_and_heads_losses_and_weights_are_not(method, able, monkeypatch, tmp_path):
    losses, heads, statistics, dtypes = [], [], [], Dtypes(monkeypatch)
    start = loop._PhaseRun.__init__

    def started(self, context, phase, *more):
        inner = phase.loss

        def loss(context, batch):
            value = inner(context, batch)
            assert not torch.is_autocast_enabled("cpu")
            losses.append(value.dtype)
            return value

        phase.loss = loss
        context.student.head.register_forward_hook(lambda head, inputs, result: heads.append(result.dtype))
        start(self, context, phase, *more)
        tensors = [*context.student.state_dict().values(), *(p for p in self.optimizer.param_groups[0]["params"])]
        statistics.extend(tensor.dtype for tensor in tensors if tensor.is_floating_point())

    monkeypatch.setattr(loop._PhaseRun, "__init__", started)
    plan = plan_of(method, (2, 2), training=REDUCED, memory=20)
    for record in (records := run_plan(plan, tmp_path)).values():
        assert record.get("precision") in ("bfloat16", None)
    assert any("precision" in record for record in records.values())
    assert set(losses) == set(heads) == set(statistics) == {torch.float32}
    assert torch.bfloat16 in dtypes.seen[nn.Conv2d] and torch.bfloat16 in dtypes.seen[nn.BatchNorm2d]


def test_dreaming_holds_statistics_and_losses_in_float32(able, monkeypatch, tmp_path):
    moments, terms = [], []
    divergence, diversity = dreaming_losses.BatchNormStatistics.divergence, dreaming_losses.diversity

    def noting(self):
        moments.extend(value.dtype for pair in self.moments for value in pair)
        return divergence(self)

    def noted(logits):
        terms.append(logits.dtype)
        return diversity(logits)

    monkeypatch.setattr(dreaming_losses.BatchNormStatistics, "divergence", noting)
    monkeypatch.setattr(dreaming.losses, "diversity", noted)
    dtypes = Dtypes(monkeypatch)
    plan = plan_of("abd", (2, 2), training=REDUCED)
    records = run_plan(plan, tmp_path)
    (dream,) = stages(plan, "dream")
    assert records[dream.key]["precision"] == "bfloat16"
    assert set(moments) == set(terms) == {torch.float32} and len(moments) > 2
    assert torch.bfloat16 in dtypes.seen[nn.Conv2d]


def test_a_processor_without_it_computes_in_float32_and_the_record_says_so(unable, tmp_path):
    plans = [plan_of("base", (2, 2), training={**REDUCED, "precision": kind}) for kind in ("bfloat16", "float32")]
    folders = [tmp_path / "asked", tmp_path / "plain"]
    asked, plain = (list(run_plan(plan, folder).values()) for plan, folder in zip(plans, folders, strict=True))
    for one, other in zip(asked, plain, strict=True):
        assert one.pop("precision") == "float32" and "precision" not in other
        assert one == other
    assert not plans[0].stages.keys() & plans[1].stages.keys()


def test_a_gpu_is_asked_as_it_is(unable):
    assert computed("bfloat16", "cuda") == "bfloat16" and computed("bfloat16", "cpu") == "float32"
    with reduced("float32", "cpu"):
        assert not precision._reduced.get()


def test_its_version_is_in_the_keys_of_its_own_stages_alone():
    for stage in plan_of("abd", (2, 2), training=REDUCED).stages.values():
        assert stage.recipe.versions["bfloat16"] == 2
    for stage in plan_of("abd", (2, 2)).stages.values():
        assert "bfloat16" not in stage.recipe.versions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nmodel name\t: bf16\n", False),
        (None, False),
    ],
)
def test_what_linux_says_of_a_processor(text, expected, monkeypatch, tmp_path):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    processor.multiplies_bfloat16.cache_clear()
    try:
        assert processor.multiplies_bfloat16() is expected
    finally:
        processor.multiplies_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("kind", "can", "told"), [("bfloat16", False, 1), ("bfloat16", True, 0), ("float32", False, 0)]
)
def test_a_launch_says_that_the_processor_cannot(kind, can, told, monkeypatch):
    monkeypatch.setattr(launching, "multiplies_bfloat16", lambda: can)
    warnings = []
    launching._tell_of_device(plan_of("base", (2, 2), training={"precision": kind}), "off", warnings.append)
    assert len(warnings) == told
    assert all("float32" in warning for warning in warnings)
