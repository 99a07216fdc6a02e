"""The generator of synthetic images for small sizes."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

NOISE = 1000
"""Length of the noise vector that an image is made from."""


def build_generator(image_size: int, channels: int = 3, rng: torch.Generator | None = None) -> "Generator":
    """A generator in channels-last memory format, on the CPU: torch's default initialisation, drawn from `rng` alone.

    Without `rng` its weights are zeros, to be loaded. Raises ValueError for a size it cannot make.
    """
    # Layers draw as they are made; what they draw is thrown away, and the global generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        generator = Generator(image_size, channels)
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            _initialise(layer, rng)
    return generator.to(memory_format=torch.channels_last)


def _initialise(layer: nn.Conv2d | nn.Linear, rng: torch.Generator | None) -> None:
    if rng is None:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return
    bound = 1 / math.sqrt(layer.weight[0].numel())
    nn.init.uniform_(layer.weight, -bound, bound, generator=rng)
    nn.init.uniform_(layer.bias, -bound, bound, generator=rng)


class Generator(nn.Module):
    """(n, 1000) standard normal noise to (n, channels, image_size, image_size) normalised images.

    Linear to 128 x s/4 x s/4, BN, then twice: nearest upsampling by two, 3 x 3 convolution (to 128, to 64), BN (eps
    0.8), LeakyReLU 0.2; then a 3 x 3 convolution to the image, tanh, BN without scale and shift.
    Source: the public code of Smith et al., ICCV 2021.
    """

    def __init__(self, image_size: int, channels: int = 3) -> None:
        super().__init__()
        if image_size < 8 or image_size % 4:
            raise ValueError(f"the generator makes images of a size divisible by 4, from 8 on, not of {image_size}")
        self.start = image_size // 4
        self.linear = nn.Linear(NOISE, 128 * self.start**2)
        self.normalisation = nn.BatchNorm2d(128)
        self.convolution1 = nn.Conv2d(128, 128, 3, padding=1)
        self.normalisation1 = nn.BatchNorm2d(128, eps=0.8)
        self.convolution2 = nn.Conv2d(128, 64, 3, padding=1)
        self.normalisation2 = nn.BatchNorm2d(64, eps=0.8)
        self.convolution3 = nn.Conv2d(64, channels, 3, padding=1)
        self.normalisation3 = nn.BatchNorm2d(channels, affine=False)

    def forward(self, noise: Tensor) -> Tensor:
        x = self.linear(noise).view(-1, 128, self.start, self.start).contiguous(memory_format=torch.channels_last)
        x = upsampled_convolution(self.normalisation(x), self.convolution1)
        x = functional.leaky_relu(self.normalisation1(x), 0.2, inplace=True)
        x = upsampled_convolution(x, self.convolution2)
        x = functional.leaky_relu(self.normalisation2(x), 0.2, inplace=True)
        return self.normalisation3(torch.tanh(self.convolution3(x)))


def upsampled_convolution(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """`convolution(interpolate(x, scale_factor=2))` for a 3 x 3 convolution with padding 1, in 4/9 of the arithmetic.

    Of nine neighbours in the upsampled image at most four are different pixels of `x`, and which weights fall on the
    same pixel depends only on whether the row and the column are even or odd. So each of those four cases is a 2 x 2
    convolution of `x` with weights added up beforehand, and its results are every second pixel of every second row.
    """
    n, _, height, width = x.shape
    padded = functional.pad(x, (1, 1, 1, 1))
    rows = []
    for down, row_weights in enumerate(_merged(convolution.weight, 2)):
        row = []
        for right, weights in enumerate(_merged(row_weights, 3)):
            window = padded[:, :, down : down + height + 1, right : right + width + 1]
            weights = weights.contiguous(memory_format=torch.channels_last)
            row.append(functional.conv2d(window, weights, convolution.bias).permute(0, 2, 3, 1))
        rows.append(torch.stack(row, dim=3))
    return torch.stack(rows, dim=2).reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def _merged(weights: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Three weights along `axis` as two, for even places (the last two see one pixel) and odd ones (the first two)."""
    first, middle, last = weights.split(1, dim=axis)
    return torch.cat([first, middle + last], dim=axis), torch.cat([first + middle, last], dim=axis)
