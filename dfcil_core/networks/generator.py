"""The generator of synthetic images."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfcil_core.config import Quirks
from dfcil_core.networks.network import draw_scales

NOISE = 1000
"""Length of the noise vector that an image is made from."""


def build_generator(
    image_size: int, channels: int = 3, rng: torch.Generator | None = None, quirks: Quirks = "none"
) -> "Generator":
    """A generator in channels-last memory format, on the CPU: torch's default initialisation, drawn from `rng` alone.

    Without `rng` its weights are zeros, to be loaded. With `quirks: iccv2021` the scales of batch normalisation are
    drawn from U(0, 1) after them. Raises ValueError for a size it cannot make.
    """
    # Layers draw as they are made; what they draw is thrown away, and the global generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        generator = Generator(image_size, channels)
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            _initialise(layer, rng)
    if quirks == "iccv2021" and rng is not None:
        draw_scales(generator, rng)
    return generator.to(memory_format=torch.channels_last)


def _initialise(layer: nn.Conv2d | nn.Linear, rng: torch.Generator | None) -> None:
    bound = 1 / math.sqrt(layer.weight[0].numel())
    for parameter in layer.parameters():  # the weight, then the bias
        if rng is None:
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, -bound, bound, generator=rng)


class Generator(nn.Module):
    """(n, 1000) standard normal noise to (n, channels, image_size, image_size) normalised images.

    Linear to the first of `layers` channels at the start size, BN, then for each other of `layers`: nearest upsampling
    by two, 3 x 3 convolution, BN (eps 0.8), LeakyReLU 0.2; then a 3 x 3 convolution to the image, tanh, BN without
    scale and shift. `layers` are 128, 128, 64 for images below 64 pixels, 128, 128, 128, 64 below 128, and six times 64
    from there on: 32 x 32 and 64 x 64 start as 8 x 8, 224 x 224 as 7 x 7.
    Source: the public code of Smith et al., ICCV 2021.
    """

    def __init__(self, image_size: int, channels: int = 3) -> None:
        super().__init__()
        self.layers = _layers(image_size)
        doublings = len(self.layers) - 1
        self.start = image_size >> doublings
        self.linear = nn.Linear(NOISE, self.layers[0] * self.start**2)
        self.normalisation = nn.BatchNorm2d(self.layers[0])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(self.layers)
        )
        self.normalisations = nn.ModuleList(nn.BatchNorm2d(after, eps=0.8) for after in self.layers[1:])
        self.last_convolution = nn.Conv2d(self.layers[-1], channels, 3, padding=1)
        self.last_normalisation = nn.BatchNorm2d(channels, affine=False)

    def forward(self, noise: Tensor) -> Tensor:
        x = self.linear(noise).view(-1, self.layers[0], self.start, self.start)
        x = self.normalisation(x.contiguous(memory_format=torch.channels_last))
        if x.requires_grad:
            # A normalisation adds its gradient up in the order in which it lies in memory, and the numbers of
            # DREAM_VERSION 1 are of this order.
            x.register_hook(torch.Tensor.contiguous)
        for convolution, normalisation in zip(self.convolutions, self.normalisations, strict=True):
            assert isinstance(convolution, nn.Conv2d)
            x = upsampled_convolution(x, convolution)
            x = functional.leaky_relu(normalisation(x), 0.2, inplace=True)
        return self.last_normalisation(torch.tanh(self.last_convolution(x)))


def _layers(image_size: int) -> tuple[int, ...]:
    """Channels from the linear layer to the last upsampling; each but the first doubles height and width."""
    layers = (128, 128, 64) if image_size < 64 else (128, 128, 128, 64) if image_size < 128 else (64,) * 6
    divisor = 1 << (len(layers) - 1)
    if image_size < 8 or image_size % divisor:
        raise ValueError(
            f"the generator makes images of a size divisible by 4, from 8 on (by 8 from 64 on, by 32 from 128 on), "
            f"not of {image_size}"
        )
    return layers


def upsampled_convolution(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """`convolution(interpolate(x, scale_factor=2))` for a 3 x 3 convolution with padding 1, in 4/9 of the arithmetic.

    Of nine neighbours in the upsampled image at most four are different pixels of `x`, and which weights fall on the
    same pixel depends only on whether the row and the column are even or odd. So each of those four cases is a 2 x 2
    convolution of `x` with weights added up beforehand, and its results are every second pixel of every second row.
    """
    n, _, height, width = x.shape
    rows = []
    for down, row_weights in enumerate(_merged(convolution.weight, 2)):
        row = []
        for right, weights in enumerate(_merged(row_weights, 3)):
            # Padded on two sides: cut out of an image padded on all four, each case would be copied once more.
            window = functional.pad(x, (1 - right, right, 1 - down, down))
            weights = weights.contiguous(memory_format=torch.channels_last)
            row.append(functional.conv2d(window, weights, convolution.bias).permute(0, 2, 3, 1))
        rows.append(torch.stack(row, dim=3))
    return torch.stack(rows, dim=2).reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def _merged(weights: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Three weights along `axis` as two, for even places (the last two see one pixel) and odd ones (the first two)."""
    first, middle, last = weights.split(1, dim=axis)
    return torch.cat([first, middle + last], dim=axis), torch.cat([first + middle, last], dim=axis)
