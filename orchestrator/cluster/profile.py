"""What a job of a batch system asks for, from a profile: a YAML file that each cluster has one of.

    queue: gpu            # or partition
    walltime: "04:00:00"
    cores: 4
    memory: 16GB
    gres: gpu:1

How the batch systems differ is said in `systems.py`. Nothing here imports Dask.
"""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cluster.systems import BatchSystem
from orchestrator.errors import SpecError, UserError, choices
from orchestrator.spec.text_file import read_text
from orchestrator.spec.yaml_document import Document, read_document, show

_COMMON = ("walltime", "cores", "memory", "interface", "job_extra", "prologue", "python", "scratch", "margin")
_REQUIRED = {"walltime": '"04:00:00"', "cores": "4", "memory": "16GB"}  # each with an example
_TEXTS = ("interface", "python", "scratch")
_SIZES = ("memory", "disk")
_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")
_BYTES = re.compile(r"\d+(\.\d+)? ?[KMGT]i?B")
_LEAST_LIFE = 30.0  # seconds of work that a job must leave room for
_MARGIN = (60.0, 600.0)  # least and most of the seconds before the walltime, where the profile does not say


@dataclass(frozen=True)
class Profile:
    """A checked profile."""

    system: BatchSystem
    walltime: int
    """Seconds that a job may last."""
    margin: float
    """Seconds before the walltime at which its workers end."""
    cores: int
    memory: str
    interface: str | None = None
    """Of the network, here and at the workers; None: the one that leads outward."""
    python: str | None = None
    scratch: str | None = None
    """A folder on the workers' own disks."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What this batch system alone knows, by the names of the cluster's options."""
    prologue: tuple[str, ...] = ()
    """Shell commands to run before the workers."""
    job_extra: tuple[str, ...] | dict[str, str] = ()
    """Directives for the batch system, or its submit commands and their values."""

    @property
    def lifetime(self) -> float:
        """Seconds after which the workers of a job end, if their stages have not ended before."""
        return self.walltime - self.margin


def load_profile(path: str | Path, system: BatchSystem) -> Profile:
    """The profile in a file, for a batch system.

    Raises UserError for a file that cannot be read, and SpecError with all that is wrong in it.
    """
    path = Path(os.path.expanduser(path))
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise UserError(f"--profile: {path} cannot be read: {error.strerror}") from None
    except UserError as error:
        raise UserError(f"--profile: {error}") from None
    try:
        document = read_document(text, str(path))
    except SpecError as error:
        wrong = error.problems[0]
        place, remedy = f"{path}:{wrong.line}:{wrong.column}", "Write it as docs/cluster.md shows"
        raise UserError(
            f"--profile: {place}: is no YAML mapping of keys to values: {wrong.message}. {remedy}"
        ) from None
    _check_keys(document, system)
    values = {key: value for key, value in document.data.items() if value is not None}
    walltime = _walltime(document, values)
    margin = _margin(document, values, walltime)
    _check_cores(document, values)
    _check_texts(document, values, system)
    prologue = _lines(document, values, "prologue")
    extra = _commands(document, values) if system.submit_commands else _lines(document, values, "job_extra")
    _check_interface(document, values)
    document.check("the profile")
    return Profile(
        system,
        walltime,
        margin,
        values["cores"],
        values["memory"],
        interface=values.get("interface"),
        python=values.get("python"),
        scratch=values.get("scratch"),
        options={option: values[key] for key, option in system.options.items() if key in values},
        prologue=prologue,
        job_extra=_with_own_directives(system, values, walltime, extra),
    )


def _with_own_directives(
    system: BatchSystem, values: dict[str, Any], walltime: int, extra: tuple[str, ...] | dict[str, str]
) -> tuple[str, ...] | dict[str, str]:
    """What the batch system itself makes directives, or submit commands, of, before the profile's `extra`."""
    if isinstance(extra, tuple):
        own = (form.format(values[key]) for key, form in system.directives.items() if key in values)
        return (*own, *extra)
    return extra if system.walltime_command is None else {system.walltime_command: str(walltime), **extra}


def _check_keys(document: Document, system: BatchSystem) -> None:
    valid = _COMMON + system.keys
    for key in document.data:
        if key not in valid:
            document.add((key,), f"'{key}' is no key of a {system.name} profile", key, choices(key, valid), at_key=True)
    for key, example in {**_REQUIRED, **system.required}.items():
        if document.data.get(key) is None:
            document.add((key,), "is missing", None, f"Say, for example, {key}: {example}")
    given: dict[str, str] = {}
    for key, option in system.options.items():
        if key in document.data and (other := given.setdefault(option, key)) != key:
            document.add((key,), f"is the same as '{other}': give one of them", at_key=True)


def _walltime(document: Document, values: dict[str, Any]) -> int:
    """In seconds; 0 where it is missing or wrong."""
    if "walltime" not in values:
        return 0
    found = _WALLTIME.fullmatch(str(values["walltime"]))
    if found is None:
        remedy = 'Write hours, minutes and seconds: "04:00:00", or with days "2-00:00:00"'
        document.add(("walltime",), f"{show(values['walltime'])} is no duration", values["walltime"], remedy)
        return 0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _margin(document: Document, values: dict[str, Any], walltime: int) -> float:
    """In seconds: what is given, else a tenth of the walltime within bounds."""
    margin = values.get("margin", min(max(walltime / 10, _MARGIN[0]), _MARGIN[1]))
    if isinstance(margin, bool) or not isinstance(margin, int | float) or margin < 0:
        document.add(("margin",), f"{show(margin)} is no number of seconds", margin)
        return 0.0
    if walltime and walltime - margin < _LEAST_LIFE:
        document.add(
            ("walltime",),
            f"leaves {max(walltime - margin, 0):.0f} seconds of work: workers end {margin:.0f} seconds before it",
            walltime,
            "Ask for more, or say margin: SECONDS",
        )
    return float(margin)


def _check_cores(document: Document, values: dict[str, Any]) -> None:
    cores = values.get("cores", 1)
    if type(cores) is not int or cores < 1:
        document.add(("cores",), f"{show(cores)} is no number of cores", cores, "Give a whole number from 1")
    for key in _SIZES:
        if key in values and not _BYTES.fullmatch(str(values[key])):
            document.add(
                (key,), f"{show(values[key])} is no amount of {key}", values[key], "Write it with its unit: 16GB"
            )


def _check_texts(document: Document, values: dict[str, Any], system: BatchSystem) -> None:
    for key in (*system.keys, *_TEXTS):
        value = values.get(key)
        if value is None or key in _SIZES:
            continue
        # It becomes a line of a shell script's head: a line break would begin a line of its own.
        if not isinstance(value, str) or not value or "\n" in value:
            document.add((key,), f"{show(value)} is not one line of text", value, "Put it in quotes")


def _lines(document: Document, values: dict[str, Any], key: str) -> tuple[str, ...]:
    lines = values.get(key, [])
    if not isinstance(lines, list) or any(not isinstance(line, str) or "\n" in line for line in lines):
        example = "[--constraint=a100]" if key == "job_extra" else "[module load cuda]"
        document.add((key,), "is not a list of lines", lines, f"Write, for example, {key}: {example}")
        return ()
    return tuple(lines)


def _commands(document: Document, values: dict[str, Any]) -> dict[str, str]:
    extra = values.get("job_extra", {})
    flat = isinstance(extra, dict) and not any(isinstance(value, dict | list) for value in extra.values())
    if not flat or any("\n" in str(value) for value in extra.values()):
        remedy = "Write, for example, job_extra: {request_gpus: 1}"
        document.add(("job_extra",), "is not a mapping of submit commands to values", extra, remedy)
        return {}
    return {key: str(value) for key, value in extra.items()}


def _check_interface(document: Document, values: dict[str, Any]) -> None:
    name = values.get("interface")
    present = [interface for _, interface in socket.if_nameindex()]
    if isinstance(name, str) and name and name not in present:
        document.add(("interface",), f"this machine has no network interface '{name}'", name, choices(name, present))
