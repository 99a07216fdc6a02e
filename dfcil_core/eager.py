"""The optimisers of torch, for who runs step by step: torch.compile, which takes a second to load, is left out.

Those of torch load it at their first call, only to be left out by what it compiles. The numbers are the same: it is the
very code of torch that computes them.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch

_MARK = "__dynamo_disable"  # what torch/_compile.py looks for before it loads torch.compile


def _plain(optimizer: type[torch.optim.Optimizer]) -> Callable[..., Any]:
    """The step of an optimiser without what is wrapped around it for torch.compile; its other methods are marked."""
    for method in vars(torch.optim.Optimizer).values():
        unwrapped = getattr(method, "__wrapped__", None)
        if unwrapped is not None and not hasattr(unwrapped, _MARK):
            setattr(unwrapped, _MARK, unwrapped)
    step: Callable[..., Any] = torch.no_grad()(inspect.unwrap(optimizer.step))
    return step


class SGD(torch.optim.SGD):
    """torch.optim.SGD."""

    step = _plain(torch.optim.SGD)


class Adam(torch.optim.Adam):
    """torch.optim.Adam."""

    step = _plain(torch.optim.Adam)


class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW."""

    step = _plain(torch.optim.AdamW)
