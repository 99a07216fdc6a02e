"""Digits as one would serve them: Pillow images and torchvision's transforms behind a DataLoader, image by image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from dfcil_core.augment import BRIGHTNESS, CONTRAST
from dfcil_core.data.sources import DIGITS_SPLIT_SEED


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images with labels, through a transform each time they are asked for."""

    def __init__(self, images: Sequence[Image.Image], labels: Iterable[int], transform: transforms.Compose) -> None:
        self.images, self.labels, self.transform = images, list(labels), transform

    @classmethod
    def of_pixels(cls, pixels: Tensor, labels: Tensor, transform: transforms.Compose) -> PillowImages:
        arrays = pixels.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return cls([Image.fromarray(array) for array in arrays], labels.tolist(), transform)

    def only(self, places: Sequence[int], transform: transforms.Compose | None = None) -> PillowImages:
        """Those at these places, through another transform where one is given."""
        images, labels = [self.images[place] for place in places], [self.labels[place] for place in places]
        return PillowImages(images, labels, transform or self.transform)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(self.images[place]), self.labels[place]


def augmentation(name: str, size: int, mean: Sequence[float], std: Sequence[float]) -> transforms.Compose:
    """What the name of an augmentation (dfcil_core/augment.py) says, but for resized crops."""
    crop = transforms.RandomCrop(size, padding=size // 8)
    flips = [transforms.RandomHorizontalFlip()] if "flip" in name else []
    plain = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    if name.startswith("jitter"):
        return transforms.Compose([transforms.ColorJitter(BRIGHTNESS, CONTRAST), *flips, crop, *plain])
    return transforms.Compose([*plain, crop, *flips])


def tested(mean: Sequence[float], std: Sequence[float]) -> transforms.Compose:
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])


def endless(images: PillowImages, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches, epoch after epoch."""
    while True:
        yield from DataLoader(images, batch_size, shuffle=True, drop_last=True)


Part = tuple[list[Image.Image], list[int]]


def opened(size: int) -> tuple[Part, Part, np.ndarray, np.ndarray]:
    """scikit-learn's digits as training and test images of `size` pixels with labels; the training pixels' moments."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    split = train_test_split(
        np.arange(len(bunch.target)), test_size=0.2, stratify=bunch.target, random_state=DIGITS_SPLIT_SEED
    )
    parts = []
    for part in map(np.sort, split):
        arrays = np.rint(bunch.images[part] * (255 / 16)).astype(np.uint8)
        images = [Image.fromarray(array).resize((size, size), Image.Resampling.NEAREST) for array in arrays]
        parts.append(([image.convert("RGB") for image in images], bunch.target[part].tolist()))
    train, test = parts
    pixels = np.stack([np.asarray(image) for image in train[0]]) / 255
    return train, test, pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))
