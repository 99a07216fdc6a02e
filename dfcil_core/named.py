"""What registries name by module and function: loaded when it is asked for."""

import importlib
from collections.abc import Callable
from typing import Any


def function_of(named: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function that a registry's entry names as `module:function`; a plug-in's entry has the function itself."""
    if not isinstance(named, str):
        return named
    module, _, function = named.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
