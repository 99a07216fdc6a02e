"""The `dataset:` section: which images, of what size, and where they lie."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, MinLen

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
    title: str | None = None
    """What the images are called in tables, figures and MLflow; by default `folder`. It changes no number."""


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


@dataclass(frozen=True)
class Folds:
    """`holdout: {share: 0.1, fold: [0, 1, 2]}`: parts of each class's training images, held out one after the other."""

    __pydantic_config__ = {"extra": "forbid"}

    share: Annotated[float, Gt(0), Le(0.5)]
    """Share of each class's training images in a fold: one part of a whole number, as 0.1 or 0.2."""
    fold: Annotated[tuple[Annotated[int, Ge(0)], ...], MinLen(1)]
    """Which folds are held out, from 0 on: a number, or a list; every job runs once with each."""


FORMS: dict[str, type[DatasetForm]] = {
    "folder": FolderForm,
    "synthetic": SyntheticForm,
    **dict.fromkeys(FIXED, PartForm),
}
"""Data set to what `dataset:` can say of it; of one that is not here, what it can of any."""
_ROUNDED = 0.02  # of a fold that 1/3 written as 0.33 may lack, or 1/7 as 0.14
_SECONDS_TO_ANSWER = 10
_TITLE = 60  # characters
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
        folded = isinstance(given.get("holdout"), dict)
        plain = {key: value for key, value in given.items() if not (folded and key == "holdout")}
        form = form_type(**settings.read(document, path, plain, form_type))
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
    if info is None:
        return None
    if isinstance(form, FolderForm):
        info = replace(info, called=_title(document, form))
    size, holdout = form.image_size or info.image_size, given.get("holdout") if isinstance(given, dict) else None
    if isinstance(holdout, dict):
        return Dataset(info, size, root, *_folds(document, holdout, info))
    return Dataset(info, size, root, form.holdout)


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


def _folds(document: Document, given: dict[str, Any], info: DatasetInfo) -> tuple[float, tuple[int, ...]]:
    """The share of a fold, and which are held out; what is wrong with them is noted."""
    path: KeyPath = ("dataset", "holdout")
    one = isinstance(given.get("fold"), int | float | str)
    form = settings.read(document, path, {**given, "fold": [given["fold"]]} if one else given, Folds)
    if len(form) < 2:
        return 0.0, ()
    share, folds = form["share"], form["fold"]
    parts = round(1 / share)
    if abs(parts * share - 1) > _ROUNDED:
        below, above = math.floor(1 / share), math.ceil(1 / share)
        remedy = f"{1 / above:.3g} makes {above} folds, {1 / below:.3g} makes {below}"
        document.add((*path, "share"), f"folds of {share} do not make up all images", share, remedy)
        return 0.0, ()
    fewest = min(info.train_counts, default=parts)
    if fewest < parts:
        message = f"{share} makes {parts} folds, and a class has {fewest} training images"
        document.add((*path, "share"), message, share, f"It must be at least {1 / max(2, fewest):.3g}")
    for index, fold in enumerate(folds):
        here: KeyPath = (*path, "fold") if one else (*path, "fold", index)
        if fold >= parts:
            document.add(here, f"there is no fold {fold} of {share}", fold, f"It must be at most {parts - 1}")
        elif fold in folds[:index]:
            document.add(here, f"{fold} is given twice", fold, "Give each fold once")
    return 1 / parts, folds


def _title(document: Document, form: FolderForm) -> str:
    """The title; empty where none is given, or it is none."""
    title, path = form.title, ("dataset", "title")
    if title is None:
        return ""
    if not title.strip() or len(title) > _TITLE or not title.isprintable():
        document.add(path, f"{show(title)} is no title", title, f"Give 1 to {_TITLE} characters in one line")
    elif title in DATASETS:
        remedy = f"{title} is another data set, and its published figures are not of yours. Give another title"
        document.add(path, f"{show(title)} is taken", title, remedy)
    return title


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
