"""Modules that load at first use.

A method is one file: what the planner must know of it (its name, needs and settings) stands beside its losses.
The planner must not wait for torch, so the files under `methods/` take torch from here. A type checker sees the modules
themselves.
"""

import importlib
from typing import TYPE_CHECKING, Any


class _Lazy:
    """Stands for a module until one of its attributes is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


if TYPE_CHECKING:
    import torch as torch
    from torch.nn import functional as functional

    from dfcil_core import checkpoint as checkpoint
    from dfcil_core import evaluate as evaluate
    from dfcil_core import losses as losses
    from dfcil_core import memory as memory
    from dfcil_core import streams as streams
    from dfcil_core import supplied as supplied
    from dfcil_core.networks import build as networks
    from dfcil_core.networks import correction as correction
    from dfcil_core.networks import vae as vae
else:
    torch = _Lazy("torch")
    functional = _Lazy("torch.nn.functional")
    losses = _Lazy("dfcil_core.losses")
    checkpoint = _Lazy("dfcil_core.checkpoint")
    memory = _Lazy("dfcil_core.memory")
    evaluate = _Lazy("dfcil_core.evaluate")
    correction = _Lazy("dfcil_core.networks.correction")
    streams = _Lazy("dfcil_core.streams")
    supplied = _Lazy("dfcil_core.supplied")
    vae = _Lazy("dfcil_core.networks.vae")
    networks = _Lazy("dfcil_core.networks.build")

__all__ = [
    "checkpoint",
    "correction",
    "evaluate",
    "functional",
    "losses",
    "memory",
    "networks",
    "streams",
    "supplied",
    "torch",
    "vae",
]
