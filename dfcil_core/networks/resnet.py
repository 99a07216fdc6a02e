"""The residual networks for small images (He et al., CVPR 2016, section 4.2), of depth 6n + 2."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfcil_core.networks.network import Network

STAGES = (16, 32, 64)
"""Channels of the three stages; each halves height and width, but for the first."""


def small(n_classes: int, channels: int, depth: int, linear: bool = False) -> Network:
    """A residual network of this depth with `n_classes` outputs; the `linear` variant's head has no biases."""
    return Network(ResNet(depth, channels, linear), STAGES[-1], n_classes, bias=not linear)


class ResNet(nn.Module):
    """(n, channels, height, width) images to (n, 64) features: three stages of n blocks, then the mean over the image.

    Shortcuts have no parameters. Any image size serves: 8 x 8 ends as 2 x 2. `linear` makes the variant of Gao et al.,
    R-DFCIL, ECCV 2022: no ReLU after the addition, and a shortcut's zeros all after its channels.
    """

    def __init__(self, depth: int, channels: int = 3, linear: bool = False) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"a CIFAR ResNet has a depth of 6n + 2 (8, 14, 20, 26, 32, ...), not {depth}")
        self.convolution = _convolution(channels, STAGES[0], 1)
        self.normalisation = nn.BatchNorm2d(STAGES[0])
        blocks, before = [], STAGES[0]
        for stage, size in enumerate(STAGES):
            for block in range((depth - 2) // 6):
                blocks.append(Block(before, size, 2 if stage and not block else 1, linear))
                before = size
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        activations = functional.relu(self.normalisation(self.convolution(images)), inplace=True)
        return self.blocks(activations).mean((2, 3))


class Block(nn.Module):
    """Two 3 x 3 convolutions, the shortcut added to them, ReLU after the addition unless `linear`."""

    def __init__(self, before: int, size: int, stride: int, linear: bool = False) -> None:
        super().__init__()
        self.size, self.stride, self.linear = size, stride, linear
        self.convolution1 = _convolution(before, size, stride)
        self.normalisation1 = nn.BatchNorm2d(size)
        self.convolution2 = _convolution(size, size, 1)
        self.normalisation2 = nn.BatchNorm2d(size)

    def forward(self, x: Tensor) -> Tensor:
        residual = functional.relu(self.normalisation1(self.convolution1(x)), inplace=True)
        residual = self.normalisation2(self.convolution2(residual))
        # In place: the gradient of a normalisation, or of a convolution, needs its input alone.
        total = residual.add_(shortcut(x, self.size, self.stride, even=not self.linear))
        return total if self.linear else functional.relu(total, inplace=True)


def shortcut(x: Tensor, size: int, stride: int, even: bool = True) -> Tensor:
    """`x` with every `stride`-th pixel, and zeros beside its channels to make `size` of them.

    Option A of He et al.; the zeros are split evenly, as in the public ABD code, or all appended, as in R-DFCIL's.
    """
    missing = size - x.shape[1]
    if stride == 1 and not missing:
        return x
    before = missing // 2 if even else 0
    return functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, missing - before))


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Kaiming-normal weights (fan in) of convolutions and linear layers, zero biases, drawn from `generator` alone.

    Batch normalisation starts as the identity, which is how torch makes it. Source: He et al., ICCV 2015.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise_linear(network: nn.Module, generator: torch.Generator) -> None:
    """R-DFCIL's: Kaiming-normal convolutions (fan out), each block's second normalisation zero, and so is the head.

    A block starts as its shortcut. The head's rows are drawn by the method, task by task.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, Block):
            nn.init.zeros_(layer.normalisation2.weight)
        elif isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.weight)


def _convolution(before: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, size, 3, stride=stride, padding=1, bias=False)
