"""ResNet-18 for images larger than CIFAR's: torchvision's, and that of R-DFCIL."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfcil_core.networks.network import Network

STAGES = (64, 128, 256, 512)
"""Channels of R-DFCIL's four stages; each halves height and width, but for the first."""
FEATURES = STAGES[-1]


def resnet18(width: int, channels: int = 3) -> Network:
    """(n, channels, height, width) images to 512 features: torchvision's network without its classifier.

    Height and width are divided by 32, rounded up: 64 x 64 ends as 2 x 2, 224 x 224 as 7 x 7.
    """
    from torchvision import models

    backbone = models.resnet18(weights=None)
    backbone.fc = nn.Identity()
    if channels != 3:
        backbone.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return Network(backbone, FEATURES, width)


def initialise(network: Network, generator: torch.Generator) -> None:
    """As torchvision does, drawn from `generator` alone: Kaiming-normal convolutions, fan out. The head: fan in, as is
    the head of the small networks, with zero biases."""
    for layer in network.backbone.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
    nn.init.kaiming_normal_(network.head.weight, mode="fan_in", nonlinearity="relu", generator=generator)
    if network.head.bias is not None:
        nn.init.zeros_(network.head.bias)


def linear_resnet18(width: int, channels: int = 3) -> Network:
    """R-DFCIL's ResNet-18, its head without biases."""
    return Network(LinearResNet18(channels), FEATURES, width, bias=False)


class LinearResNet18(nn.Module):
    """(n, channels, height, width) images to (n, 512) features, which can be negative.

    A 3 x 3 convolution of stride 1, batch normalisation, ReLU and 3 x 3 max-pooling of stride 2; four stages of two
    blocks; the mean over the image. 224 x 224 ends as 14 x 14.
    Source: the public code of Gao et al., R-DFCIL, ECCV 2022.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, STAGES[0], 3, padding=1, bias=False)
        self.normalisation = nn.BatchNorm2d(STAGES[0])
        blocks, before = [], STAGES[0]
        for stage, size in enumerate(STAGES):
            for block in range(2):
                blocks.append(LinearBlock(before, size, 2 if stage and not block else 1, last=block == 1))
                before = size
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        activations = functional.relu(self.normalisation(self.convolution(images)), inplace=True)
        return self.blocks(functional.max_pool2d(activations, 3, stride=2, padding=1)).mean((2, 3))


class LinearBlock(nn.Module):
    """Two 3 x 3 convolutions and the shortcut, a 1 x 1 convolution where the shape changes; ReLU after the addition
    unless it is the `last` of its stage."""

    def __init__(self, before: int, size: int, stride: int, last: bool) -> None:
        super().__init__()
        self.last = last
        self.convolution1 = nn.Conv2d(before, size, 3, stride=stride, padding=1, bias=False)
        self.normalisation1 = nn.BatchNorm2d(size)
        self.convolution2 = nn.Conv2d(size, size, 3, padding=1, bias=False)
        self.normalisation2 = nn.BatchNorm2d(size)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != size:
            projection = nn.Conv2d(before, size, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(size))

    def forward(self, x: Tensor) -> Tensor:
        residual = functional.relu(self.normalisation1(self.convolution1(x)), inplace=True)
        total = self.normalisation2(self.convolution2(residual)) + self.shortcut(x)
        return total if self.last else functional.relu(total, inplace=True)


def initialise_linear(network: Network, generator: torch.Generator) -> None:
    """R-DFCIL's: Kaiming-normal convolutions (fan out), each block's second normalisation zero, and so is the head.

    A block starts as its shortcut. The head's rows are drawn by the method, task by task.
    """
    for layer in network.backbone.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, LinearBlock):
            nn.init.zeros_(layer.normalisation2.weight)
    nn.init.zeros_(network.head.weight)
