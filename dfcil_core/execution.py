"""How a stage is run on this machine. Without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Capture = Literal["auto", "off"]
"""Whether steps are captured as CUDA graphs where that can be (capture.py), or not."""


def ignore(_: dict[str, Any]) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Execution:
    """How a stage is run, never what it computes: no part of any identity."""

    device: str = "cpu"
    """`cpu`, or a CUDA device such as `cuda:0`, of the kind that the recipe says."""
    data_root: str | None = None
    plugin: str | None = None
    """Path of the source of the plug-in that supplies the method, where one does and it is no entry point."""
    first_models: Mapping[str, str] = field(default_factory=dict)
    """Paths of the files with a network for task 1, by their SHA-256."""
    saves: Path | None = None
    """Folder for saves within the stage; what is found there is resumed from."""
    save_every: float = 60.0
    """Seconds between saves."""
    capture: Capture = "off"
    report: Callable[[dict[str, Any]], None] = ignore
