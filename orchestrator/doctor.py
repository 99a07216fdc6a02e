"""Is this machine ready? What `dfcil-sweep doctor` looks at: each thing as it is, and what to do where it is not right.

Nothing is written but an empty file that is gone again, and nothing heavy is loaded: versions are read from the
packages' metadata. A check is a function of `Asked` in CHECKS; what it cannot find out it says.
"""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from packaging.requirements import Requirement

from dfcil_core.data.catalog import DATASETS, IMAGE_FILES
from orchestrator.cluster.device import device_count, device_kind
from orchestrator.cluster.systems import BATCH_SYSTEMS
from orchestrator.errors import UserError
from orchestrator.spec.dataset import ADDRESSES, answers, missing_files
from orchestrator.spec.model import Dataset
from orchestrator.text import counted, readable
from orchestrator.tracking.ui import LOOPBACK, free_port
from orchestrator.tracking.uri import DATABASE, tracking_uri, without_password

State = Literal["ok", "note", "problem"]
PACKAGE = "dfcil-sweep"
_LITTLE_SPACE = 5 * 2**30  # bytes, of checkpoints, logs and a decoded data set
_LITTLE_MEMORY = 2 * 2**30  # bytes for each stage at a time: docs/performance.md
_FOR_DEVELOPERS = ("test", "docs")  # extras
_CONTAINER = Path("/sys/fs/cgroup/memory.max")  # its limit in bytes, or `max`
_SECONDS = 3.0  # that a server has to answer


@dataclass(frozen=True)
class Asked:
    """What the checks are of."""

    runs: Path
    data_root: Path
    network: bool
    """Whether servers may be asked."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    """`ok`; `note`: it works, with what is told; `problem`: a launch will fail."""
    found: str
    remedy: str = ""
    """What to do; empty where nothing need be done."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def examine(asked: Asked) -> list[Finding]:
    """Look at everything."""
    return [finding for check in CHECKS for finding in check(asked)]


# ---- this installation -----------------------------------------------------------------------------------------------


def _python(asked: Asked) -> Iterator[Finding]:
    where = "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}, {where}")


def _packages(asked: Asked) -> Iterator[Finding]:
    """What is installed against the lower bounds; of each extra whether it is there."""
    try:
        lacking = _lacking()
        extras = metadata(PACKAGE).get_all("Provides-Extra") or []
    except PackageNotFoundError:
        yield Finding("packages", "problem", f"{PACKAGE} is not installed", "pip install . in its folder")
        return
    if lacking:
        yield Finding("packages", "problem", "; ".join(lacking), f"pip install --upgrade {PACKAGE}")
    else:
        told = ", ".join(f"{name} {version(name)}" for name in (PACKAGE, "torch", "mlflow", "optuna"))
        yield Finding("packages", "ok", told)
    for extra in extras:
        if extra in _FOR_DEVELOPERS:
            continue
        if absent := _lacking(extra):
            remedy = f"only where you need it: pip install '{PACKAGE}[{extra}]'"
            yield Finding(f"extra {extra}", "note", "; ".join(absent), remedy)


def _lacking(extra: str | None = None) -> list[str]:
    """What of the requirements is not there, or too old: those of the package, or of one of its extras."""
    found = []
    for line in requires(PACKAGE) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        if extra is None and not always:
            continue
        if extra is not None and (always or marker is None or not marker.evaluate({"extra": extra})):
            continue
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            found.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            found.append(f"{requirement.name} is {there}, and not {requirement.specifier}")
    return found


def _variables(asked: Asked) -> Iterator[Finding]:
    """What steers the program without standing in a command."""
    names = ("DFCIL_RUNS", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "CUDA_VISIBLE_DEVICES")
    told = [f"{name}={without_password(os.environ[name])}" for name in names if name in os.environ]
    yield Finding("variables", "ok", ", ".join(told) or "none is set that steers anything")


# ---- this machine ----------------------------------------------------------------------------------------------------


def _device(asked: Asked) -> Iterator[Finding]:
    try:
        device_kind("cuda")
    except UserError as why:
        built = version("torch").partition("+")[2] if not _lacking_torch() else ""
        if built == "cpu" and device_count():
            remedy = "the machine has a GPU, and torch is its CPU build: make clean, then make demo without TORCH=cpu"
            yield Finding("device", "note", str(why), remedy)
        else:
            yield Finding("device", "ok", f"stages run on the CPU: {_reason(why)}")
        return
    yield Finding("device", "ok", f"{counted(device_count(), 'CUDA device')}, which stages run on")


def _reason(why: UserError) -> str:
    """Why there is no GPU, without what to do about it."""
    return str(why).partition(": ")[2].partition(": ")[2].partition(". ")[0]


def _lacking_torch() -> bool:
    try:
        version("torch")
    except PackageNotFoundError:
        return True
    return False


def _cores(asked: Asked) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    at_a_time = f"{counted(cores, 'core')}: so many stages at a time on the CPU, one thread each"
    memory = _memory()
    told = f"{at_a_time}; {readable(memory)} of memory"
    if memory < cores * _LITTLE_MEMORY:
        fewer = max(1, memory // _LITTLE_MEMORY)
        yield Finding("cores and memory", "note", told, f"with ResNet-32 launch with --jobs {fewer}")
    else:
        yield Finding("cores and memory", "ok", told)


def _memory() -> int:
    """Bytes that this process may use: the machine's, or those of the container that it runs in."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CONTAINER.read_text().strip() if _CONTAINER.is_file() else ""
    return min(whole, int(limit)) if limit.isdigit() else whole


def _disk(asked: Asked) -> Iterator[Finding]:
    for name, folder, option in (
        ("runs folder", asked.runs, "choose another with --runs or DFCIL_RUNS"),
        ("scratch folder", Path(tempfile.gettempdir()), "choose another with TMPDIR"),
    ):
        there = _nearest(folder)
        told = f"{folder}, {readable(shutil.disk_usage(there).free)} free"
        told += "" if folder.exists() else "; a launch makes it"
        if why := _unwritable(there):
            yield Finding(name, "problem", f"{folder} cannot be written to: {why}", option)
        elif shutil.disk_usage(there).free < _LITTLE_SPACE:
            yield Finding(name, "note", told, f"free some space (`dfcil-sweep store prune`), or {option}")
        else:
            yield Finding(name, "ok", told)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _unwritable(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


# ---- what it works with ----------------------------------------------------------------------------------------------


def _data(asked: Asked) -> Iterator[Finding]:
    """Whether each data set lies in the folder of the data sets, or can be had."""
    for name, info in DATASETS.items():
        if not info.needs_root or name == "folder":
            continue
        if not missing_files(Dataset(info, info.image_size, str(asked.data_root))) and not _unread(name, asked):
            yield Finding(f"data {name}", "ok", f"in {asked.data_root}")
            continue
        address = ADDRESSES.get(name)
        told = f"not in {asked.data_root}"
        put = "docs/data.md says which file to put where; --data-root names another folder"
        if address is None:
            yield Finding(f"data {name}", "note", told, put)
        elif not asked.network:
            yield Finding(f"data {name}", "note", f"{told}; a launch downloads it from {address}", put)
        elif answers(address, _SECONDS):
            yield Finding(f"data {name}", "ok", f"{told}; a launch downloads it from {address}")
        else:
            yield Finding(f"data {name}", "note", f"{told}, and {address} does not answer", put)


def _unread(name: str, asked: Asked) -> bool:
    """Whether image files of that name are not there: hashing them is left to a launch."""
    return name in IMAGE_FILES and not any((asked.data_root / each).is_dir() for each in (f"{name}-200", "train"))


def _tracking(asked: Asked) -> Iterator[Finding]:
    try:
        uri = tracking_uri(asked.runs, None)
    except UserError as why:
        yield Finding("tracking store", "problem", str(why), "set MLFLOW_TRACKING_URI to another one, or unset it")
        return
    shown, scheme = without_password(uri), urlsplit(uri).scheme
    if scheme in ("http", "https") and asked.network:
        if answers(f"{uri.rstrip('/')}/health", _SECONDS):
            yield Finding("tracking store", "ok", f"{shown} answers")
        else:
            remedy = "start it; a launch goes on without it, and `dfcil-sweep sync` delivers later"
            yield Finding("tracking store", "note", f"{shown} does not answer", remedy)
    elif not os.environ.get("MLFLOW_TRACKING_URI"):
        there = asked.runs / DATABASE
        size = readable(there.stat().st_size) if there.is_file() else "made by the first launch"
        yield Finding("tracking store", "ok", f"{there} ({size})")
    else:
        yield Finding("tracking store", "ok", f"{shown}, which was not asked")


def _ports(asked: Asked) -> Iterator[Finding]:
    try:
        port = free_port(5000)
    except OSError as error:
        remedy = f"workers and `ui` talk over {LOOPBACK}: bring the interface `lo` up"
        yield Finding("ports", "problem", f"none can be had on {LOOPBACK}: {error.strerror}", remedy)
        return
    taken = "" if port == 5000 else f"; 5000 is taken, `ui` takes a free one ({port}, say)"
    yield Finding("ports", "ok", f"{LOOPBACK} can be listened on{taken}")


def _proxies(asked: Asked) -> Iterator[Finding]:
    names = sorted({name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy")})
    if not names:
        yield Finding("proxies", "ok", "none is set")
        return
    told = ", ".join(f"{name}={without_password(os.environ[name])}" for name in names)
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    host = urlsplit(uri).hostname if uri.startswith("http") else None
    hosts = dict.fromkeys(each for each in (LOOPBACK, host) if each)
    near = [each for each in hosts if not proxy_bypass(each) and _is_near(each)]
    if near:
        remedy = f"calls to {', '.join(near)} would go through it: add to NO_PROXY what lies on this side of the proxy"
        yield Finding("proxies", "note", told, remedy)
    else:
        yield Finding("proxies", "ok", told)


def _is_near(host: str) -> bool:
    """Whether the host is this machine, or has a name without a dot: one of this network."""
    return host in (LOOPBACK, "localhost", socket.gethostname()) or "." not in host


def _cluster(asked: Asked) -> Iterator[Finding]:
    found = [f"{system} ({command})" for system, command in _SUBMIT.items() if shutil.which(command)]
    if not found:
        yield Finding("batch systems", "ok", "none here: sweeps run on this machine, or with launch --scheduler")
        return
    remedy = "launch --cluster SYSTEM --profile FILE runs stages in its jobs: docs/cluster.md"
    yield Finding("batch systems", "ok", ", ".join(found), remedy)


_SUBMIT = dict(zip(BATCH_SYSTEMS, ("sbatch", "qsub", "qsub", "bsub", "condor_submit"), strict=True))
"""Batch system to the command that hands a job in."""

CHECKS: tuple[Callable[[Asked], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _variables,
    _device,
    _cores,
    _disk,
    _data,
    _tracking,
    _cluster,
    _ports,
    _proxies,
)
"""In the order in which they are told."""
