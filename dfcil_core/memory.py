"""The memory of old images (coreset): which are kept, and how training draws from them. Images are positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dfcil_core.checkpoint import load_tensors, save_tensors
from dfcil_core.streams import stream

if TYPE_CHECKING:
    from dfcil_core.train import Learning

FILE = "memory.safetensors"


@dataclass(frozen=True)
class Memory:
    """Positions in the training set, (n,) int64, and the data set's label of each."""

    positions: Tensor
    labels: Tensor

    @classmethod
    def empty(cls) -> Memory:
        return cls(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))

    @classmethod
    def read(cls, folder: Path) -> Memory:
        tensors = load_tensors(folder / FILE)
        return cls(tensors["positions"], tensors["labels"])

    def write(self, folder: Path) -> None:
        save_tensors(folder / FILE, {"positions": self.positions, "labels": self.labels})

    def of(self, label: int) -> Tensor:
        """Positions of the images of one class, in the order they are kept in."""
        return self.positions[self.labels == label]


def quotas(memory: int, classes: int) -> list[int]:
    """Images to keep of each class, in class order: `memory // classes`, the remainder to the latest classes."""
    each, rest = divmod(memory, classes)
    return [each + (position >= classes - rest) for position in range(classes)]


def drawn_pool(new: Tensor, memory: Memory, seed: int, index: int) -> Tensor:
    """The training pool of task `index` (0-based): the new images, and as many drawn with replacement from the memory.

    Drawn once a task. The steps of an epoch double, and half of each batch is old on average.
    """
    if not len(memory.positions):
        return new
    draws = torch.randint(len(memory.positions), (len(new),), generator=stream(seed, "pool", index))
    return torch.cat([new, memory.positions[draws]])


def rehearsal_pool(learning: Learning) -> Tensor:
    """`drawn_pool` of a stage."""
    return drawn_pool(learning.new_images, learning.memory, learning.recipe.seed, learning.recipe.stream)


def choose_random(
    images: int, seen: tuple[int, ...], new: tuple[int, ...], candidates: Memory, rng: torch.Generator
) -> Memory:
    """Keep `images` in all, drawn without replacement from `candidates`, class by class in class order.

    A class with fewer candidates than its quota keeps them all.
    """
    kept, labels = [], []
    for label, quota in zip(seen, quotas(images, len(seen)), strict=True):
        positions = candidates.of(label)
        chosen = positions[torch.randperm(len(positions), generator=rng)[:quota]]
        kept.append(chosen)
        labels.append(torch.full((len(chosen),), label))
    return Memory(torch.cat(kept), torch.cat(labels))
