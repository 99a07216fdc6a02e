"""Which part of a step `training.precision: bfloat16` computes in bfloat16, and where.

The backbones, student's and teacher's, and in a dream stage the generator: their convolutions and what follows them,
activations included. All else stays in float32, whose eight more bits of mantissa it needs: weights, gradients of
weights and optimisers' states, running statistics, the heads, every loss, what dreaming knows of the statistics of each
batch normalisation, evaluation, and the images that a training step draws from a generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

from dfcil_core.processor import multiplies_bfloat16

_reduced: ContextVar[bool] = ContextVar("reduced", default=False)


def computed(precision: str, device: str) -> str:
    """What a stage told `precision` is computed in on this device: float32 on a processor without bfloat16."""
    if precision == "bfloat16" and device == "cpu" and not multiplies_bfloat16():
        return "float32"
    return precision


@contextmanager
def reduced(precision: str, device: str) -> Iterator[None]:
    """While entered, `of_networks` is bfloat16 if `precision` says so, and the processor can do it."""
    token = _reduced.set(computed(precision, device) == "bfloat16")
    try:
        yield
    finally:
        _reduced.reset(token)


@contextmanager
def tf32(convolutions: bool, products: bool) -> Iterator[None]:
    """While entered, whether these of float32 may round their factors to 10 bits of mantissa, on a GPU that can."""
    of_convolutions, of_products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = of_convolutions.allow_tf32, of_products.allow_tf32
    of_convolutions.allow_tf32, of_products.allow_tf32 = convolutions, products
    try:
        yield
    finally:
        of_convolutions.allow_tf32, of_products.allow_tf32 = before


def of_networks(device: str) -> AbstractContextManager[None]:
    """Around a network's convolutions: torch's autocast, or nothing."""
    return torch.autocast(device, torch.bfloat16) if _reduced.get() else nullcontext()
