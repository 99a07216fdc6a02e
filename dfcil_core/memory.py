"""The memory of old images (coreset): which are kept, and how training draws from them. Images are positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dfcil_core.artifacts import MEMORY
from dfcil_core.checkpoint import load_tensors, save_tensors
from dfcil_core.config import Quirks
from dfcil_core.streams import stream


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
        tensors = load_tensors(folder / MEMORY)
        return cls(tensors["positions"], tensors["labels"])

    def tensors(self) -> dict[str, Tensor]:
        """What its file holds."""
        return {"positions": self.positions, "labels": self.labels}

    def write(self, folder: Path) -> None:
        save_tensors(folder / MEMORY, self.tensors())

    def of(self, label: int) -> Tensor:
        """Positions of the images of one class, in the order they are kept in."""
        return self.positions[self.labels == label]


def quotas(memory: int, classes: int) -> list[int]:
    """Images to keep of each class, in class order: `memory // classes`, the remainder to the latest classes."""
    each, rest = divmod(memory, classes)
    return [each + (position >= classes - rest) for position in range(classes)]


def published_quotas(memory: int, candidates: Sequence[int]) -> list[int]:
    """Images to keep of each class, in class order, where each has so many `candidates`, as the public code does.

    `memory // classes`, and one more of the latest classes as long as there is a remainder; but a class that has no
    candidate for one more passes it on to the class before. One that has fewer keeps them all, and what it lacks of
    `memory // classes` is passed on to none. Source: the public code of Smith et al., ICCV 2021.
    """
    each, rest = divmod(memory, len(candidates))
    kept = []
    for count in reversed(candidates):
        more = rest > 0 and count > each
        rest -= more
        kept.append(min(each + more, count))
    return kept[::-1]


def drawn_pool(new: Tensor, memory: Memory, seed: int, index: int) -> Tensor:
    """The training pool of task `index` (0-based): the new images, and as many drawn with replacement from the memory.

    Drawn once a task. The steps of an epoch double, and half of each batch is old on average.
    """
    if not len(memory.positions):
        return new
    draws = torch.randint(len(memory.positions), (len(new),), generator=stream(seed, "pool", index))
    return torch.cat([new, memory.positions[draws]])


def choose_random(
    images: int,
    seen: tuple[int, ...],
    new: tuple[int, ...],
    candidates: Memory,
    rng: torch.Generator,
    quirks: Quirks = "none",
) -> Memory:
    """Keep `images` in all, drawn without replacement from `candidates`, class by class in class order.

    A class with fewer candidates than its quota keeps them all. With `quirks: iccv2021` quotas are `published_quotas`.
    """
    of_class = [candidates.of(label) for label in seen]
    if quirks == "iccv2021":
        shares = published_quotas(images, [len(positions) for positions in of_class])
    else:
        shares = quotas(images, len(seen))
    kept = []
    for positions, quota in zip(of_class, shares, strict=True):
        kept.append(positions[torch.randperm(len(positions), generator=rng)[:quota]])
    return _by_class(seen, kept)


def choose_ranked(
    selection: str, images: int, seen: tuple[int, ...], before: Memory, new: Memory, features: Tensor
) -> Memory:
    """Keep `images` in all: of each class the first in its ranking, class by class in class order.

    A new class is ranked by `features` (n, d), one row for each image of `new`; an old one as it was when it was new,
    which is the order that `before` keeps it in. A class with fewer images than its quota keeps them all.
    """
    kept = []
    for label, quota in zip(seen, quotas(images, len(seen)), strict=True):
        own = new.labels == label
        if own.any():
            kept.append(new.positions[own][RANKINGS[selection](features[own], quota)])
        else:
            kept.append(before.of(label)[:quota])
    return _by_class(seen, kept)


def nearest_mean(features: Tensor, count: int) -> Tensor:
    """The images nearest to the mean of all, nearest first: rows of `features` (n, d), at most `count`.

    Source: Castro et al., End-to-End Incremental Learning, ECCV 2018, section 3.3.
    """
    features = features.double()
    return (features - features.mean(0)).norm(dim=1).argsort(stable=True)[:count]


def herding(features: Tensor, count: int) -> Tensor:
    """Each next image brings the mean of those chosen nearest to the mean of all: rows of (n, d), at most `count`.

    Source: Rebuffi et al., iCaRL, CVPR 2017, algorithm 4, without its scaling of features to length 1.
    """
    features = features.double()
    mean, total = features.mean(0), torch.zeros(features.shape[1], dtype=torch.float64)
    left = torch.ones(len(features), dtype=torch.bool)
    chosen: list[int] = []
    for size in range(1, min(count, len(features)) + 1):
        distances = ((total + features) / size - mean).norm(dim=1)
        best = int(torch.where(left, distances, torch.inf).argmin())
        left[best] = False
        total += features[best]
        chosen.append(best)
    return torch.tensor(chosen, dtype=torch.int64)


RANKINGS: dict[str, Callable[[Tensor, int], Tensor]] = {"nearest-mean": nearest_mean, "herding": herding}
"""How the images of a new class are ranked by their features, by the name of the selection."""


def _by_class(classes: tuple[int, ...], positions: list[Tensor]) -> Memory:
    labels = [torch.full((len(part),), label) for label, part in zip(classes, positions, strict=True)]
    return Memory(torch.cat(positions), torch.cat(labels))
