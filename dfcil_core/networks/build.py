"""Making the classifiers of the catalogue, with weights drawn, or loaded from a file."""

from pathlib import Path

import torch
from torch import nn

from dfcil_core.checkpoint import load_tensors
from dfcil_core.config import Quirks
from dfcil_core.networks.catalog import BACKBONES
from dfcil_core.networks.network import Network, draw_scales, fold_batchnorm, freeze, on_device, set_bn_momentum


def build(
    backbone: str,
    n_classes: int,
    channels: int = 3,
    generator: torch.Generator | None = None,
    quirks: Quirks = "none",
) -> Network:
    """A network for images of `channels` channels with `n_classes` outputs, in channels-last memory format, on the CPU.

    Its weights are drawn from `generator`; without one they are zeros, to be loaded. With `quirks: iccv2021` the scales
    of batch normalisation are drawn from U(0, 1) after them, and the head's biases, torch's default, from
    U(-1/sqrt(features), 1/sqrt(features)). Raises KeyError for a backbone that is not in `BACKBONES`.
    """
    # Layers draw as they are made; what they draw is thrown away, and the global generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        network = BACKBONES[backbone].make(n_classes, channels)
    if generator is None:
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
    else:
        BACKBONES[backbone].draw(network, generator)
        if quirks == "iccv2021":
            _start_as_published(network, generator)
    return network.to(memory_format=torch.channels_last)


def _start_as_published(network: Network, rng: torch.Generator) -> None:
    draw_scales(network, rng)
    if network.head.bias is not None:
        bound = network.head.in_features**-0.5
        nn.init.uniform_(network.head.bias, -bound, bound, generator=rng)


def load(path: Path, backbone: str, n_classes: int, channels: int = 3) -> Network:
    """The network that was saved at `path` (safetensors). Raises RuntimeError where names or shapes do not fit."""
    network = build(backbone, n_classes, channels)
    network.load_state_dict(load_tensors(path))
    return network


__all__ = [
    "BACKBONES",
    "Network",
    "build",
    "draw_scales",
    "fold_batchnorm",
    "freeze",
    "load",
    "on_device",
    "set_bn_momentum",
]
