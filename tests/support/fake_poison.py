"""The real runner, with test images of the digits that are noise under wrong labels.

Whoever looks at them comes to other numbers.
"""

from collections.abc import Callable
from typing import Any

import torch

from dfcil_core import run_stage as core
from dfcil_core.data import sources
from dfcil_core.data.images import Images
from dfcil_core.run_stage import Execution as Execution

POISONED = "tests.support.fake_poison:run_stage"


def poison(source: Callable) -> Callable:
    """A source of images whose test part says nothing true."""

    def poisoned(recipe, root):
        train, test = source(recipe, root)
        noise = torch.randint(0, 256, test.pixels.shape, generator=torch.Generator().manual_seed(7))
        return train, Images(noise.to(test.pixels.dtype), (test.labels + 1) % 10)

    return poisoned


def run_stage(*arguments: Any) -> dict[str, Any]:
    """A stage, in a worker's process."""
    real = sources.digits
    sources.digits = poison(real)
    try:
        return core.run_stage(*arguments)
    finally:
        sources.digits = real
