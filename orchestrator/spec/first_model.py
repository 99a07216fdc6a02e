"""The `first_model:` key: files with the network after task 1, the same for all methods."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.spec.model import FirstModel, MethodEntry, Split
from orchestrator.spec.reading import Reading
from orchestrator.spec.yaml_document import Document, show

SEED = "{seed}"
"""Stands for the seed in the file's name."""
_PATH = ("first_model",)


def read_first_model(reading: Reading) -> dict[int, FirstModel]:
    """The file for each seed, the fresh ones of a search's confirmation included; empty where the key is not given.

    The files are read, and each must fit every network of the sweep. Where they are known from a launch
    (`Reading.first_models`) they are not looked at again.
    """
    document = reading.document
    given = document.data.get("first_model")
    if given is None:
        return {}
    if not isinstance(given, str) or not given:
        remedy = "Give the path of a safetensors file, as first-{seed}.safetensors"
        document.add(_PATH, f"{show(given)} is no file's name", given, remedy)
        return {}
    if reading.first_models is not None:
        return dict(reading.first_models)
    tune = reading.values["tune"]
    seeds = [*reading.seeds, *(tune.confirm.seeds if tune else ())]
    if not (reading.dataset and reading.methods and reading.splits and seeds):
        return {}  # what is wrong there is told already
    if not _one_first_task(reading, given, seeds):
        return {}
    entries = [entry for entry in reading.methods if entry.method.chained]
    return {
        seed: file for seed in seeds if (file := _file(document, given, seed, entries, reading.dataset.info.classes))
    }


def _one_first_task(reading: Reading, given: str, seeds: Sequence[int]) -> bool:
    """Whether a file's network is of the first task of every job that is to start from it."""
    document, splits = reading.document, reading.splits
    own = [entry for entry in reading.methods if entry.method.chained and not entry.method.takes_first_model]
    if len({_first_task(split) for split in splits}) > 1:
        message = "the splits begin with different classes, and a network is of one first task"
        document.add(_PATH, message, given, "Make a sweep of those that begin alike")
    elif len(set(seeds)) > 1 and SEED not in given and splits[0].order.labels is None:
        message = "one network for several seeds, each of which has other classes in its first task"
        document.add(_PATH, message, given, f"Give a file for each, with {SEED} in the name, or one seed")
    elif (tune := reading.values["tune"]) and "training.backbone" in tune.space:
        document.add(
            _PATH, "a search over training.backbone cannot start from one network", given, "Tune other settings"
        )
    elif own:
        message = f"{own[0].label} learns more than a network in its first task, and cannot start from one"
        document.add(_PATH, message, given, f"Leave {own[0].label} out")
    else:
        return True
    return False


def _first_task(split: Split) -> tuple[int, tuple[int, ...] | None]:
    """The classes of the first task; of an order shuffled by the seed, how many they are."""
    size, labels = split.sizes[0], split.order.labels
    return size, None if labels is None else labels[:size]


def _file(document: Document, given: str, seed: int, entries: Sequence[MethodEntry], classes: int) -> FirstModel | None:
    from dfcil_core.first_model import Misfit, check_fits, sha256, shapes

    path = Path(given.replace(SEED, str(seed))).expanduser().absolute()
    try:
        digest = sha256(path) if path.is_file() or not path.exists() else ""  # a pipe or a device has no end
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        document.add(_PATH, f"{path} cannot be read: {why}", given, "Give the path of a safetensors file")
        return None
    if not digest:
        document.add(_PATH, f"{path} is no file", given, "Give the path of a safetensors file")
        return None
    for entry in {entry.backbone: entry for entry in reversed(entries)}.values():
        try:
            check_fits(shapes(path), entry.backbone, classes)
        except Misfit as misfit:
            network = f"{entry.backbone} with {classes} outputs, the network of {entry.label}"
            remedy = "`dfcil-sweep convert-model` makes a file of the public code's class.pth"
            document.add(_PATH, f"{path} is not of {network}: {misfit}", given, remedy)
            return None
    return FirstModel(str(path), digest)
