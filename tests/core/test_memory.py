"""The memory: how many images of each class, which ones, and what the quirk of naive rehearsal does to it."""

from dataclasses import replace

import pytest
import torch

from dfcil_core import run_stage
from dfcil_core.data import DATASETS
from dfcil_core.data.images import ImageData, Images
from dfcil_core.memory import (
    RANKINGS,
    Memory,
    choose_random,
    choose_ranked,
    drawn_pool,
    herding,
    nearest_mean,
    published_quotas,
    quotas,
)
from tests.support.helpers import plan_of, run_one, stages


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def memory(images):
    """Of (position, label) pairs."""
    positions, labels = zip(*images, strict=True)
    return Memory(torch.tensor(positions), torch.tensor(labels))


def column(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


# ---- how many --------------------------------------------------------------------------------------------------------


def test_the_remainder_goes_to_the_latest_classes():
    assert quotas(10, 3) == [3, 3, 4]
    assert quotas(11, 3) == [3, 4, 4]
    assert quotas(2, 4) == [0, 0, 1, 1]
    assert quotas(2000, 100) == [20] * 100


@pytest.mark.parametrize("images", [1, 7, 60, 100, 101])
def test_a_class_never_gets_a_larger_quota_later(images):
    # Otherwise a memory that is only truncated would have too few images.
    for classes in range(1, 120):
        before, after = quotas(images, classes), quotas(images, classes + 1)
        assert sum(before) == images
        assert all(new <= old for old, new in zip(before, after, strict=False))


def test_a_class_with_fewer_images_than_its_quota_keeps_them_all():
    candidates = memory([(0, 5), (1, 5), (2, 9), (3, 9), (4, 9), (5, 9), (6, 9)])
    drawn = choose_random(8, (5, 9), (9,), candidates, rng())
    assert drawn.of(5).sort().values.tolist() == [0, 1] and len(drawn.of(9)) == 4
    features = torch.arange(5.0)[:, None]
    new = Memory(candidates.positions[2:], candidates.labels[2:])
    ranked = choose_ranked("herding", 8, (5, 9), memory([(0, 5), (1, 5)]), new, features)
    assert ranked.of(5).tolist() == [0, 1] and len(ranked.of(9)) == 4


# By hand. 10 of 3 classes are 3 each and one more, 11 two more; newest first, whoever has a fourth gets it.
PUBLISHED = [
    (10, (9, 9, 9), [3, 3, 4]),
    (11, (9, 9, 9), [3, 4, 4]),
    (10, (9, 9, 3), [3, 4, 3]),  # the newest has no fourth: the one before it has
    (10, (9, 3, 3), [4, 3, 3]),
    (11, (9, 3, 9), [4, 3, 4]),
    (11, (9, 3, 3), [4, 3, 3]),  # nobody has a fifth to give
    (10, (3, 3, 3), [3, 3, 3]),
    (9, (9, 1, 9), [3, 1, 3]),  # what one lacks of its three is nobody's
    (10, (9, 9, 1), [3, 4, 1]),
    (2, (5, 0, 5, 0), [1, 0, 1, 0]),
]


@pytest.mark.parametrize(("images", "candidates", "kept"), PUBLISHED)
def test_the_public_code_passes_the_remainder_on_to_the_class_before(images, candidates, kept):
    assert published_quotas(images, candidates) == kept
    classes = (5, 9, 2, 7)[: len(candidates)]
    labels = [label for label, count in zip(classes, candidates, strict=True) for _ in range(count)]
    held = Memory(torch.arange(len(labels)), torch.tensor(labels))
    counts = {}
    for quirks in ("none", "iccv2021"):
        chosen = choose_random(images, classes, classes[-1:], held, rng(), quirks)
        assert len(chosen.positions) == len(chosen.positions.unique())
        counts[quirks] = [len(chosen.of(label)) for label in classes]
    assert counts["iccv2021"] == kept
    lacking = zip(quotas(images, len(candidates)), candidates, strict=True)
    assert counts["none"] == [min(quota, count) for quota, count in lacking]


# ---- which -----------------------------------------------------------------------------------------------------------


def test_random_choice_is_without_replacement_and_in_class_order():
    candidates = Memory(torch.arange(200), torch.arange(200) % 4)
    chosen = choose_random(40, (3, 0, 2, 1), (2, 1), candidates, rng())
    assert chosen.labels.tolist() == [3] * 10 + [0] * 10 + [2] * 10 + [1] * 10
    assert len(chosen.positions.unique()) == 40
    assert (chosen.positions % 4 == chosen.labels).all()
    assert not torch.equal(chosen.positions, choose_random(40, (3, 0, 2, 1), (2, 1), candidates, rng(1)).positions)


def test_nearest_mean_by_hand():
    # The mean is 3: the distances are 3, 2, 1 and 6.
    assert nearest_mean(column(0, 1, 2, 9), 4).tolist() == [2, 1, 0, 3]
    assert nearest_mean(column(0, 1, 2, 9), 2).tolist() == [2, 1]


def test_herding_by_hand():
    # The mean is 3. First 2; with it 0, 1 and 9 make means of 1, 1.5 and 5.5: 1. With both, 0 and 9 make 1 and 4: 9.
    assert herding(column(0, 1, 2, 9), 4).tolist() == [2, 1, 3, 0]
    assert herding(column(0, 1, 2, 9), 9).tolist() == [2, 1, 3, 0]
    assert herding(column(0, 1, 2, 9), 0).tolist() == []


def test_herding_takes_the_best_next_image_at_every_step():
    features = torch.randn(30, 5, generator=rng()).double()
    order, mean = herding(features, 30).tolist(), features.mean(0)
    assert sorted(order) == list(range(30))
    for size in range(1, 31):
        gaps = {i: (features[[*order[: size - 1], i]].mean(0) - mean).norm() for i in order[size - 1 :]}
        assert gaps[order[size - 1]] == min(gaps.values())


def test_herding_represents_the_mean_better_than_the_nearest_images_do():
    # Two clusters, the mean between them: nearest-mean takes what lies between, or one side first.
    features = torch.cat([torch.randn(40, 3, generator=rng()) + 5, torch.randn(20, 3, generator=rng(1)) - 5])
    gaps = {name: (features[rank(features, 6)].mean(0) - features.mean(0)).norm() for name, rank in RANKINGS.items()}
    assert gaps["herding"] < gaps["nearest-mean"] / 3


def test_equal_images_are_taken_in_the_data_sets_order():
    for rank in RANKINGS.values():
        assert rank(torch.ones(5, 2), 3).tolist() == [0, 1, 2]


def test_old_classes_are_truncated_and_only_new_ones_ranked():
    before = memory([(70, 3), (10, 3), (40, 3), (20, 8), (90, 8), (50, 8)])
    new = memory([(1, 6), (2, 6), (3, 6)])
    chosen = choose_ranked("nearest-mean", 7, (3, 8, 6), before, new, column(9, 0, 3))
    assert chosen.labels.tolist() == [3, 3, 8, 8, 6, 6, 6]
    assert chosen.positions.tolist() == [70, 10, 20, 90, 3, 2, 1]  # distances from the mean 4: 5, 4, 1


# ---- the pool of rehearsal -------------------------------------------------------------------------------------------


def test_the_pool_is_half_old_and_drawn_once_a_task():
    held = Memory(torch.arange(1000, 1020), torch.zeros(20, dtype=torch.int64))
    pool = drawn_pool(torch.arange(100), held, seed=0, index=3)
    assert pool[:100].tolist() == list(range(100)) and len(pool) == 200
    assert set(pool[100:].tolist()) <= set(held.positions.tolist()) and len(pool[100:].unique()) > 10
    assert torch.equal(pool, drawn_pool(torch.arange(100), held, seed=0, index=3))
    assert not torch.equal(pool, drawn_pool(torch.arange(100), held, seed=0, index=4))
    assert drawn_pool(torch.arange(5), Memory.empty(), seed=0, index=0).tolist() == list(range(5))


# ---- the quirk, on CIFAR-100's index ---------------------------------------------------------------------------------


def distinct_after(tasks, quirks, folder, monkeypatch):
    """Distinct images among 2,000 after that many tasks: the `remember` stages, on labels alone."""
    blank = Images(torch.zeros(50_000, 1, 1, 1, dtype=torch.uint8), torch.arange(50_000) % 100)
    data = ImageData(blank, blank.take(torch.arange(0)), (0.0,) * 3, (1.0,) * 3)
    monkeypatch.setattr(run_stage, "open_data", lambda recipe, root: data)
    sizes = (100 // tasks,) * tasks
    plan = plan_of("rehearsal", sizes, dataset=DATASETS["cifar100"], memory=2000, quirks=quirks, image_size=32)
    found = []
    for stage in stages(plan, "remember"):
        found.append(run_one(stage, folder)["memory"])
    # The published run chooses a memory after the last task too, which our plans do without.
    (job,) = plan.jobs
    settings = {**stage.recipe.settings, "quirks": quirks}
    last = replace(stage.recipe, classes=job.tasks, stream=tasks - 1, parents={"memory": stage.key}, settings=settings)
    found.append(run_one(replace(stage, recipe=last), folder)["memory"])
    # With the quirk a class can stand fewer times in the pool than its quota asks for.
    assert all(memory["images"] == 2000 if quirks == "none" else 1900 < memory["images"] <= 2000 for memory in found)
    return found[-1]["distinct"]


@pytest.mark.parametrize(("tasks", "published"), [(5, 1320), (10, 965), (20, 624)])
def test_with_the_quirk_duplicates_accumulate(tasks, published, tmp_path, monkeypatch):
    distinct = distinct_after(tasks, "iccv2021", tmp_path, monkeypatch)
    assert distinct == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize("tasks", [5, 10, 20])
def test_without_it_there_are_none(tasks, tmp_path, monkeypatch):
    assert distinct_after(tasks, "none", tmp_path, monkeypatch) == 2000
