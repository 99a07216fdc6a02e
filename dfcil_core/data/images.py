"""Images as tensors: those of a data set, those that a stage may read, and what they are normalised with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dfcil_core.errors import ForbiddenImage

_MOMENTS_AT_ONCE = 2048


@dataclass(frozen=True)
class Images:
    """Pixels in 0..255, (n, channels, height, width), uint8 or float32, and the data set's labels, (n,) int64."""

    pixels: Tensor
    labels: Tensor

    def take(self, positions: Tensor) -> Images:
        """The images at these positions."""
        return Images(self.pixels[positions], self.labels[positions])


@dataclass(frozen=True)
class ImageData:
    """An opened data set. `mean` and `std` per channel of pixels in [0, 1]."""

    train: Images
    test: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def positions(self, classes: tuple[int, ...]) -> Tensor:
        """Positions of the training images of these classes, in the data set's order."""
        return torch.isin(self.train.labels, torch.tensor(classes)).nonzero().flatten()


class Reader:
    """The training images that a stage may read, and no others: the rest never reaches it.

    Positions are those of the data set's training part, so that a memory means the same to every stage.
    """

    def __init__(self, data: ImageData, allowed: Tensor, device: torch.device) -> None:
        allowed = allowed.unique()
        self._images = data.train.take(allowed)
        self._slot = torch.full((len(data.train.labels),), -1)
        self._slot[allowed] = torch.arange(len(allowed))
        self._pixels = self._images.pixels.to(device)

    def check(self, positions: Tensor) -> None:
        """Raise ForbiddenImage if any of these positions may not be read."""
        forbidden = positions[self._slot[positions] < 0]
        if len(forbidden):
            first = int(forbidden[0])
            raise ForbiddenImage(f"{len(forbidden)} images that this stage may not read, the first at {first}")

    def pixels(self, positions: Tensor) -> Tensor:
        """The pixels at these positions, on the device. Positions must have passed `check`."""
        return self.at(self.rows(positions).to(self._pixels.device))

    def rows(self, positions: Tensor) -> Tensor:
        """Where the images at these positions are among those that the stage may read, on the CPU: for `at`."""
        return self._slot[positions]

    def at(self, rows: Tensor) -> Tensor:
        """The pixels of these rows; both on the device."""
        return self._pixels[rows]

    def labels(self, positions: Tensor) -> Tensor:
        """The data set's labels at these positions, on the CPU."""
        self.check(positions)
        return self._images.labels[self._slot[positions]]


def moments(train: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, of pixels in [0, 1], over all training images."""
    values = train.pixels[:, 0].numel()

    def mean(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        # Some at a time: in double precision they take eight times as much memory.
        parts = (
            of(part.numpy().astype(np.float64) / 255).sum((0, 2, 3)) for part in train.pixels.split(_MOMENTS_AT_ONCE)
        )
        return sum(parts) / values

    mean_of_channels = mean(lambda part: part)
    variance = mean(lambda part: np.square(part - mean_of_channels[:, None, None]))
    return tuple(mean_of_channels.tolist()), tuple(np.sqrt(variance).tolist())
