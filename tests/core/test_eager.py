"""The optimisers compute what torch's do, and neither they nor a stage load torch.compile."""

import subprocess
import sys

import pytest
import torch

from dfcil_core import eager
from tests.support.paths import ROOT

STAGE = """
import sys, tempfile
from pathlib import Path
from dfcil_core.execution import Execution
from dfcil_core.run_stage import run_stage
from tests.support.fabricated import sweep
made = {}
for key, stage in sweep(methods=("abd",), seeds=(0,)).stages.items():
    if stage.recipe.task == 2 and stage.recipe.kind == "dream":
        break
    made[key] = Path(tempfile.mkdtemp())
    parents = {role: made[parent] for role, parent in stage.recipe.parents.items()}
    run_stage(stage.recipe, made[key], parents, Execution())
print(*(name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules))
"""


@pytest.mark.parametrize(
    "ours, theirs, settings",
    [
        (eager.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4}),
        (eager.Adam, torch.optim.Adam, {"lr": 1e-3, "fused": True}),
        (eager.AdamW, torch.optim.AdamW, {"lr": 1e-3}),
    ],
)
def test_a_step_is_torchs_own_to_the_bit(ours, theirs, settings):
    found = []
    for optimizer_type in (ours, theirs):
        torch.manual_seed(0)
        weights = torch.nn.Parameter(torch.randn(7, 5))
        optimizer = optimizer_type([weights], **settings)
        for _ in range(3):
            optimizer.zero_grad(set_to_none=True)
            (weights.sin() ** 2).sum().backward()
            optimizer.step()
        found.append((weights.detach(), optimizer.state_dict()))
    (ours, our_state), (theirs, their_state) = found
    assert torch.equal(ours, theirs)
    assert our_state["param_groups"] == their_state["param_groups"]
    for name, value in their_state["state"][0].items():
        assert torch.equal(our_state["state"][0][name], value)


@pytest.mark.long
def test_learning_and_dreaming_load_no_compiler():
    done = subprocess.run([sys.executable, "-c", STAGE], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
