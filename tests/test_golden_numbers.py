"""A change of the training core that moves a number must bump the version of the component that moved it.

Otherwise the store would serve old numbers for new work. The numbers are compared to one part in a thousand: processors
round differently, and a change that matters moves more.
"""

import json

import pytest

from dfcil_core.methods import METHODS
from tests import golden

EXPECTED = json.loads(golden.FILE.read_text())
REMEDY = (
    "if the change of results is meant: bump the component's version (dfcil_core/config.py, or the method's), write it "
    "into CHANGELOG.md with an old-against-new comparison over 5 seeds, and run `python -m tests.golden`"
)


@pytest.mark.parametrize("quirks", ["none", "iccv2021"])
@pytest.mark.parametrize("method", METHODS)
def test_numbers_move_only_with_a_version(method, quirks):
    expected = EXPECTED[f"{method} {quirks}"]
    assert golden.versions(method) == expected["versions"], f"golden.json is of other versions; {REMEDY}"
    measured = golden.numbers(method, quirks)
    assert measured.keys() == expected["numbers"].keys()
    for stage, values in expected["numbers"].items():
        assert measured[stage] == pytest.approx(values, rel=1e-3, abs=1e-4), f"{method}, {stage}: {REMEDY}"


def test_every_method_has_golden_numbers():
    assert EXPECTED.keys() == {f"{method} {quirks}" for method in METHODS for quirks in ("none", "iccv2021")}
