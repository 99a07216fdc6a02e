"""Modules that load at first use.

A method is one file: what the planner must know of it (its name, needs and settings) stands beside its losses.
The planner must not wait for torch, so the files under `methods/` take torch from here.
"""

import importlib
from typing import Any


class _Lazy:
    """Stands for a module until one of its attributes is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


torch: Any = _Lazy("torch")
functional: Any = _Lazy("torch.nn.functional")
losses: Any = _Lazy("dfcil_core.losses")
checkpoint: Any = _Lazy("dfcil_core.checkpoint")
memory: Any = _Lazy("dfcil_core.memory")
evaluate: Any = _Lazy("dfcil_core.evaluate")
correction: Any = _Lazy("dfcil_core.networks.correction")
streams: Any = _Lazy("dfcil_core.streams")
vae: Any = _Lazy("dfcil_core.networks.vae")
networks: Any = _Lazy("dfcil_core.networks")
