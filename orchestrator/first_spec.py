"""A first spec: sizes that suit the machine and the data, and a comment at each key. `dfcil-sweep init` writes it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from dfcil_core.data.catalog import DATASETS, FIXED, LARGE, DatasetInfo, image_files_info, subset_info
from dfcil_core.errors import MissingData
from dfcil_core.methods import METHODS
from orchestrator.errors import UserError, choices
from orchestrator.schema.keys import KEYS
from orchestrator.spec.given import as_yaml
from sweeps import SCHEMA

METHODS_OF_A_START = ("upper-bound", "base", "lwf", "abd")
_MANY = 200  # training images of a class above which a CPU is given a part
_CLASSES = 20  # of such a data set on a CPU
_IMAGES = 100  # of each
_WIDTH = 100
_LINK = re.compile(r"\[[^\]]*\]\(([^)]*)\)")  # between documents


@dataclass(frozen=True)
class Choice:
    """What a person chose."""

    name: str
    data: str
    """The name of a data set, or a folder of images."""
    methods: tuple[str, ...]
    tasks: int | None
    """None: as many as suit the number of classes."""
    device: str
    """`cpu` or `cuda`."""


def first_spec(choice: Choice) -> str:
    """The text of the spec. Raises UserError for an unknown method, data set or folder."""
    for method in choice.methods:
        if method not in METHODS:
            raise UserError(f"--methods: no method '{method}'. {choices(method, METHODS)}")
    info, dataset = _data(choice)
    small = choice.device == "cpu"
    tasks = choice.tasks or tasks_of(info.classes)
    given: dict[str, object] = {
        "name": choice.name,
        "dataset": dataset,
        "methods": list(choice.methods),
        "tasks": [tasks],
        "seeds": [0, 1, 2],
    }
    if small:
        given["training"] = {"backbone": "resnet8", "epochs": 20, "batch_size": 32}
    if small and any(METHODS[method].dreams for method in choice.methods):
        given["dreaming"] = {"steps": 200}
    if any(METHODS[method].group == "memory" for method in choice.methods):
        given["memory"] = max(info.classes, 5 * info.classes if small else 20 * info.classes)
    return _text(given, choice)


def tasks_of(classes: int) -> int:
    """The number of equal tasks nearest to five, of two classes or more where the number of classes allows that."""
    divisors = [number for number in range(2, classes + 1) if classes % number == 0]
    several = [number for number in divisors if number < classes] or divisors
    return min(several, key=lambda number: (abs(number - 5), number), default=1)


def _data(choice: Choice) -> tuple[DatasetInfo, dict[str, object]]:
    """The data set as it will be read, and its section."""
    if choice.data in DATASETS and choice.data not in ("folder", "synthetic"):
        return _known(choice.data, choice.device)
    folder = Path(choice.data).expanduser().absolute()
    if not folder.is_dir():
        named = [name for name in DATASETS if name not in ("folder", "synthetic")]
        raise UserError(f"--data {choice.data}: no data set, and no folder. {choices(choice.data, named)}")
    try:
        info = image_files_info("folder", str(folder))
    except MissingData as error:
        raise UserError(str(error)) from None
    size = 32 if choice.device == "cpu" else 64
    return info, {"name": "folder", "root": str(folder), "image_size": size}


def _known(name: str, device: str) -> tuple[DatasetInfo, dict[str, object]]:
    info, section = DATASETS[name], {"name": name}
    told: dict[str, object] = dict(section)
    if info.native_size < info.image_size and device == "cpu":
        told["image_size"] = info.native_size
    if device == "cpu" and info.image_size >= LARGE // 2:
        told["image_size"] = 32
    if device == "cpu" and name in FIXED and info.train_images > _MANY * info.classes:
        part = {"classes": min(_CLASSES, info.classes), "train_per_class": _IMAGES}
        told |= part
        info = subset_info(name, **part)
    return info, told


def _text(given: dict[str, object], choice: Choice) -> str:
    """The spec with what its keys mean, and the keys that it does not have, as comments."""
    where = "this machine's CPU" if choice.device == "cpu" else "a GPU"
    lines = [
        f"# yaml-language-server: $schema={SCHEMA.as_uri()}",
        f"# A first spec, of sizes for {where}. What is not given is as published (Smith et al., Always Be Dreaming,",
        "# ICCV 2021): ResNet-32, 250 epochs, 10,000 dreaming steps. Every key: docs/spec.md, or `dfcil-sweep schema`.",
    ]
    for line in as_yaml(given).splitlines():
        key = line.partition(":")[0]
        lines += ["", *_comment(KEYS[key].about), line] if key in given else [line]
    for key in ("memory", "exclude"):
        if key not in given:
            lines += ["", *_comment(KEYS[key].about), *(f"# {line}" for line in KEYS[key].example.splitlines())]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    text = _LINK.sub(r"docs/\1", text)
    return wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def names(listed: str | Sequence[str]) -> tuple[str, ...]:
    """The names of a list with commas or blanks between them."""
    text = listed if isinstance(listed, str) else ",".join(listed)
    return tuple(dict.fromkeys(text.replace(",", " ").split()))
