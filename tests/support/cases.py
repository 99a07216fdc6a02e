"""Every method with and without quirks."""

import pytest

from dfcil_core.methods import METHODS

# The auto-encoder of dgr takes as long as ten other methods, and quirks hardly change it.
_LONG = {("dgr", "iccv2021")}
METHODS_AND_QUIRKS = [
    pytest.param(name, quirks, marks=[pytest.mark.long] if (name, quirks) in _LONG else [])
    for quirks in ("none", "iccv2021")
    for name in METHODS
]
