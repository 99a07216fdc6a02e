"""A sweep's rehearsal: every method, split and seed of it, on made-up images and with the shortest schedules.

It shows within minutes that a spec runs to its end, and is no measure of any method. Pure: a spec to a spec.
"""

from dataclasses import replace

from dfcil_core.data.catalog import synthetic_info
from orchestrator.spec.model import Dataset, MethodEntry, SweepSpec

SUFFIX = "-rehearsal"
TRAIN_PER_CLASS, TEST_PER_CLASS = 10, 1
BATCH = 32
LR = 0.01  # the full one can blow up a network whose running statistics have had but a dozen steps to settle
DREAM_STEPS = 2
MEMORY_PER_CLASS = 2  # the least of which bic, in the second of five tasks, holds out an image of each class


def rehearse(spec: SweepSpec) -> SweepSpec:
    """The rehearsal of `spec`, under a name of its own: `cifar100-data-free-rehearsal`.

    Synthetic images take the place of the data set's, as many classes of them and as large, but few of each; epochs,
    batches, dreaming steps and memory shrink; networks, splits, seeds and exclusions stay as they are.
    """
    if spec.rehearsed:
        return spec
    return replace(
        spec,
        name=spec.name + SUFFIX,
        dataset=_dataset(spec.dataset),
        methods=tuple(_entry(entry, spec.dataset.info.classes) for entry in spec.methods),
        rehearsed=True,
    )


def _dataset(dataset: Dataset) -> Dataset:
    # One image of each class for each fold, at least.
    folds = round(1 / dataset.holdout) if dataset.folds else 0
    info = synthetic_info(dataset.info.classes, max(TRAIN_PER_CLASS, folds), TEST_PER_CLASS)
    # Flipped and cropped as the real images are, so that the same augmentation is rehearsed.
    info = replace(info, flips=dataset.info.flips, resized_crops=dataset.info.resized_crops)
    return replace(dataset, info=info, root=None)


def _entry(entry: MethodEntry, classes: int) -> MethodEntry:
    training, dreaming = entry.training, entry.dreaming
    return replace(
        entry,
        training=replace(
            training,
            epochs=min(entry.method.fewest_epochs, training.epochs),
            milestones=None,
            warmup=0,
            batch_size=min(BATCH, training.batch_size),
            lr=min(LR, training.lr),
        ),
        dreaming=replace(dreaming, steps=min(DREAM_STEPS, dreaming.steps)),
        memory=min(MEMORY_PER_CLASS * classes, entry.memory),
        as_given=entry.as_given or entry,
    )
