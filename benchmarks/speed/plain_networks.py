"""The networks as one would write them from the papers: torch's layers one after the other, in torch's own layout.

Parameters have the names that a stage's files give them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfcil_core.networks.generator import NOISE
from tests.reference import plain

CHANNELS = (16, 32, 64)


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters. `linear`: no ReLU after the addition, zeros behind."""

    def __init__(self, before: int, size: int, stride: int, linear: bool) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(before, size, 3, stride=stride, padding=1, bias=False)
        self.normalisation1 = nn.BatchNorm2d(size)
        self.convolution2 = nn.Conv2d(size, size, 3, padding=1, bias=False)
        self.normalisation2 = nn.BatchNorm2d(size)
        self.missing, self.stride, self.linear = size - before, stride, linear

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.normalisation1(self.convolution1(x)))
        out = self.normalisation2(self.convolution2(out))
        if self.stride > 1:
            front = 0 if self.linear else self.missing // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, front, self.missing - front))
        out = out + x
        return out if self.linear else functional.relu(out)


class ResNet(nn.Module):
    """He et al., CVPR 2016, section 4.2, of depth 6n + 2, with a linear head."""

    def __init__(self, depth: int, channels: int, width: int, linear: bool) -> None:
        super().__init__()
        blocks, before = [], CHANNELS[0]
        for stage, size in enumerate(CHANNELS):
            for block in range((depth - 2) // 6):
                blocks.append(Block(before, size, 2 if stage and not block else 1, linear))
                before = size
        self.backbone = nn.ModuleDict(
            {
                "convolution": nn.Conv2d(channels, CHANNELS[0], 3, padding=1, bias=False),
                "normalisation": nn.BatchNorm2d(CHANNELS[0]),
                "blocks": nn.Sequential(*blocks),
            }
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(CHANNELS[-1], width, bias=not linear)

    def features(self, x: Tensor) -> Tensor:
        x = functional.relu(self.backbone["normalisation"](self.backbone["convolution"](x)))
        return self.pool(self.backbone["blocks"](x)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Generator(nn.Module):
    """Linear, and twice upsampling, convolution, batch normalisation and LeakyReLU (Smith et al., ICCV 2021)."""

    def __init__(self, layers: tuple[int, ...], start: int, channels: int) -> None:
        super().__init__()
        self.first, self.start = layers[0], start
        self.linear = nn.Linear(NOISE, layers[0] * start**2)
        self.normalisation = nn.BatchNorm2d(layers[0])
        self.upsample = nn.Upsample(scale_factor=2)
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(layers))
        self.normalisations = nn.ModuleList(nn.BatchNorm2d(after, eps=0.8) for after in layers[1:])
        self.last_convolution = nn.Conv2d(layers[-1], channels, 3, padding=1)
        self.last_normalisation = nn.BatchNorm2d(channels, affine=False)

    def forward(self, noise: Tensor) -> Tensor:
        x = self.linear(noise).view(-1, self.first, self.start, self.start)
        x = self.normalisation(x)
        for convolution, normalisation in zip(self.convolutions, self.normalisations, strict=True):
            x = functional.leaky_relu(normalisation(convolution(self.upsample(x))), 0.2)
        return self.last_normalisation(torch.tanh(self.last_convolution(x)))


class Net:
    """A network as the formulas of tests/reference ask for one: its features, its logits, its weights by name."""

    def __init__(self, module: ResNet) -> None:
        self.module = module
        self.statistics: dict[str, tuple[Tensor, Tensor]] = {}
        self._hooks: list[Any] = []

    def features(self, x: Tensor, train: bool = False) -> Tensor:
        return self.module.train(train).features(x)

    def logits(self, x: Tensor, train: bool = False) -> Tensor:
        return self.module.train(train)(x)

    def linear(self, x: Tensor, name: str) -> Tensor:
        return self.module.get_submodule(name)(x)

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        return dict(self.module.named_parameters())

    @property
    def running(self) -> dict[str, Tensor]:
        return dict(self.module.named_buffers())

    def frozen(self) -> Net:
        """A copy that no step moves."""
        return Net(copy.deepcopy(self.module))

    def watched(self) -> Net:
        """The same network with a hook on each batch normalisation, which notes the moments of all that goes in."""
        for name, layer in self.module.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(self._noting(name))
        return self

    def _noting(self, name: str) -> Callable[..., None]:
        def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self.statistics[name] = plain.moments(inputs[0])

        return note


def network(backbone: str, state: Mapping[str, Tensor], channels: int, device: str) -> Net:
    """A copy of one of ours, by the name of its backbone: `resnet32`, `resnet32-r-dfcil`."""
    depth = int(backbone.removeprefix("resnet").partition("-")[0])
    width = len(state["head.weight"])
    module = ResNet(depth, channels, width, linear=backbone.endswith("-r-dfcil"))
    module.load_state_dict(copy.deepcopy(dict(state)))
    return Net(module.to(device))


def generator(ours: Any, channels: int, device: str) -> Generator:
    """A copy of one of ours."""
    made = Generator(ours.layers, ours.start, channels)
    made.load_state_dict(copy.deepcopy(ours.state_dict()))
    return made.to(device)
