"""What a step is given by the host: numbers drawn there, which images, their labels. All else is done on the device.

A step asks for it by `supplied`. As a rule it is made and moved to the device then and there; within a static step
(capture.py), whose Python runs but once, it stands in a buffer that was filled before the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

Give = Callable[[], Tensor]


class CannotCapture(Exception):
    """A step cannot be captured; the message says why."""


class Supplies:
    """The buffers of a static step, in the order in which it asks for them, each with what fills it."""

    def __init__(self) -> None:
        self._buffers: list[tuple[Give, Tensor]] = []
        self._next: int | None = None
        self._asked_once = False
        self.version = 0
        """Another one whenever a buffer has been replaced, as what fills it has another shape."""

    def fill(self) -> None:
        """Make anew what the next step will ask for, in its order; nothing before the first step."""
        for place, (give, buffer) in enumerate(self._buffers):
            made = give()
            if (made.shape, made.dtype) == (buffer.shape, buffer.dtype):
                _copy(made, buffer)
            else:
                self._buffers[place] = give, made.to(buffer.device, copy=True)
                self.version += 1

    @contextmanager
    def handed_out(self) -> Iterator[None]:
        """While entered, `supplied` gives the buffers; in the first step it makes them.

        Raises CannotCapture where a later step asks for more, or for less, than the first one.
        """
        self._next = 0
        token = _handing_out.set(self)
        try:
            yield
        finally:
            _handing_out.reset(token)
        if self._next != len(self._buffers):
            raise CannotCapture(_CHANGING)
        self._asked_once = True

    def take(self, give: Give, device: torch.device) -> Tensor:
        """The next buffer."""
        assert self._next is not None, "nothing is handed out"
        if self._next == len(self._buffers):
            if self._asked_once:
                raise CannotCapture(_CHANGING)
            token = _handing_out.set(None)  # what makes it may ask for other things, which are none of the step's
            try:
                self._buffers.append((give, give().to(device, copy=True)))
            finally:
                _handing_out.reset(token)
        self._next += 1
        return self._buffers[self._next - 1][1]


_CHANGING = "it does not ask the host for the same things at every step"
_handing_out: ContextVar[Supplies | None] = ContextVar("handing_out", default=None)


def supplied(give: Give, device: torch.device) -> Tensor:
    """What `give` makes, on `device`. In a static step `give` of the first step is called before each later one too.

    So `give` must not keep what is another thing at each step, but look it up; what it gives is not to be changed.
    """
    supplies = _handing_out.get()
    return give().to(device) if supplies is None else supplies.take(give, device)


def on_the_host(what: str) -> None:
    """Raises CannotCapture within a static step, which would see what it saw when it was captured, for ever."""
    if _handing_out.get() is not None:
        raise CannotCapture(f"it reads {what}, which is on the CPU")


def _copy(made: Tensor, buffer: Tensor) -> None:
    if buffer.is_cuda and not made.is_cuda:
        # From pinned memory nobody waits for the copy. Torch's allocator gives that memory to no other tensor before
        # the copy is done.
        made = made.pin_memory()
    buffer.copy_(made, non_blocking=True)
