"""A rehearsal has the shape of its sweep and hardly any of its work."""

from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.spec.rehearsal import MEMORY_PER_CLASS, TRAIN_PER_CLASS, rehearse

SPEC = """\
name: big
dataset: {name: cifar100, root: /nowhere}
methods: [base, abd, r-dfcil, rehearsal, {name: lwf, label: short, training: {epochs: 1, batch_size: 8}}]
tasks: [5, {first: 50, then: 10}]
seeds: [0, 1]
exclude:
  - {method: abd, training.epochs: 250, seed: 1}
  - {method: rehearsal, memory: 2000, tasks: 5}
"""


def test_it_has_the_same_cells_classes_and_networks():
    read = parse_spec(SPEC, "s.yaml")
    real, rehearsal = make_plan(read), make_plan(rehearse(read))
    assert rehearsal.spec.name == "big-rehearsal"
    # The exclusions name settings that a rehearsal changes; what they mean stays the same.
    assert real.excluded == rehearsal.excluded == 4
    assert [job.name for job in real.jobs] == [job.name for job in rehearsal.jobs]
    assert [job.tasks for job in real.jobs] == [job.tasks for job in rehearsal.jobs]
    stages = list(zip(real.stages.values(), rehearsal.stages.values(), strict=True))
    for before, after in stages:
        one, other = before.recipe, after.recipe
        assert (one.kind, one.classes, one.width, one.method) == (other.kind, other.classes, other.width, other.method)
        assert one.training.get("backbone") == other.training.get("backbone")
        assert one.data.augmentation == other.data.augmentation and one.data.image_size == other.data.image_size
    assert not real.stages.keys() & rehearsal.stages.keys()


def test_it_needs_no_files_and_little_time():
    read = rehearse(parse_spec(SPEC, "s.yaml"))
    assert read.dataset.info.name == "synthetic" and read.dataset.root is None
    assert (read.dataset.info.classes, read.dataset.info.train_images) == (100, 1000)
    for entry in read.methods:
        # One epoch for each of a method's stages, so that all of them are rehearsed.
        assert entry.training.epochs == (2 if entry.method.name == "r-dfcil" else 1)
        assert entry.training.batch_size <= 32 and entry.dreaming.steps <= 2 and entry.memory <= 200
        assert entry.training.resolved_milestones()[-1] <= entry.training.epochs
    short = read.methods[-1].training
    assert (short.epochs, short.batch_size) == (1, 8)


def test_a_rehearsal_is_not_rehearsed_again():
    once = rehearse(parse_spec(SPEC, "s.yaml"))
    assert rehearse(once) is once


def test_bic_learns_its_correction_in_every_split():
    """With a smaller memory nothing would be held out, and the second phase never run."""
    from dfcil_core.methods.bic import Bic

    for tasks in (5, 10, 20):
        first = 100 // tasks
        images = min(MEMORY_PER_CLASS * 100, first * TRAIN_PER_CLASS)
        assert int(int(Bic.settings_type().held_out * images) / first) == 1
