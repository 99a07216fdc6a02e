"""The data sets, as the planner knows them: how many classes, which size, which content. Nothing is read here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetInfo:
    """A data set before it is opened."""

    name: str
    summary: str
    classes: int
    train_images: int
    test_images: int
    image_size: int
    """Height and width of an image in pixels, where the spec sets none."""
    native_size: int
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

    @property
    def augmentation(self) -> str:
        """The name of the training augmentation (dfcil_core/augment.py)."""
        return "jitter-flip-crop" if self.flips else "jitter-crop"


_DATASETS = (
    DatasetInfo(
        name="digits",
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
    ),
    DatasetInfo(
        name="cifar10",
        summary="32x32 colour photographs of 10 classes",
        classes=10,
        train_images=50_000,
        test_images=10_000,
        image_size=32,
        native_size=32,
        digest="md5:c58f30108f718f92721af3b95e74349a",
        mean=(0.49140, 0.48216, 0.44653),
        std=(0.24703, 0.24349, 0.26159),
        flips=True,
        needs_root=True,
        source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    ),
    DatasetInfo(
        name="cifar100",
        summary="32x32 colour photographs of 100 classes",
        classes=100,
        train_images=50_000,
        test_images=10_000,
        image_size=32,
        native_size=32,
        digest="md5:eb9058c3a382ffc7106e4002c42a8d85",
        mean=(0.50708, 0.48655, 0.44092),
        std=(0.26733, 0.25644, 0.27615),
        flips=True,
        needs_root=True,
        source="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    ),
    DatasetInfo(
        name="fashion-mnist",
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
    ),
)
DATASETS = {info.name: info for info in _DATASETS}
