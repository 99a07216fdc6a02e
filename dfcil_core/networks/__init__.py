"""The classifiers, by name. A new one is a file that makes a `Network`, and a line in `BACKBONES`."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from dfcil_core.checkpoint import load_tensors
from dfcil_core.config import Quirks
from dfcil_core.networks import resnet, resnet18
from dfcil_core.networks.network import Network, draw_scales, fold_batchnorm, freeze, set_bn_momentum

DEPTHS = (8, 14, 20, 32)
# A method with a `network_variant` trains the backbone of this name: `resnet32-r-dfcil`.
R_DFCIL = "r-dfcil"


def _small(depth: int, linear: bool = False) -> Callable[[int, int], Network]:
    def make(width: int, channels: int) -> Network:
        return Network(resnet.ResNet(depth, channels, linear), resnet.STAGES[-1], width, bias=not linear)

    return make


def _resnet18_without_bias(width: int, channels: int) -> Network:
    return resnet18.resnet18(width, channels, bias=False)


BACKBONES: dict[str, Callable[[int, int], Network]] = {
    **{f"resnet{depth}": _small(depth) for depth in DEPTHS},
    "resnet18": resnet18.resnet18,
    **{f"resnet{depth}-{R_DFCIL}": _small(depth, linear=True) for depth in DEPTHS},
    f"resnet18-{R_DFCIL}": _resnet18_without_bias,
}
# How a backbone's weights are drawn, where not as the small networks'.
_INITIALISERS: dict[str, Callable[[Network, torch.Generator], None]] = {
    "resnet18": resnet18.initialise,
    f"resnet18-{R_DFCIL}": resnet18.initialise,
    **{f"resnet{depth}-{R_DFCIL}": resnet.initialise_linear for depth in DEPTHS},
}


def build(
    backbone: str,
    width: int,
    channels: int = 3,
    generator: torch.Generator | None = None,
    quirks: Quirks = "none",
) -> Network:
    """A network for images of `channels` channels with `width` outputs, in channels-last memory format, on the CPU.

    Its weights are drawn from `generator`; without one they are zeros, to be loaded. With `quirks: iccv2021` the scales
    of batch normalisation are drawn from U(0, 1) after them, and the head's biases, torch's default, from
    U(-1/sqrt(features), 1/sqrt(features)). Raises KeyError for a backbone that is not in `BACKBONES`.
    """
    # Layers draw as they are made; what they draw is thrown away, and the global generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        network = BACKBONES[backbone](width, channels)
    if generator is None:
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
    else:
        _INITIALISERS.get(backbone, resnet.initialise)(network, generator)
        if quirks == "iccv2021":
            _start_as_published(network, generator)
    return network.to(memory_format=torch.channels_last)


def _start_as_published(network: Network, rng: torch.Generator) -> None:
    draw_scales(network, rng)
    if network.head.bias is not None:
        bound = network.head.in_features**-0.5
        nn.init.uniform_(network.head.bias, -bound, bound, generator=rng)


def load(path: Path, backbone: str, width: int, channels: int = 3) -> Network:
    """The network that was saved at `path` (safetensors). Raises RuntimeError where names or shapes do not fit."""
    network = build(backbone, width, channels)
    network.load_state_dict(load_tensors(path))
    return network


__all__ = ["BACKBONES", "Network", "build", "draw_scales", "fold_batchnorm", "freeze", "load", "set_bn_momentum"]
