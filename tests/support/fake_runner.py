"""A stage that learns nothing: for the tests of the engine, and for measuring its overhead.

What a stage does is asked for in its recipe's settings: `sleep` (seconds), `raise` (a message), `die` (kills its own
process so many times, counted in a file in `notes`), `print`, `fill` (so many bytes of its folder), `hog` (takes so
many bytes of memory where it may have no more than 64 MiB), `fits` (raises as a GPU does
that holds so many stages). Every run is noted in the folder `notes`.
"""

import os
import resource
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfcil_core.config import Recipe
from dfcil_core.execution import Execution as Execution
from tests.support import sound_records


def run_stage(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    settings = recipe.settings
    content = "".join((parents[role] / "value.txt").read_text() for role in sorted(parents)) + settings["name"]
    if "notes" in settings:
        with (Path(settings["notes"]) / settings["name"]).open("a") as notes:
            notes.write(f"{os.getpid()} {time.monotonic()}\n")
    _misbehave(settings)
    if "fill" in settings:
        (folder / "fill").write_bytes(bytes(settings["fill"]))
    if "hog" in settings:
        _hog(settings["hog"])
    execution.report({"phase": "learn", "epoch": 1, "epochs": 1, "loss": 0.5})
    (folder / "value.txt").write_text(content)
    told = {} if execution.capture == "off" else {"capture": {"learn": "eager: nothing is learnt"}}
    return {**told, "value": content, "threads": os.environ.get("OMP_NUM_THREADS"), **sound_records.result(recipe)}


def _misbehave(settings: Mapping[str, Any]) -> None:
    if "print" in settings:
        print(settings["print"])
        os.system(f"echo {settings['print']} from below >&2")
    deadline = time.monotonic() + settings.get("sleep", 0)
    while time.monotonic() < deadline:
        time.sleep(0.01)
    if "fits" in settings:
        _share(settings)
    if "raise" in settings:
        raise ValueError(settings["raise"])
    if "die" in settings:
        runs = (Path(settings["notes"]) / settings["name"]).read_text().splitlines()
        if len(runs) <= settings["die"]:
            os.kill(os.getpid(), signal.SIGKILL)


class OutOfMemoryError(RuntimeError):
    """Called as torch's is."""


def _share(settings: Mapping[str, Any]) -> None:
    """Be on a device that has memory for so many stages, a while after having come; each is a file in the notes."""
    inside = Path(settings["notes"]) / f"inside-{settings['name']}"
    inside.touch()
    try:
        time.sleep(0.5)
        if len(list(inside.parent.glob("inside-*"))) > settings["fits"]:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        time.sleep(0.5)
    finally:
        inside.unlink()


def _hog(count: int) -> None:
    """Take memory with a limit just above what the process has, as a batch system sets it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (64 << 20), before[1]))
    try:
        bytearray(count)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
