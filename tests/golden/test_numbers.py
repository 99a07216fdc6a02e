"""A change of the training core that moves a number must bump the version of the component that moved it.

Otherwise the store would serve old numbers for new work. They are computed in double precision (golden.py), so that the
same bound, one part in ten million, holds on every processor.
"""

import json

import pytest

from dfcil_core.methods import METHODS
from tests.golden import golden
from tests.support.cases import METHODS_AND_QUIRKS

EXPECTED = json.loads(golden.FILE.read_text())
REMEDY = (
    "if the change of results is meant: bump the component's version (dfcil_core/config.py, or the method's), write it "
    "into CHANGELOG.md with an old-against-new comparison over 5 seeds, and run `python -m tests.golden.golden`"
)


@pytest.mark.parametrize(("method", "quirks"), METHODS_AND_QUIRKS)
def test_numbers_move_only_with_a_version(method, quirks):
    expected = EXPECTED[f"{method} {quirks}"]
    assert golden.versions(method, quirks) == expected["versions"], f"golden.json is of other versions; {REMEDY}"
    measured = golden.numbers(method, quirks)
    off = golden.deviation(measured, expected["numbers"])
    assert off <= golden.BOUND, f"{method}: off by {off:.1e}; {REMEDY}"


def test_every_method_has_golden_numbers():
    assert EXPECTED.keys() == {f"{method} {quirks}" for method in METHODS for quirks in ("none", "iccv2021")}
