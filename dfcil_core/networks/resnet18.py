"""torchvision's ResNet-18, for images larger than CIFAR's."""

import torch
from torch import nn

from dfcil_core.networks.network import Network

FEATURES = 512


def resnet18(width: int, channels: int = 3, bias: bool = True) -> Network:
    """(n, channels, height, width) images to 512 features: torchvision's network without its classifier.

    Height and width are divided by 32, rounded up: 64 x 64 ends as 2 x 2, 224 x 224 as 7 x 7.
    """
    from torchvision import models

    backbone = models.resnet18(weights=None)
    backbone.fc = nn.Identity()
    if channels != 3:
        backbone.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return Network(backbone, FEATURES, width, bias)


def initialise(network: Network, generator: torch.Generator) -> None:
    """As torchvision does, drawn from `generator` alone: Kaiming-normal convolutions, fan out. The head: fan in, as is
    the head of the small networks, with zero biases."""
    for layer in network.backbone.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
    nn.init.kaiming_normal_(network.head.weight, mode="fan_in", nonlinearity="relu", generator=generator)
    if network.head.bias is not None:
        nn.init.zeros_(network.head.bias)
