"""Our steps on request, for a process that times them beside others (side.py).

Each line of the input is a request, each line of the output its answer in JSON: `make NAME` (a method, `dream`, or a
part of a stage), `step`, `digest`, and of a step `capture` and `captured`, which does it captured; the end of the input
ends it. The first argument are the sizes, in JSON.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed import clock
from benchmarks.speed.ours import Dreamer, Learner, Made, Sizes, Stages, as_in_a_stage, make


def serve(sizes: Sizes) -> None:
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder, as_in_a_stage(sizes.device):
        stages = Stages(sizes, Path(folder))
        made: Made | None = None
        for line in sys.stdin:
            request, _, name = line.strip().partition(" ")
            answer: dict[str, Any] = {}
            if request == "make":
                made = make(stages, name)
            elif made is not None and request == "step":
                answer = timed(made.step, sizes.device)
            elif isinstance(made, Learner | Dreamer) and request == "capture":
                answer = captured(made)
            elif isinstance(made, Learner | Dreamer) and request == "captured":
                answer = timed(made.captured_step, sizes.device)
            elif made is not None and request == "digest":
                answer = {"digest": made.digest()}
            print(json.dumps(answer), file=answers, flush=True)


def captured(made: Learner | Dreamer) -> dict[str, Any]:
    """How the step is captured, and the MiB of the device that its graph holds."""
    before = reserved()
    how = made.capture()
    return {"how": how, "graph_mib": (reserved() - before) / 2**20}


def reserved() -> int:
    """Bytes of the GPU that torch has taken and needs; 0 where there is none."""
    if not torch.cuda.is_available():
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved()


def timed(step: Callable[[], float], device: str) -> dict[str, float]:
    """One step: its seconds and its loss."""
    losses: list[float] = []
    timing = clock.timed(lambda: losses.append(step()), device)
    return {**asdict(timing), "loss": losses[0]}


if __name__ == "__main__":
    serve(Sizes(**json.loads(sys.argv[1])))
