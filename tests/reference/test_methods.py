"""Every method's whole chain of steps beside one written again from the papers, in double precision, to 1e-10."""

import pytest

from dfcil_core.methods import METHODS
from tests.golden.golden import double_precision
from tests.reference.base import Reference, same
from tests.reference.methods import REFERENCES
from tests.reference.recorded import stages
from tests.support.cases import METHODS_AND_QUIRKS

SETTINGS = {"bic": {"held_out": 0.3}, "upper-bound": {"at_every_task": True}}
R_DFCIL = {"epochs": 10, "per_class": 4}
"""Two epochs of refinement, so that its class weights are renewed; a step an epoch."""


@pytest.mark.parametrize(("name", "quirks"), METHODS_AND_QUIRKS)
def test_a_method_is_its_paper_step_by_step(name, quirks, tmp_path):
    size = R_DFCIL if name == "r-dfcil" else {}
    reference = REFERENCES[name](quirks, size.get("epochs", 2))
    kinds = []
    for trace in stages(name, quirks, tmp_path, **size, **SETTINGS.get(name, {})):
        kinds.append(trace.recipe.kind)
        with double_precision():
            getattr(reference, trace.recipe.kind)(trace)
    assert kinds.count("learn") == 3
    assert kinds.count("dream") == (2 if METHODS[name].dreams else 0)
    assert kinds.count("remember") == (2 if METHODS[name].selection else 0)


@pytest.mark.parametrize(("name", "wrong"), [("weight_decay", 1e-4), ("momentum", 0.2), ("lr", 0.01)])
def test_a_chain_that_differs_by_little_is_found(name, wrong, tmp_path):
    """What these tests hold is no tautology: another weight decay, momentum of the statistics, or rate is seen."""

    class Wrong(Reference):
        weight_decay = wrong if name == "weight_decay" else Reference.weight_decay

        def begin(self, first):
            super().begin(first)
            if name == "momentum":
                self.net.momentum = wrong

        def phase(self, *arguments, **keywords):
            return super().phase(*arguments, **keywords, **({"lr": wrong} if name == "lr" else {}))

    (first, *_) = stages("base", "none", tmp_path)
    with double_precision(), pytest.raises(AssertionError, match="weights before"):
        Wrong().learn(first)


def test_the_comparison_itself_sees_a_digit():
    with pytest.raises(AssertionError, match="x"):
        same(1.0, 1.0 + 2e-10, "x")
