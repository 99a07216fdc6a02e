"""CIFAR-10 and CIFAR-100 as they lie on a disk: the published archive, or a folder a class. Without torch.

The image folders are `train/CLASS/*` and `val/CLASS/*` (or `test/CLASS/*`), with the data set's own class names and all
of its images, 32x32 and without loss.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dfcil_core.data.catalog import DATASETS
from dfcil_core.data.folders import Listing, images_in
from dfcil_core.errors import AbsentData, MissingData

LOSSLESS = (".png", ".bmp")


@dataclass(frozen=True)
class Archive:
    """What is published."""

    file: str
    unpacked: str
    """The folder in it."""
    torchvision: str
    """The class that opens it."""

    @property
    def address(self) -> str:
        """Where it is downloaded from."""
        return f"https://www.cs.toronto.edu/~kriz/{self.file}"


ARCHIVES = {
    "cifar10": Archive("cifar-10-python.tar.gz", "cifar-10-batches-py", "CIFAR10"),
    "cifar100": Archive("cifar-100-python.tar.gz", "cifar-100-python", "CIFAR100"),
}


FASHION_MNIST_ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz"
FASHION_MNIST_FILES = tuple(
    f"{part}-ubyte" for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
)


def require_fashion_mnist(root: str | None) -> None:
    """Raise AbsentData unless the files of Fashion-MNIST are in the folder, unpacked or as they are published."""
    folder = Path(root or "data").expanduser().absolute() / "FashionMNIST" / "raw"
    if any(all((folder / f"{file}{end}").is_file() for file in FASHION_MNIST_FILES) for end in ("", ".gz")):
        return
    files = ", ".join(f"{file}.gz" for file in FASHION_MNIST_FILES)
    raise AbsentData(
        f"fashion-mnist is not in {folder}: put {files} there; or set `dataset: {{name: fashion-mnist, root: FOLDER}}` "
        "or `--data-root FOLDER` to where FashionMNIST/raw lies"
    )


def remedy(name: str, folder: Path) -> str:
    """Which files to put where."""
    info, archive = DATASETS[name], ARCHIVES[name]
    names = info.class_names
    return (
        f"put {archive.file} into {folder}, or its unpacked folder {archive.unpacked}, or its images as PNG files into "
        f"{folder / 'train'}/CLASS ({info.train_counts[0]} each) and {folder / 'val'}/CLASS ({info.test_counts[0]} "
        f"each), CLASS being each of its {len(names)} class names ({names[0]}, {names[1]}, ..., {names[-1]})"
    )


def list_cifar(name: str, root: str | None) -> Listing | None:
    """The image files of all classes, in the order of their labels; None where the archive is there instead.

    Raises AbsentData where there is neither, MissingData where image folders are not what they must be.
    """
    info, archive = DATASETS[name], ARCHIVES[name]
    folder = Path(root or "data").expanduser().absolute()
    if (folder / archive.file).is_file() or (folder / archive.unpacked).is_dir():
        return None
    if not set(_folders(folder / "train")) & set(info.class_names):
        raise AbsentData(
            f"{name} is not in {folder}: {remedy(name, folder)}; or set `dataset: {{name: {name}, root: FOLDER}}` or "
            "`--data-root FOLDER` to where it lies"
        )
    tested = next((part for part in ("test", "val") if (folder / part).is_dir()), None)
    if tested is None:
        raise MissingData(f"{folder} has image folders of {name} in train, and neither val nor test beside it")
    train, test = (
        _of_classes(folder, part, name, counts)
        for part, counts in (("train", info.train_counts), (tested, info.test_counts))
    )
    return Listing(folder, info.class_names, train, test)


def _of_classes(folder: Path, part: str, name: str, counts: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    classes, found = DATASETS[name].class_names, _folders(folder / part)
    missing = [entry for entry in classes if entry not in found]
    foreign = [entry for entry in found if entry not in classes]
    if missing or foreign:
        told = [f"lacks the class folders {_listed(missing)}"] if missing else []
        told += [f"has the folders {_listed(foreign)}, which are no classes of {name}"] if foreign else []
        raise MissingData(f"{folder / part} {' and '.join(told)}. Its classes are {', '.join(classes)}")
    files = []
    for label, (entry, count) in enumerate(zip(classes, counts, strict=True)):
        images = images_in(folder / part / entry, LOSSLESS)
        if len(images) != count:
            raise MissingData(
                f"{folder / part / entry} holds {len(images)} images ({', '.join(LOSSLESS)}), and {name} has {count} "
                "there: put all of them, without loss, into it"
            )
        files += [(f"{part}/{entry}/{file}", label) for file in images]
    return tuple(files)


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, in alphabetical order; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
