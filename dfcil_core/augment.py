"""Training augmentation on whole batches, with its own random numbers for every image.

torchvision's transforms draw one set of numbers a batch; the published recipe needs one an image. All numbers are drawn
on the CPU from the stage's `augment` stream, so that they are the same on every device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dfcil_core.supplied import supplied

_PADDED = ("jitter-crop", "jitter-flip-crop", "crop", "crop-flip", "normalise-crop", "normalise-crop-flip")
AUGMENTATIONS = (*_PADDED, *(f"{name}-4" for name in _PADDED), "resized-crop", "resized-crop-flip", "none")
BRIGHTNESS = 63 / 255
CONTRAST = 0.8
AREA = (0.08, 1.0)
SHAPE = (3 / 4, 4 / 3)
_ATTEMPTS = 10
# ITU-R BT.601 luma, as torchvision's and Pillow's grey.
_GREY = (0.2989, 0.587, 0.114)


class Augmentation:
    """What a training image goes through; `name` is a DataRecipe's `augmentation`.

    `jitter-crop`: jitter brightness and contrast, crop after padding, scale and normalise (Smith et al., ICCV 2021).
    `crop`: the same without the jitter.
    `normalise-crop`: normalise, crop after padding, so that the border is of the mean colour (Gao et al., ECCV 2022).
    `resized-crop`: a crop of a random area and shape, at the image's size again, scaled and normalised.
    `none`: scaled and normalised.
    With `flip` in the name images are also flipped, where the data allows it. Padding is an eighth of the image size, 4
    pixels of 32; with `-4` at the end it is 4 pixels whatever the size. Raises ValueError for another name.
    """

    def __init__(self, name: str, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        if name not in AUGMENTATIONS:
            raise ValueError(f"unknown augmentation {name!r}: there are {', '.join(AUGMENTATIONS)}")
        self.kind, self.flips = name.partition("-")[0], "flip" in name
        self.static = self.kind != "resized"
        """Whether it does the same with every batch but for the numbers drawn, and no shape depends on them."""
        self.padding = 4 if name.endswith("-4") else None
        # On 0..255, so that normalising costs one subtraction and one division.
        self.mean = 255 * torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = 255 * torch.tensor(std, device=device).view(1, -1, 1, 1)

    def __call__(self, pixels: Tensor, rng: torch.Generator) -> Tensor:
        """Pixels 0..255 (n, 3, s, s), any dtype, to an augmented, normalised batch of the same shape."""
        padding = pixels.shape[-1] // 8 if self.padding is None else self.padding
        if self.kind == "none":
            return self.normalise(pixels)
        if self.kind == "resized":
            images = resized_crop(pixels.to(torch.get_default_dtype()), rng)
            return self.normalise(flip(images, rng) if self.flips else images)
        if self.kind == "normalise":
            images = crop(self.normalise(pixels), padding, rng)
            return flip(images, rng) if self.flips else images
        images = pixels.to(torch.get_default_dtype())
        if self.kind == "jitter":
            images = jitter(images, rng)
        if self.flips:
            images = flip(images, rng)
        return self.normalise(crop(images, padding, rng))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels 0..255 to zero mean and unit deviation: all that a test image gets."""
        images = (pixels.to(torch.get_default_dtype()) - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)


def jitter(images: Tensor, rng: torch.Generator) -> Tensor:
    """Brightness times U(1-63/255, 1+63/255) and contrast c of U(0.2, 1.8), in random order, clamped after each."""
    count = len(images)
    draws = supplied(lambda: torch.rand(3, count, generator=rng), images.device).view(3, -1, 1, 1, 1)
    brightness = 1 + BRIGHTNESS * (2 * draws[0] - 1)
    contrast = 1 + CONTRAST * (2 * draws[1] - 1)
    first = draws[2] < 0.5
    one = torch.ones_like(brightness)

    images = (images * torch.where(first, brightness, one)).clamp(0, 255)
    grey = torch.zeros_like(images[:, 0])
    for channel, weight in enumerate(_GREY):
        grey = grey + weight * images[:, channel]
    images = (contrast * images + (1 - contrast) * grey.mean((1, 2)).view(-1, 1, 1, 1)).clamp(0, 255)
    return (images * torch.where(first, one, brightness)).clamp(0, 255)


def flip(images: Tensor, rng: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    count = len(images)
    flipped = supplied(lambda: torch.rand(count, generator=rng) < 0.5, images.device).view(-1, 1, 1, 1)
    return torch.where(flipped, images.flip(-1), images)


def crop(images: Tensor, padding: int, rng: torch.Generator) -> Tensor:
    """A crop of the same size at a random place of the image padded with zeros on every side."""
    count, _, height, width = images.shape
    shifts = supplied(lambda: torch.randint(0, 2 * padding + 1, (2, count), generator=rng), images.device)
    rows = shifts[0, :, None] + torch.arange(height, device=images.device)
    columns = shifts[1, :, None] + torch.arange(width, device=images.device)
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def resized_crop(images: Tensor, rng: torch.Generator) -> Tensor:
    """Of each (channels, s, s) image a crop of 8 to 100% of its area, resized to s x s (bilinear, antialiased).

    The ratio of width to height is between 3/4 and 4/3, evenly on a logarithmic scale. A shape that does not fit into
    the image is drawn again, up to ten times; then the whole image is taken.
    Source: Szegedy et al., CVPR 2015, section 6, with the numbers of torchvision's RandomResizedCrop.
    """
    boxes = crop_boxes(len(images), images.shape[-1], rng)
    crops = [
        torch.nn.functional.interpolate(
            image[None, :, top : top + height, left : left + width],
            size=images.shape[-2:],
            mode="bilinear",
            antialias=True,
        )
        for image, (top, left, height, width) in zip(images, boxes.tolist(), strict=True)
    ]
    return torch.cat(crops)


def crop_boxes(count: int, size: int, rng: torch.Generator) -> Tensor:
    """Top, left, height and width in pixels, (count, 4) int64, of `count` random crops of images of `size` x `size`."""
    # Double precision, so that rounding to pixels is the same whatever networks compute in.
    area, shape, down, right = torch.rand(4, _ATTEMPTS, count, generator=rng, dtype=torch.float64)
    area = size**2 * (AREA[0] + (AREA[1] - AREA[0]) * area)
    low, high = (math.log(bound) for bound in SHAPE)
    shape = (low + (high - low) * shape).exp()
    sides = torch.stack([(area / shape).sqrt(), (area * shape).sqrt()]).round()
    fits = (sides <= size).all(0)
    first = fits.to(torch.int64).argmax(0)  # the first attempt that fits; 0 where none does
    one = torch.arange(count)
    sides = torch.where(fits.any(0), sides[:, first, one], float(size)).clamp_min(1)
    corners = (torch.stack([down[first, one], right[first, one]]) * (size - sides + 1)).floor()
    return torch.cat([corners, sides]).T.to(torch.int64)
