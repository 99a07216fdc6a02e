"""Leaving Python's search for garbage out, where a command makes a great many objects and throws none away."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage() -> Iterator[None]:
    """Within it no cycles are looked for. A plan, and the records of a large store, are a million objects that all
    stay: looking through them again and again takes a fifth to a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
