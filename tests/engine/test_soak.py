"""A small dose of `make soak`."""

import pytest

from tests.support import soak

SMALL = soak.SPEC.replace("[base, lwf, abd, rehearsal]", "[base, abd]").replace("tasks: [5]", "tasks: [2]")


# A minute or more: each killed launcher is followed by one that loads torch anew, in itself and in two workers.
@pytest.mark.long
def test_a_sweep_that_is_not_left_in_peace_ends_with_the_same_table(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "_PAUSES", (1.0, 6.0))
    kills = soak.soak(tmp_path, most=3, seed=1, text=SMALL)
    assert kills.all >= 3
