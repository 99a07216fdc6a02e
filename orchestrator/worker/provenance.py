"""Where a record's numbers come from: the commit, the versions, the device, the host."""

import functools
import os
import platform
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dfcil_core import processor

_PACKAGES = ("dfcil-sweep", "torch", "torchvision", "numpy", "safetensors")


def provenance(device: str) -> dict[str, Any]:
    """What to write beside the results of this process. `device` is `cpu`, or a CUDA device such as `cuda:0`.

    Keys: `commit` (of the source that runs, with `+changes` where it was edited; None where it is not a git checkout),
    `versions` (package to version), `device` (kind and name), `host`, `system` (operating system, cores, memory),
    `processor` (its model), and where torch is loaded `instructions` (the widest that torch uses of it, as AVX2).
    Numbers differ by the last two, within the spread over seeds: other instructions round otherwise.
    """
    torch = sys.modules.get("torch")
    instructions = {"instructions": torch.backends.cpu.get_cpu_capability()} if torch else {}
    return {
        "commit": commit(),
        "versions": dict(versions()),
        "device": _device(device),
        "host": socket.gethostname(),
        "system": dict(system()),
        "processor": processor.model(),
        **instructions,
    }


@functools.cache
def commit() -> str | None:
    """The git commit of this source; None where it is installed without its repository."""
    source = Path(__file__).resolve()
    # A virtual environment may lie inside somebody else's repository: the file itself must be in it.
    if _git(source.parent, "ls-files", "--error-unmatch", source.name) is None:
        return None
    head = _git(source.parent, "rev-parse", "HEAD")
    if head is None:
        return None
    changes = _git(source.parent, "status", "--porcelain", "--untracked-files=no")
    return f"{head}+changes" if changes else head


@functools.cache
def versions() -> tuple[tuple[str, str], ...]:
    """The versions that numbers may depend on; a package that is not installed is left out."""
    found = [("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


@functools.cache
def system() -> tuple[tuple[str, str], ...]:
    """What the machine is, as text: `os`, `cores` (of the machine, not of the worker) and `memory_gib`, where known."""
    found = [("os", platform.platform()), ("cores", str(os.cpu_count()))]
    if "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found.append(("memory_gib", f"{memory / 2**30:.1f}"))
    return tuple(found)


@functools.cache
def _device(device: str) -> str:
    if device == "cpu":
        return f"cpu ({processor.model()})"
    # The stage has run on it, so torch is loaded; this module must not be what loads it.
    return f"cuda ({sys.modules['torch'].cuda.get_device_name(device)})"


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None where there is no git, no repository, or no such thing in it."""
    try:
        answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
