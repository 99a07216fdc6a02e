"""The picture of what was dreamed: dreams.png."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor, nn

from dfcil_core.config import Recipe
from dfcil_core.dream.sample import sample
from dfcil_core.networks.generator import Generator
from dfcil_core.streams import stream

_PER_CLASS = 8
_CLASS_ROWS = 25
"""Classes below one another; more stand beside these."""


def dream_sheet(recipe: Recipe, generator: Generator, teacher: nn.Module) -> Image.Image:
    """Up to eight dreamed images of each old class, a row a class in the order they were learnt; missing ones are grey.

    Images are normalised with the data set's mean and standard deviation, which a dream stage does not read: the
    middle 99% of their values are stretched from black to white, the same for all.
    """
    old = sum(len(task) for task in recipe.classes)
    images, labels = _labelled(generator, teacher, old, stream(recipe.seed, "picture", recipe.stream))
    low, high = (torch.quantile(images.flatten()[:: 1 + images.numel() // 2**20], q) for q in (0.005, 0.995))
    pixels = ((images - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)

    cells = torch.full((old, _PER_CLASS, *pixels.shape[1:]), 0.5)
    for label in range(old):
        own = pixels[labels == label][:_PER_CLASS]
        cells[label, : len(own)] = own
    return _sheet(cells, max(1, 64 // recipe.data.image_size))


def _labelled(generator: Generator, teacher: nn.Module, old: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Some sixteen images a class, at most a thousand, and their labels, on the CPU."""
    count = min(1000, 16 * old)
    parts = [sample(generator, min(100, count - start), rng) for start in range(0, count, 100)]
    with torch.no_grad():
        labels = torch.cat([teacher(part)[:, :old].argmax(1) for part in parts])
    return torch.cat(parts).float().cpu(), labels.cpu()


def _sheet(cells: Tensor, scale: int) -> Image.Image:
    """(classes, images, channels, s, s) values in [0, 1] as one picture, pixels `scale` wide, with white margins."""
    cells = cells.repeat_interleave(scale, 3).repeat_interleave(scale, 4).expand(-1, -1, 3, -1, -1)
    cells = nn.functional.pad(cells, (1, 1, 1, 1), value=1.0)
    classes, images, channels, side, _ = cells.shape
    blocks = math.ceil(classes / _CLASS_ROWS)
    rows = math.ceil(classes / blocks)
    cells = torch.cat([cells, torch.ones(rows * blocks - classes, *cells.shape[1:])])
    columns = cells.view(blocks, rows, images, channels, side, side).permute(1, 4, 0, 2, 5, 3)
    array = columns.reshape(rows * side, blocks * images * side, channels).mul(255).round().to(torch.uint8)
    return Image.fromarray(array.numpy())
