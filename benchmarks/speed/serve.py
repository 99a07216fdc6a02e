"""Steps on request, for `benchmarks/compare_steps.py`: one revision's side, in a process of its own.

Each line of the input is a request, each line of the output its answer in JSON: `make NAME` (a method, or `dream`),
`step`, `digest`; the end of the input ends it. The first argument are the sizes, in JSON.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.speed import clock
from benchmarks.speed.ours import Dreamer, Learner, Sizes, Stages, as_in_a_stage


def serve(sizes: Sizes) -> None:
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder, as_in_a_stage(sizes.device):
        stages, made = Stages(sizes, Path(folder)), None
        for line in sys.stdin:
            request, _, name = line.strip().partition(" ")
            answer: dict[str, Any] = {}
            if request == "make":
                made = Dreamer(stages) if name == "dream" else Learner(stages, name)
            elif made is not None and request == "step":
                answer = timed(made, sizes.device)
            elif made is not None and request == "digest":
                answer = {"digest": made.digest()}
            print(json.dumps(answer), file=answers, flush=True)


def timed(made: Learner | Dreamer, device: str) -> dict[str, float]:
    """One step: its seconds and its loss."""
    clock.synchronise(device)
    wall, cpu = time.perf_counter(), time.process_time()
    loss = made.step()
    clock.synchronise(device)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "loss": loss}


if __name__ == "__main__":
    serve(Sizes(**json.loads(sys.argv[1])))
