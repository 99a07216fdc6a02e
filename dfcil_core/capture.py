"""A step as one CUDA graph: at 32 x 32 a step on a GPU is many hundreds of small kernels, launched one by one.

The Python of a static step runs a few times (warm-up) and once more to be captured; then the graph is replayed, on the
same memory. So a step must ask the host for what is another thing at each step (supplied.py), and read nothing back.
Numbers of Python, learning rates for one, are written into the graph: with other ones it is captured anew.

A stage says what its step is (`Step`). Before it is captured, losses of 50 steps are compared with eager ones, once in
a process for each kind of stage, and the state is put back. What cannot be captured runs eagerly, and says why.

Sources: the notes on CUDA graphs in torch's documentation (CUDA semantics), and torch/cuda/graphs.py.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dfcil_core.optimization import set_capturable
from dfcil_core.supplied import CannotCapture, Supplies

WARM_UP = 3
"""Steps before the capture: libraries make their handles and plans in them, optimisers their states."""
COMPARED, AGREE = 50, 1e-5
"""Steps whose losses are compared, and how far they may be apart, relatively."""


@dataclass(frozen=True)
class Step:
    """A step of training, and all of it that a capture must know."""

    kind: Hashable
    """Equal for steps that launch the same kernels: one of them is compared for all."""
    compute: Callable[[], None]
    """Does the step, on what `inputs` has put in its place. Its Python changes nothing that the next step sees."""
    totals: Tensor
    """To which `compute` adds its losses, in place; the first is the one that is minimised."""
    inputs: Callable[[], Iterator[None]]
    """Begins, and with each of its items, without end, puts into place what the next step is computed on."""
    optimizers: Callable[[], list[torch.optim.Optimizer]]
    """Those that `compute` takes a step of."""
    state: Callable[[], Any]
    """A copy of all that steps change."""
    restore: Callable[[Any], None]
    """Puts back what `state` gave."""

    def baked(self) -> Hashable:
        """The numbers that are written into the graph."""
        return tuple(float(group["lr"]) for optimizer in self.optimizers() for group in optimizer.param_groups)


class Recorder(Protocol):
    """How steps are captured."""

    def stepping(self) -> AbstractContextManager[None]:
        """Around each step."""

    def record(self, run: Callable[[], None]) -> Callable[[], object]:
        """What does again all that `run` does to tensors; `run` is called once, and computes nothing yet.

        Raises what `run` raises, and RuntimeError or CannotCapture where something of it cannot be captured.
        """


class StaticStep:
    """A step on buffers: a few times as it is, then captured, and captured anew with other learning rates.

    `refused` says why it is not captured any more, where it cannot be; the steps go on all the same, eagerly.
    """

    def __init__(self, step: Step, recorder: Recorder) -> None:
        self._step, self._recorder = step, recorder
        self._supplies = Supplies()
        self._warm = 0
        self._replay: Callable[[], object] | None = None
        self._written: Hashable = None
        self.refused: str | None = None

    def __call__(self) -> None:
        with self._recorder.stepping():
            self._supplies.fill()
            if self._warm < WARM_UP or self.refused is not None:
                self._warm += 1
                self._run()
                return
            written = self._step.baked(), self._supplies.version
            if self._replay is None or written != self._written:
                self._capture(written)
            if self._replay is not None:
                self._replay()
            else:
                self._run()  # on the buffers, which are filled already

    def close(self) -> None:
        """Give the graph's memory back."""
        self._replay = None

    def _capture(self, written: Hashable) -> None:
        self._replay = None  # its memory goes before the next one wants as much
        try:
            self._replay, self._written = self._recorder.record(self._run), written
        except (RuntimeError, CannotCapture) as error:
            self.refused = _reason(error)

    def _run(self) -> None:
        with self._supplies.handed_out():
            self._step.compute()


def how(refusal: str | None) -> str:
    """What a record says of a phase: `captured`, or `eager: ` and why."""
    return "captured" if refusal is None else f"eager: {refusal}"


def captured(step: Step, device: torch.device) -> StaticStep:
    """The step, to be captured. Raises CannotCapture where it cannot be, and the state is what it was."""
    recorder = recorder_of(device)
    if step.kind not in _refusals:
        _refusals[step.kind] = _compared(step, recorder)
    refusal = _refusals[step.kind]
    if refusal is not None:
        raise CannotCapture(refusal)
    _make_capturable(step, device)
    return StaticStep(step, recorder)


_refusals: dict[Hashable, str | None] = {}
"""Kind of step to why it is not captured in this process; None: it is."""


@cache
def recorder_of(device: torch.device) -> Recorder:
    """How steps are captured on a device, one for all of a process: on one stream, as CudaGraphs says.

    Raises CannotCapture for a device that has no graphs.
    """
    if device.type != "cuda":
        raise CannotCapture("there is no CUDA device")
    return CudaGraphs(device)


def _compared(step: Step, recorder: Recorder) -> str | None:
    """Why not, from the losses of eager and captured steps that start alike; None where they are the same."""
    before = step.state()
    try:
        with recorder.stepping():
            eager = _losses(step, step.compute)
        step.restore(before)
        _make_capturable(step, step.totals.device)
        static = StaticStep(step, recorder)
        try:
            other = _losses(step, static)
        except (RuntimeError, CannotCapture) as error:
            return _reason(error)
        finally:
            static.close()
        if static.refused is not None:
            return static.refused
        for number, (one, another) in enumerate(zip(eager, other, strict=True), start=1):
            if not abs(one - another) <= AGREE * abs(one):  # also where one of them is no number
                return f"at step {number} of the comparison the loss is {another:.8g} in the graph, eagerly {one:.8g}"
        return None
    finally:
        step.restore(before)


def _losses(step: Step, take: Callable[[], None]) -> list[float]:
    losses = []
    for _, _ in zip(range(COMPARED), step.inputs(), strict=False):
        step.totals.zero_()
        take()
        losses.append(float(step.totals.flatten()[0]))
    return losses


def _make_capturable(step: Step, device: torch.device) -> None:
    if device.type == "cuda":
        for optimizer in step.optimizers():
            set_capturable(optimizer, True)


def _reason(error: BaseException) -> str:
    """The first line of what went wrong first, and where: ending a capture that has failed fails too."""
    while error.__context__ is not None:
        error = error.__context__
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_TORCH)]
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else said


_TORCH = str(Path(torch.__file__).parent)


class CudaGraphs:
    """Captures steps as CUDA graphs, on a stream of its own, on which warm-up and replay run too.

    One stream for all of it: where autograd keeps the nodes of an earlier step, they are of the stream of that step,
    and a capture cannot go to another one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        outside = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outside)
        try:
            # Also where a capture fails, which leaves its own stream the current one.
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)

    def record(self, run: Callable[[], None]) -> Callable[[], object]:
        graph, collecting = torch.cuda.CUDAGraph(), gc.isenabled()
        gc.disable()  # what is collected may hold another graph, and none may be freed during a capture
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                run()
        finally:
            if collecting:
                gc.enable()
        return graph.replay
