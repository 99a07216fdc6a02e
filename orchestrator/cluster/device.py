"""Which device stages run on, found out without importing torch.

The CUDA driver is asked in a process of its own: initialising it here would cost memory on the device, could hang on a
sick driver, and would leave a state that does not survive a fork.
"""

import ctypes
import functools
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import UserError, choices

KINDS = ("auto", "cpu", "cuda")
_DRIVER = "libcuda.so.1"
# cuInit honours CUDA_VISIBLE_DEVICES, so the count is of the devices that we may use.
_PROBE = f"""
import ctypes
driver, count = ctypes.CDLL("{_DRIVER}"), ctypes.c_int(0)
failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
print(0 if failed else count.value)
"""
_PROBE_SECONDS = 60


def device_kind(wanted: str) -> str:
    """`cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    Raises UserError for another word, and for `cuda` where there is none to be used.
    """
    if wanted not in KINDS:
        raise UserError(f"device: '{wanted}' is no device. {_meant(wanted, KINDS)}")
    if wanted == "cpu":
        return "cpu"
    lacking = _lacking()
    if not lacking:
        return "cuda"
    if wanted == "cuda":
        raise UserError(f"device: 'cuda' cannot be used here: {lacking}. Choose 'cpu', or 'auto'.")
    return "cpu"


def device_elsewhere(wanted: str) -> str:
    """`cpu` or `cuda` of other machines, which cannot be asked from here. Raises UserError for any other word."""
    if wanted not in KINDS[1:]:
        raise UserError(f"device: '{wanted}' is no device of another machine. {_meant(wanted, KINDS[1:])}")
    return wanted


def _meant(wanted: str, kinds: Sequence[str]) -> str:
    """The choices, and which of them another program's word means: `gpu`, `cuda:1`."""
    if wanted.lower().startswith(("gpu", "cuda:")):
        return f"Did you mean 'cuda'? --gpus 0,2 says which of several. Choices: {', '.join(kinds)}"
    return choices(wanted, kinds)


def device_of_results(wanted: str) -> str:
    """`cpu` or `cuda` of results, which may come from another machine: `auto` is this one's.

    Raises UserError for another word than these three.
    """
    return "cuda" if wanted == "cuda" else device_kind(wanted)


def device_count() -> int:
    """How many CUDA devices this process may use."""
    return _probe(os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible_devices() -> list[str]:
    """The CUDA devices that this process may use, each as it is written in CUDA_VISIBLE_DEVICES."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(index) for index in range(device_count())] if listed is None else listed.split(",")
    return [name.strip() for name in names[: device_count()]]


def chosen_devices(gpus: str, device: str) -> tuple[str, ...]:
    """The CUDA devices of `--gpus 0,2`, where stages run on `device` (`cpu` or `cuda`), as `visible_devices` has them.

    Raises UserError where there is no such device, or none is used, and for one that is named twice.
    """
    where = f"--gpus {gpus}"
    if device == "cpu":
        raise UserError(f"{where}: stages run on the CPU: {_lacking() or 'so --device says'}")
    chosen, known = [name.strip() for name in gpus.split(",")], visible_devices()
    for position, name in enumerate(chosen):
        if name not in known:
            hidden = " (of CUDA_VISIBLE_DEVICES)" if "CUDA_VISIBLE_DEVICES" in os.environ else ""
            raise UserError(f"{where}: '{name}' is no device that may be used here. {choices(name, known)}{hidden}")
        if name in chosen[:position]:
            raise UserError(f"{where}: {name} is given twice. --per-gpu says how many stages share a GPU")
    return tuple(chosen)


def _lacking() -> str:
    """Why CUDA cannot be used; empty where it can."""
    if device_count() == 0:
        return "the NVIDIA driver finds no device (see nvidia-smi, and CUDA_VISIBLE_DEVICES)"
    if not _torch_has_cuda():
        return "the installed torch is built without CUDA"
    return ""


@functools.cache
def _probe(visible: str | None) -> int:
    """The driver's count of devices. `visible` is only the key of the cache: the driver reads it for itself."""
    if visible == "":
        return 0
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return 0  # no driver, hence no device: the usual case on a machine without a GPU
    command = [sys.executable, "-I", "-c", _PROBE]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(
            f"device: the NVIDIA driver has not answered for {_PROBE_SECONDS} seconds. "
            "See whether nvidia-smi answers, or choose the device 'cpu'."
        ) from None
    return int(answer.stdout) if answer.returncode == 0 else 0


def _torch_has_cuda() -> bool:
    """Whether the installed torch is built for CUDA, read from its `version.py` because importing it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version = Path(spec.origin).with_name("version.py").read_text()
    return re.search(r"^cuda\b[^=]*=\s*['\"]", version, re.MULTILINE) is not None
