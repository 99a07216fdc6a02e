"""The `dataset:` section: which images, of what size, and where they lie."""

import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any

from annotated_types import Ge, Le

from dfcil_core.data.catalog import (
    DATASETS,
    FIXED,
    IMAGE_FILES,
    SUBSET,
    UNREAD,
    DatasetInfo,
    image_files_info,
    subset_info,
    subset_limits,
    synthetic_info,
    unread_info,
)
from dfcil_core.data.cifar_files import ARCHIVES, FASHION_MNIST_ADDRESS, list_cifar, require_fashion_mnist
from dfcil_core.errors import AbsentData, MissingData
from orchestrator.errors import UserError, choices
from orchestrator.spec import settings
from orchestrator.spec.model import Dataset
from orchestrator.spec.reading import Reading
from orchestrator.spec.yaml_document import Document, KeyPath, show


@dataclass(frozen=True)
class DatasetForm:
    """`dataset:` written out."""

    __pydantic_config__ = {"extra": "forbid"}

    name: str = "digits"
    """Which images (`dfcil-sweep datasets` lists them)."""
    root: str | None = None
    """The folder that the data set lies in, and is downloaded to; `~` is the home folder. By default `data`."""
    image_size: Annotated[int, Ge(8), Le(4096)] | None = None
    """Height and width of an image in pixels; by default the data set's own."""
    holdout: Annotated[float, Ge(0), Le(0.5)] = 0.0
    """Share of each class's training images held out to stand for the test images, which then stay unseen."""


@dataclass(frozen=True)
class FolderForm(DatasetForm):
    """`dataset:` of image files of one's own, a folder a class."""

    classes: tuple[str, ...] | None = None
    """Names of the class folders, in the order of their labels; by default all, in alphabetical order."""


@dataclass(frozen=True)
class SyntheticForm(DatasetForm):
    """`dataset:` of images made on the spot."""

    # Of more, the planner's own lists alone would take the memory; ImageNet-21k has 21,841 classes.
    classes: Annotated[int, Ge(1), Le(100_000)] = 10
    """Classes in all."""
    train_per_class: Annotated[int, Ge(1), Le(1_000_000)] = 100
    """Training images of each class."""
    test_per_class: Annotated[int, Ge(1), Le(1_000_000)] = 20
    """Test images of each class."""


@dataclass(frozen=True)
class PartForm(DatasetForm):
    """The first classes of a data set of fixed content, and the first images of each; None: all."""

    classes: Annotated[int, Ge(2)] | None = None
    """So many classes, the first ones; by default all."""
    train_per_class: Annotated[int, Ge(1)] | None = None
    """So many training images of each class, the first ones; by default all."""
    test_per_class: Annotated[int, Ge(1)] | None = None
    """So many test images of each class, the first ones; by default all."""


FORMS: dict[str, type[DatasetForm]] = {
    "folder": FolderForm,
    "synthetic": SyntheticForm,
    **dict.fromkeys(FIXED, PartForm),
}
"""Data set to what `dataset:` can say of it; of one that is not here, what it can of any."""
_SECONDS_TO_ANSWER = 10
ADDRESSES = {**{name: archive.address for name, archive in ARCHIVES.items()}, "fashion-mnist": FASHION_MNIST_ADDRESS}
"""Where what can be downloaded is downloaded from."""


def read_dataset(reading: Reading) -> Dataset | None:
    """The data set; None where its name is wrong, and so its number of classes unknown.

    Image files are hashed where they lie, and their digest is `unread` where there is nothing yet.
    """
    document, known = reading.document, reading.known
    given = name = document.data.get("dataset", "digits")
    path: KeyPath = ("dataset",)
    if isinstance(given, dict):
        name = given.get("name")
        form_type = FORMS.get(name, DatasetForm) if isinstance(name, str) else DatasetForm
        form = form_type(**settings.read(document, path, given, form_type))
        path = ("dataset", "name")
        if name is None:
            document.add(path, "the data set has no name", None, choices("", DATASETS))
            return None
    else:
        form = FORMS.get(name, DatasetForm)() if isinstance(name, str) else DatasetForm()
    if not isinstance(name, str) or name not in DATASETS:
        document.add(path, f"unknown data set {show(name)}", name, choices(str(name), DATASETS))
        return None
    if form.root == "":
        document.add(("dataset", "root"), "'' is empty", "", "It is the folder of the data set, as ~/data")
    root = reading.data_root or (os.path.expanduser(form.root) if form.root else None)
    info = known if known and known.name == name else _info(document, name, form, root)
    return Dataset(info, form.image_size or info.image_size, root, form.holdout) if info else None


def require_files(dataset: Dataset) -> None:
    """Raise UserError unless the files of the data set are there, or can be downloaded.

    Image files must have been there when the spec was read: their digest is in every stage's identity.
    """
    try:
        _look(dataset)
    except AbsentData as error:
        address = ADDRESSES.get(dataset.info.name)
        if address is None:
            raise UserError(str(error)) from None
        if not answers(address, _SECONDS_TO_ANSWER):
            raise UserError(f"{error}. It cannot be downloaded either: {address} does not answer") from None
    except MissingData as error:
        raise UserError(str(error)) from None
    else:
        if dataset.info.digest == UNREAD:
            raise UserError(f"the images of {dataset.info.name} came after the spec was read. Launch again")


def missing_files(dataset: Dataset) -> str:
    """Which file to put where before a launch; empty where all are there. Asks no network."""
    try:
        _look(dataset)
    except MissingData as error:
        return str(error)
    return ""


def _look(dataset: Dataset) -> None:
    """Raise MissingData where files of the data set are not where they are looked for."""
    name = dataset.info.name
    if name in ARCHIVES:
        list_cifar(name, dataset.root)
    elif name == "fashion-mnist":
        require_fashion_mnist(dataset.root)
    elif dataset.info.digest == UNREAD:
        image_files_info(name, dataset.root, dataset.info.options.get("classes"))


def answers(address: str, seconds: float) -> bool:
    """Whether a server answers for that address within the time."""
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(address, method="HEAD"), timeout=seconds):
            return True
    except OSError:
        return False


def _info(document: Document, name: str, form: DatasetForm, root: str | None) -> DatasetInfo | None:
    if isinstance(form, SyntheticForm):
        return synthetic_info(form.classes, form.train_per_class, form.test_per_class)
    if name in FIXED:
        part = {key: getattr(form, key) for key in SUBSET}
        return subset_info(name, **part) if _within(document, name, part) else None
    if name not in IMAGE_FILES:
        return DATASETS[name]
    classes = form.classes if isinstance(form, FolderForm) else None
    if classes is not None and not _sound(document, classes):
        return None
    try:
        return image_files_info(name, root, classes)
    except AbsentData as error:
        if classes is not None or name != "folder":
            return unread_info(name, classes)
        remedy = "With `classes: [...]` a sweep can be planned without the files"
        document.add(("dataset",), str(error), show(document.data.get("dataset")), remedy)
    except MissingData as error:
        document.add(("dataset",), str(error), show(document.data.get("dataset")))
    return None


def _within(document: Document, name: str, part: dict[str, int | None]) -> bool:
    """Whether there is as much as is asked for, of every class asked for."""
    before = len(document.problems)
    given = document.data["dataset"] if isinstance(document.data.get("dataset"), dict) else {}
    if any(given.get(key) is not None and part[key] is None for key in SUBSET):
        return False  # told already
    for key, most in subset_limits(name).items():
        if key != "classes":
            most = subset_limits(name, part["classes"])[key]
        asked = part[key]
        if asked is not None and asked > most:
            has = f"{name} has {most} classes" if key == "classes" else f"a class of {name} has no more than {most}"
            document.add(("dataset", key), f"{asked} is too large", asked, f"It must be at most {most}: {has}")
    return len(document.problems) == before


def _sound(document: Document, classes: tuple[str, ...]) -> bool:
    """Whether each of the class names can be a folder's, and stands there once."""
    before, seen = len(document.problems), set()
    if not classes:
        document.add(("dataset", "classes"), "the list of classes is empty", [], "Leave it out for all classes")
    for index, name in enumerate(classes):
        path: tuple[Any, ...] = ("dataset", "classes", index)
        if PurePath(name).name != name:
            document.add(path, f"{show(name)} is no folder's name", name, "Give the name of a folder in train/")
        elif name in seen:
            document.add(path, f"{show(name)} is given twice", name, "Give each class once")
        seen.add(name)
    return len(document.problems) == before
