"""The data sets, as the planner knows them: how many classes, which size, which content. Nothing is read here.

A new one is an entry of DATASETS: what is known of it, and which function opens it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dfcil_core.data import class_names

IMAGE_FILES = ("tiny-imagenet", "folder")
"""Data sets that are folders of image files (folders.py)."""
FIXED = ("digits", "cifar10", "cifar100", "fashion-mnist")
"""Data sets of a fixed content, of which a spec can take a part (`subset_info`)."""
SUBSET = ("classes", "train_per_class", "test_per_class")
"""What says which part; these options have another meaning where a data set has no fixed content."""
LARGE = 128
"""Pixels from which on images count as large."""
UNREAD = "unread"
"""The digest of image files that are not there: good for planning, not for running."""


@dataclass(frozen=True)
class DatasetInfo:
    """A data set before it is opened."""

    name: str
    opens: str | Callable[..., Any]
    """`module:function` that gives its training and its test images, given a DataRecipe and the folder of the data.

    Of a plug-in, the function itself; the SHA-256 of its source is among the `options` then, as `plugin`.
    """
    summary: str
    classes: int
    train_images: int
    test_images: int
    image_size: int
    """Height and width of an image in pixels, where the spec sets none."""
    native_size: int
    """0: the images are of any size, and so are their numbers and classes where those are 0."""
    digest: str
    """Of the content: the published digest of the archives, or one of our own, checked before the data is used."""
    mean: tuple[float, float, float] | None
    """Per channel, in [0, 1]; None: computed from the training images."""
    std: tuple[float, float, float] | None
    flips: bool
    """Whether a horizontally flipped image is still of its class."""
    needs_root: bool
    """Whether it lies in a folder (`root`), downloaded there when there is a network."""
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    """What must be known to open it beside its name and size; it enters the recipe."""
    resized_crops: bool = False
    """Whether large images are trained on in crops of a random area and shape, as ImageNet's are."""
    class_names: tuple[str, ...] = ()
    """In the order of the labels; for people and for folders, and no part of any identity."""
    train_counts: tuple[int, ...] = ()
    """Training images of each class, where they are known."""
    test_counts: tuple[int, ...] = ()
    called: str = ""
    """What a spec calls images of one's own; for people, and no part of any identity."""

    @property
    def augmentation(self) -> str:
        """The name of the training augmentation (dfcil_core/augment.py) of images of `image_size`."""
        return self.sized("jitter-flip-crop" if self.flips else "jitter-crop")

    def sized(self, augmentation: str) -> str:
        """The augmentation that takes the place of this one, which is right for 32 pixels, at `image_size`.

        Above 32 pixels and up to 64 it pads by 4 pixels too; from 128 on, crops of a random area and shape take its
        place where `resized_crops` says so. Source: the public code of Smith et al., ICCV 2021, and of Gao et al.,
        ECCV 2022, for Tiny ImageNet and ImageNet.
        """
        if self.resized_crops and self.image_size >= LARGE:
            return "resized-crop-flip" if self.flips else "resized-crop"
        return f"{augmentation}-4" if 32 < self.image_size <= 64 else augmentation

    @property
    def title(self) -> str:
        """For people and for tables: the name, and which part of the data set it is where it is not all of it."""
        if self.called:
            return self.called
        if self.name not in FIXED or not self.options:
            return self.name
        words = zip(SUBSET, ("classes", "training images a class", "test images a class"), strict=True)
        told = [f"{self.options[key]} {word}" for key, word in words if key in self.options]
        return f"{self.name} ({', '.join(told)})"


_DATASETS = (
    DatasetInfo(
        name="digits",
        opens="dfcil_core.data.sources:digits",
        summary="handwritten digits, 8x8 grey, inside scikit-learn: no download",
        classes=10,
        train_images=1437,
        test_images=360,
        image_size=32,
        native_size=8,
        digest="sha256:87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826",
        mean=None,
        std=None,
        flips=False,
        needs_root=False,
        source="Alpaydin and Kaynak, UCI Optical Recognition of Handwritten Digits, 1998",
        class_names=class_names.DIGITS,
        train_counts=(142, 146, 142, 146, 145, 145, 145, 143, 139, 144),
        test_counts=(36, 36, 35, 37, 36, 37, 36, 36, 35, 36),
    ),
    DatasetInfo(
        name="cifar10",
        opens="dfcil_core.data.cifar:cifar",
        summary="32x32 colour photographs of 10 classes",
        classes=10,
        train_images=50_000,
        test_images=10_000,
        image_size=32,
        native_size=32,
        # `order`: bumped by hand when the same images come in another order.
        digest="md5:c58f30108f718f92721af3b95e74349a;order:2",
        mean=(0.49140, 0.48216, 0.44653),
        std=(0.24703, 0.24349, 0.26159),
        flips=True,
        needs_root=True,
        source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        class_names=class_names.CIFAR10,
        train_counts=(5_000,) * 10,
        test_counts=(1_000,) * 10,
    ),
    DatasetInfo(
        name="cifar100",
        opens="dfcil_core.data.cifar:cifar",
        summary="32x32 colour photographs of 100 classes",
        classes=100,
        train_images=50_000,
        test_images=10_000,
        image_size=32,
        native_size=32,
        digest="sha256:2fe0666ea80e508464a673fc613d06a31ebed1eb0906daa50f9feb8f934137d7",
        mean=(0.50708, 0.48655, 0.44092),
        std=(0.26733, 0.25644, 0.27615),
        flips=True,
        needs_root=True,
        source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        class_names=class_names.CIFAR100,
        train_counts=(500,) * 100,
        test_counts=(100,) * 100,
    ),
    DatasetInfo(
        name="fashion-mnist",
        opens="dfcil_core.data.sources:fashion_mnist",
        summary="28x28 grey pictures of clothes, 10 classes",
        classes=10,
        train_images=60_000,
        test_images=10_000,
        image_size=32,
        native_size=28,
        digest="md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d+25c81989df183df01b3e8a0aad5dffbe"
        "+bef4ecab320f06d8554ea6380940ec79+bb300cfdad3c16e7a12a480ee83cd310",
        mean=None,
        std=None,
        flips=True,
        needs_root=True,
        source="Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017",
        class_names=class_names.FASHION_MNIST,
        train_counts=(6_000,) * 10,
        test_counts=(1_000,) * 10,
    ),
    DatasetInfo(
        name="tiny-imagenet",
        opens="dfcil_core.data.decoded:image_files",
        summary="64x64 colour photographs of 200 classes, unpacked from its official archive",
        classes=200,
        train_images=100_000,
        test_images=10_000,
        image_size=64,
        native_size=64,
        digest=UNREAD,
        mean=None,
        std=None,
        flips=True,
        needs_root=True,
        source="Le and Yang, Tiny ImageNet Visual Recognition Challenge, CS 231N, 2015",
    ),
    DatasetInfo(
        name="folder",
        opens="dfcil_core.data.decoded:image_files",
        summary="any images: train/ and val/ (or test/) with a folder a class, all classes or those listed",
        classes=0,
        train_images=0,
        test_images=0,
        image_size=224,
        native_size=0,
        digest=UNREAD,
        mean=None,
        std=None,
        flips=True,
        needs_root=True,
        resized_crops=True,
        source="yours",
    ),
    DatasetInfo(
        name="synthetic",
        opens="dfcil_core.data.synthetic:synthetic",
        summary="patterns made on the spot, of any number of classes, images and pixels: no files",
        classes=0,
        train_images=0,
        test_images=0,
        image_size=32,
        native_size=0,
        digest="synthetic:1",
        mean=None,
        std=None,
        flips=False,
        needs_root=False,
        source="made here, for rehearsals and tests",
    ),
)
DATASETS = {info.name: info for info in _DATASETS}
SYNTHETIC_VERSION = 1  # hand-bumped when the images made for the same options change


def synthetic_info(classes: int = 10, train_per_class: int = 100, test_per_class: int = 20) -> DatasetInfo:
    """The `synthetic` data set of this many classes, and images of each."""
    return replace(
        DATASETS["synthetic"],
        classes=classes,
        train_images=classes * train_per_class,
        test_images=classes * test_per_class,
        digest=f"synthetic:{SYNTHETIC_VERSION}",
        options={"classes": classes, "train_per_class": train_per_class, "test_per_class": test_per_class},
        train_counts=(train_per_class,) * classes,
    )


def subset_limits(name: str, classes: int | None = None) -> dict[str, int]:
    """The most that each option of `subset_info` can be: what every one of the first `classes` classes has."""
    info = DATASETS[name]
    smallest = [min(counts[:classes]) for counts in (info.train_counts, info.test_counts)]
    return dict(zip(SUBSET, (info.classes, *smallest), strict=True))


def subset_info(
    name: str, classes: int | None = None, train_per_class: int | None = None, test_per_class: int | None = None
) -> DatasetInfo:
    """The first classes of a data set of fixed content, and the first images of each; None: all.

    Each must be within `subset_limits`. What takes nothing away is no option: it is the same data.
    """
    info = DATASETS[name]
    kept = [counts[:classes] for counts in (info.train_counts, info.test_counts)]
    left = [
        counts if most is None else (most,) * len(counts)
        for counts, most in zip(kept, (train_per_class, test_per_class), strict=True)
    ]
    options = {
        "classes": None if classes == info.classes else classes,
        "train_per_class": None if left[0] == kept[0] else train_per_class,
        "test_per_class": None if left[1] == kept[1] else test_per_class,
    }
    return replace(
        info,
        classes=len(kept[0]),
        train_images=sum(left[0]),
        test_images=sum(left[1]),
        options={key: value for key, value in options.items() if value is not None},
        class_names=info.class_names[:classes],
        train_counts=left[0],
        test_counts=left[1],
    )


def image_files_info(name: str, root: str | None, classes: Sequence[str] | None = None) -> DatasetInfo:
    """`tiny-imagenet` or `folder` as it lies under `root`: its classes, its numbers of images, its digest.

    Reads every file once to hash it. Raises MissingData (errors.py) where the files are not there.
    """
    from dfcil_core.data.folders import list_files

    listing = list_files(name, root, classes)
    return replace(
        DATASETS[name],
        classes=len(listing.classes),
        train_images=len(listing.train),
        test_images=len(listing.test),
        digest=listing.digest(),
        options={"classes": list(listing.classes)} if name == "folder" else {},
        class_names=listing.classes,
        train_counts=listing.train_counts,
    )


def unread_info(name: str, classes: Sequence[str] | None = None) -> DatasetInfo:
    """`tiny-imagenet` or `folder` before its files are there: enough to plan with."""
    info = DATASETS[name]
    if not classes:
        return info
    return replace(info, classes=len(classes), options={"classes": list(classes)}, class_names=tuple(classes))
