"""Data sets that are folders of image files: which files, of which class, and the digest of them all. Without torch.

Two layouts:
- `folder`: `train/CLASS/*` and `val/CLASS/*`, as ImageNet is usually unpacked, or `test/CLASS/*` without a `val`;
- `tiny-imagenet`: the official archive's, `train/WNID/images/*.JPEG`, `val/images/*.JPEG`, `val/val_annotations.txt`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dfcil_core.data.cache import cached_text
from dfcil_core.errors import AbsentData, MissingData

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TINY_IMAGENET = "tiny-imagenet-200"
TINY_CLASSES, TINY_TRAIN, TINY_VAL = 200, 100_000, 10_000

TESTED = ("val", "test")
"""The folders that test images may lie in, the first that is there: an ImageNet's `test` has no labels."""
PARTS = ("train", *TESTED)
_LOOKED_AT = 50  # folders in which a layout is looked for

_Read = TypeVar("_Read")
_THREADS = 8  # reading files waits for the disk more than for the processor


@dataclass(frozen=True)
class Listing:
    """The files of a data set, relative to `root`, each with its class as a position in `classes`."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Training images of each class."""
        counts = Counter(label for _, label in self.train)
        return tuple(counts[label] for label in range(len(self.classes)))

    def digest(self) -> str:
        """`sha256:...` over the class list, and every file's part, class, name and content.

        Hashing reads every file, once: the digest is remembered until a name, a size or a time of change is another.
        """
        return cached_text(f"digest of {self.root} {self.fingerprint()}", lambda: _digest(self))

    def fingerprint(self) -> str:
        """SHA-256 over the names, sizes and times of change of the files: cheap, and another when one was replaced."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for name, label in (*self.train, *self.test):
            status = _reading(self.root / name, Path.stat)
            digest.update(f"{name}\0{label}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def list_folder(root: str | None, classes: Sequence[str] | None) -> Listing:
    """The files of a `folder` data set; all classes in alphabetical order, or those given in the order given.

    Raises AbsentData when there is no such folder, MissingData when images lie in it otherwise, or a class has none.
    """
    folder = Path(root or "data").expanduser().absolute()
    tested = next((part for part in TESTED if (folder / part).is_dir()), None)
    if not (folder / "train").is_dir() or tested is None:
        raise _laid_out_otherwise(folder)
    if classes is None:
        classes = class_folders(folder / "train")
        if not classes:
            raise MissingData(f"{folder / 'train'} has no class folders: put a folder a class into it")
        if untrained := sorted(set(class_folders(folder / tested)) - set(classes)):
            raise MissingData(
                f"{folder / tested} has the class {untrained[0]}, which {folder / 'train'} has not: add its training "
                "images, take it away, or list the classes that count as `classes: [...]`"
            )
    train, test = ([*_of_classes(folder, part, classes)] for part in ("train", tested))
    return Listing(folder, tuple(classes), tuple(train), tuple(test))


def _laid_out_otherwise(folder: Path) -> MissingData:
    """What to do with a folder that does not have the parts. AbsentData where there is nothing to be seen of images."""
    try:
        inside = class_folders(folder) if folder.is_dir() else []
        holding = [name for name in inside[:_LOOKED_AT] if name not in PARTS and images_in(folder / name)]
        loose = images_in(folder) if folder.is_dir() else []
        deeper = [name for name in inside[:_LOOKED_AT] if (folder / name / "train").is_dir()]
    except PermissionError as error:
        return MissingData(f"{error.filename} cannot be read: {error.strerror}")
    share = "of each class the images to test on, a fifth of them, say"
    if deeper:
        return MissingData(f"{folder} has no folders train and val, but {deeper[0]} in it has train: is it the root?")
    if "train" in inside:
        return MissingData(f"{folder} has train, and no val (or test): put into val {share}, as val/CLASS/*")
    if holding:
        named = f"{', '.join(holding[:3])}{', ...' if len(holding) > 3 else ''}"
        return MissingData(
            f"{folder} has a folder a class ({named}), not parted into training and test images: move them into train, "
            f"and {share}, into val, so that there are train/{holding[0]}/* and val/{holding[0]}/*"
        )
    if loose:
        return MissingData(
            f"{folder} has images ({loose[0]}{', ...' if len(loose) > 1 else ''}) and no folder a class: put those to "
            "train on into train/CLASS, and those to test on into val/CLASS, with the name of each class for CLASS"
        )
    return AbsentData(
        f"{folder} has no folders train and val (or test), each with a folder a class; set `dataset: {{name: folder, "
        "root: FOLDER}` or `--data-root FOLDER` to where they lie"
    )


def list_tiny_imagenet(root: str | None) -> Listing:
    """The files of Tiny ImageNet, in or as `root`; classes in alphabetical order. Raises MissingData."""
    folder = Path(root or "data").expanduser().absolute()
    if (folder / TINY_IMAGENET).is_dir():
        folder = folder / TINY_IMAGENET
    annotations = folder / "val" / "val_annotations.txt"
    if not annotations.is_file() or not (folder / "train").is_dir():
        raise AbsentData(
            f"Tiny ImageNet is not in {folder}; unpack tiny-imagenet-200.zip there, or set `dataset: {{name: "
            "tiny-imagenet, root: FOLDER}` or `--data-root FOLDER` to where it lies"
        )
    classes = tuple(class_folders(folder / "train"))
    label = {name: position for position, name in enumerate(classes)}
    train = [
        (f"train/{name}/images/{file}", label[name])
        for name in classes
        for file in images_in(folder / "train" / name / "images")
    ]
    rows = [line.split("\t")[:2] for line in annotations.read_text().splitlines() if line.strip()]
    unknown = sorted({name for _, name in rows} - label.keys())
    if unknown:
        raise MissingData(f"{annotations}: the class {unknown[0]} has no folder under {folder / 'train'}")
    test = sorted((f"val/images/{file}", label[name]) for file, name in rows)
    found = (len(classes), len(train), len(test))
    if found != (TINY_CLASSES, TINY_TRAIN, TINY_VAL):
        raise MissingData(
            f"{folder} holds {found[0]} classes, {found[1]} training and {found[2]} validation images, and Tiny "
            f"ImageNet has {TINY_CLASSES}, {TINY_TRAIN} and {TINY_VAL}: unpack tiny-imagenet-200.zip again"
        )
    return Listing(folder, classes, tuple(train), tuple(test))


def list_files(name: str, root: str | None, classes: Sequence[str] | None = None) -> Listing:
    """The files of the data set of this name. Raises MissingData."""
    return list_tiny_imagenet(root) if name == "tiny-imagenet" else list_folder(root, classes)


def _of_classes(folder: Path, part: str, classes: Sequence[str]) -> Iterator[tuple[str, int]]:
    for position, name in enumerate(classes):
        files = images_in(folder / part / name)
        if not files:
            raise MissingData(f"{folder / part / name} holds no image ({', '.join(SUFFIXES)}), or is no folder")
        for file in files:
            yield f"{part}/{name}/{file}", position


def images_in(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[str]:
    """Names of the image files in a folder, in alphabetical order; none where there is no folder.

    What is hidden is no image: `._x.png` is what macOS writes beside one. Raises MissingData for what only looks like
    an image: a link that leads nowhere, a folder.
    """
    if not folder.is_dir():
        return []
    found = [entry for entry in _shown(folder) if entry.name.lower().endswith(suffixes)]
    for entry in found:
        if not entry.is_file():
            what = "a link to what is not there" if entry.is_symlink() else "a folder" if entry.is_dir() else "no file"
            raise MissingData(f"{folder / entry.name} is {what}, and is named like an image: take it away, or put one")
    return sorted(entry.name for entry in found)


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, in alphabetical order, but for hidden ones (`.ipynb_checkpoints`)."""
    return sorted(entry.name for entry in _shown(folder) if entry.is_dir())


def _shown(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in found:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise MissingData(f"{folder / entry.name}: this name is not UTF-8. Rename it") from None
    return found


def _reading(path: Path, read: Callable[[Path], _Read]) -> _Read:
    """What `read` gives of the file. Raises MissingData where it cannot be read, or was taken away just now."""
    try:
        return read(path)
    except OSError as error:
        raise MissingData(f"{path} cannot be read: {error.strerror}") from error


def _digest(listing: Listing) -> str:
    total = hashlib.sha256("\0".join(listing.classes).encode())
    files = (*listing.train, *listing.test)
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = pool.map(
            lambda file: hashlib.sha256(_reading(listing.root / file[0], Path.read_bytes)).hexdigest(), files
        )
        for (name, label), content in zip(files, contents, strict=True):
            total.update(f"{name}\0{label}\0{content}\n".encode())
    return f"sha256:{total.hexdigest()}"
