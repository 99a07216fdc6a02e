"""The numbers do not depend on how many stages run at a time."""

import pytest

from orchestrator.store import sweep_folder
from orchestrator.store.store import Store
from tests.support.launched import STAGES, launch


def records_of(runs):
    return Store(runs).records(sweep_folder.load(runs, "tiny").stages.values())


# Launches with one worker, whose process takes several seconds to load torch; that with two is shared with test_cli.
@pytest.mark.long
def test_one_worker_and_two_give_the_same_numbers_to_the_last_digit(tiny, tmp_path):
    two, one = records_of(tiny.runs), records_of(launch(tmp_path, jobs=1).runs)
    assert len(two) == STAGES and one.keys() == two.keys()
    evaluated = 0
    for key, record in one.items():
        other = two[key]
        # Networks, logits, generators with their optimisers, memories and pictures: every byte.
        assert record["files"] == other["files"]
        assert any(name.endswith(".safetensors") for name in record["files"])
        for part in ("evaluation", "curves", "memory"):
            assert record.get(part) == other.get(part)
        evaluated += "evaluation" in record
    assert evaluated == 4


@pytest.mark.parametrize("label", ["base", "abd", "rehearsal"])
def test_the_networks_have_learnt_something(tiny, label):
    plan = sweep_folder.load(tiny.runs, "tiny")
    job = next(job for job in plan.jobs if job.entry.label == label)
    first = records_of(tiny.runs)[job.learn[0]]["evaluation"]
    assert sum(first["correct"].values()) / sum(first["images"].values()) > 0.3  # of five classes, by chance 0.2
