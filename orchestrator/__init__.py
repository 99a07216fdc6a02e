"""Plans, runs, records and tracks sweeps of class-incremental learning.

    import orchestrator

    outcome = orchestrator.launch("quickstart")    # orchestrator.launch.launch
    outcome.results                                # a pandas DataFrame, a row a job

`launch`, `plan`, `tune` and `status` are what the commands of those names call; docs/python.md shows them. Importing
this package loads none of it.
"""

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.launch import launch as launch
    from orchestrator.preview import plan as plan
    from orchestrator.status import status as status
    from orchestrator.tune import tune as tune

__all__ = ["launch", "plan", "status", "tune"]

# Function to the module that defines it.
_FUNCTIONS: Mapping[str, str] = {
    "launch": "orchestrator.launch",
    "plan": "orchestrator.preview",
    "status": "orchestrator.status",
    "tune": "orchestrator.tune",
}


class _CallableModule(ModuleType):
    """A module below this package that is called as its function of the same name: `orchestrator.launch("demo")`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)(*arguments, **options)


class _FrontDoor(ModuleType):
    """This package. A submodule is set as an attribute of it when it is first imported, whoever does so."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FUNCTIONS and type(value) is ModuleType:
            value.__class__ = _CallableModule
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name in _FUNCTIONS:
            return importlib.import_module(f"{self.__name__}.{name}")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_FUNCTIONS})


sys.modules[__name__].__class__ = _FrontDoor
