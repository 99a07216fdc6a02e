"""Synthetic images from a trained generator."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from dfcil_core.artifacts import GENERATOR
from dfcil_core.checkpoint import load_tensors
from dfcil_core.config import Recipe
from dfcil_core.networks import build as networks
from dfcil_core.networks.generator import NOISE, Generator, build_generator
from dfcil_core.supplied import supplied


def load_generator(recipe: Recipe, folder: Path, device: torch.device) -> Generator:
    """The generator that a `dream` stage wrote into `folder`, frozen, for images as `recipe.data` says."""
    generator = build_generator(recipe.data.image_size, recipe.data.channels)
    generator.load_state_dict(load_tensors(folder / GENERATOR))
    return networks.freeze(networks.on_device(generator, device))


@torch.no_grad()
def sample(generator: Generator, count: int, rng: torch.Generator) -> Tensor:
    """`count` synthetic images, (count, channels, s, s) and normalised; the generator is put into eval mode.

    The noise is drawn where `rng` lives. An image's label is the argmax of the frozen network's old logits.
    """
    return generator.eval()(noise(count, rng, generator))


def noise(count: int, rng: torch.Generator, generator: Generator) -> Tensor:
    device = generator.linear.weight.device
    return supplied(lambda: torch.randn(count, NOISE, generator=rng, device=rng.device), device)
