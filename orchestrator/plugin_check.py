"""What a plug-in's methods, backbones and data sets must do, tried on small made-up images: `check-plugin`.

The same contract that our own are held to by the tests, for a person's own file.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch.nn.modules.batchnorm import _BatchNorm

from dfcil_core.checkpoint import load_tensors, save_tensors
from dfcil_core.data.catalog import DATASETS
from dfcil_core.data.open import forget, open_data
from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from dfcil_core.networks.build import build, fold_batchnorm
from dfcil_core.plugins import Plugin, PluginError
from dfcil_core.plugins import load_file as load_plugin
from dfcil_core.run_stage import run_stage
from dfcil_core.streams import stream
from orchestrator.errors import UserError
from orchestrator.plan.plan import Plan, data_recipe, make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import Dataset

_SPEC = """\
name: check
dataset: {{name: synthetic, classes: 4, train_per_class: 20, test_per_class: 4, image_size: {size}}}
methods: [{{name: {method}, training: {{epochs: {epochs}}}}}]
tasks: [2]
seeds: [0]
memory: 8
training: {{backbone: {backbone}, batch_size: 16, lr: 0.01}}
dreaming: {{steps: 2}}
"""
_SIZE = 16  # pixels, height and width of the images that methods and backbones are tried on
_CLOSE = 1e-4  # how far a folded network's outputs may be from its own, for rounding


@dataclass(frozen=True)
class Finding:
    """One thing that was tried."""

    subject: str
    """`method feature-lwf`"""
    claim: str
    """What must hold."""
    problem: str = ""
    """Why it does not; empty: it does."""


class _Stopped(BaseException):
    """Ends a stage in its midst, as a kill would."""


def check(path: str | Path, data_root: str | None = None) -> Iterator[Finding]:
    """Try everything that the file at `path` brings. `data_root` is where its data sets lie.

    Raises UserError where it is no plug-in at all.
    """
    try:
        brought = load_plugin(path)
    except PluginError as error:
        raise UserError(str(error)) from None
    for plugin in brought:
        subject = f"{plugin.kind} {plugin.name}"
        claims = {"method": _method, "backbone": _backbone, "data set": _data_set}[plugin.kind]
        for claim, holds in claims(plugin, data_root):
            yield Finding(subject, claim, _problem(holds))


Claims = Iterator[tuple[str, Callable[[], object]]]


def _problem(holds: Callable[[], object]) -> str:
    """Why a claim does not hold: an answer that is a text, or what it raised."""
    try:
        answer = holds()
    except Exception as error:  # of a person's own code: whatever it raises is the finding
        return f"{type(error).__name__}: {error}"
    return answer if isinstance(answer, str) else ""


# ---- methods ---------------------------------------------------------------------------------------------------------


def _method(plugin: Plugin, data_root: str | None) -> Claims:
    method = cast(type[Method], plugin.item)
    epochs = max(3, method.fewest_epochs)
    yield from _trains(plugin, _SPEC.format(method=method.name, epochs=epochs, backbone="resnet8", size=_SIZE))


def _trains(plugin: Plugin, text: str) -> Claims:
    """Two tasks are learnt; again, to the same numbers; and so when a stage is stopped and resumed."""
    with tempfile.TemporaryDirectory() as folder:
        place, path = Path(folder), str(plugin.path)
        plan = make_plan(parse_spec(text, "the check's spec", plugin=path))
        records: dict[str, Any] = {}
        yield "learns two tasks", lambda: records.update(_run(plan, place / "first", Execution(plugin=path)))
        if records:
            yield "gives the same numbers twice", lambda: _same(plan, records, place, path)
            yield "resumes within its last task to the same numbers", lambda: _resumed(plan, records, place, path)


def _run(plan: Plan, place: Path, execution: Execution) -> dict[str, Any]:
    records = {}
    for key, stage in plan.stages.items():
        (place / key).mkdir(parents=True)
        parents = {role: place / parent for role, parent in stage.recipe.parents.items()}
        records[key] = run_stage(stage.recipe, place / key, parents, execution)
    return records


def _same(plan: Plan, records: Mapping[str, Any], place: Path, path: str) -> str:
    again = _run(plan, place / "second", Execution(plugin=path))
    for key, stage in plan.stages.items():
        if what := _other(records[key], again[key], place / "first" / key, place / "second" / key):
            return f"{stage}: {what} is another one the second time: is every random number drawn from a stream?"
    return ""


def _resumed(plan: Plan, records: Mapping[str, Any], place: Path, path: str) -> str:
    *_, (key, stage) = plan.stages.items()
    parents = {role: place / "first" / parent for role, parent in stage.recipe.parents.items()}
    epochs: list[Any] = []

    def stop(news: dict[str, Any]) -> None:
        epochs.append(news)
        if len(epochs) == 2:
            raise _Stopped

    saves, into = place / "saves", place / "resumed"
    for folder in (saves, place / "stopped", into):
        folder.mkdir()
    execution = Execution(saves=saves, save_every=0, plugin=path)
    with contextlib.suppress(_Stopped):
        run_stage(stage.recipe, place / "stopped", parents, replace(execution, report=stop))
    record = run_stage(stage.recipe, into, parents, execution)
    if what := _other(records[key], record, place / "first" / key, into):
        return f"{what} is another one: what it keeps beside its student belongs into context.modules or .streams"
    return ""


def _other(record: Any, again: Any, one: Path, other: Path) -> str:
    """What differs between two runs of a stage: its record, or the first file of tensors; empty: nothing."""
    if record != again:
        return "its record"
    for file in sorted(one.glob("*.safetensors")):
        theirs = other / file.name
        if not theirs.exists():
            return file.name
        here, there = load_file(file), load_file(theirs)
        if here.keys() != there.keys() or any(not torch.equal(here[name], there[name]) for name in here):
            return file.name
    return ""


# ---- backbones -------------------------------------------------------------------------------------------------------


def _backbone(plugin: Plugin, data_root: str | None) -> Claims:
    name = plugin.name
    yield "gives features and logits of their sizes, for 1 and 3 channels", lambda: _shapes(name)
    yield "starts equal from one seed, and otherwise from another", lambda: _starts(name)
    yield "answers each image for itself", lambda: _alone(name)
    yield "is the same when it is loaded from a file", lambda: _reloaded(name)
    yield "can be dreamed from: has batch normalisations, each after its convolution", lambda: _foldable(name)
    yield from _trains(plugin, _SPEC.format(method="base", epochs=3, backbone=name, size=_SIZE))


def _images(channels: int = 3, count: int = 6) -> torch.Tensor:
    return torch.rand(count, channels, _SIZE, _SIZE, generator=stream(0, "images", 0))


def _drawn(name: str, seed: int = 0, channels: int = 3) -> Any:
    return build(name, 5, channels, stream(seed, "init", 0)).eval()


def _shapes(name: str) -> str:
    for channels in (1, 3):
        network, images = _drawn(name, channels=channels), _images(channels)
        features, logits = network.features(images), network(images)
        if features.shape != (6, network.head.in_features):
            return f"features of {channels} channels are {tuple(features.shape)}, not (6, {network.head.in_features})"
        if logits.shape != (6, 5):
            return f"logits of {channels} channels are {tuple(logits.shape)}, not (6, 5)"
    return ""


def _starts(name: str) -> str:
    torch.manual_seed(1)
    first = _drawn(name).state_dict()
    torch.manual_seed(2)
    again, other = _drawn(name).state_dict(), _drawn(name, 1).state_dict()
    drawn = [key for key in first if not torch.equal(first[key], again[key])]
    if drawn:
        return f"{drawn[0]} is not drawn from the generator that `draws` is given"
    return "two seeds give the same network" if all(torch.equal(first[key], other[key]) for key in first) else ""


@torch.no_grad()
def _alone(name: str) -> str:
    network, images = _drawn(name), _images()
    apart = float((network(images)[:1] - network(images[:1])).abs().max())
    return f"an image's logits differ by {apart:.2g} when it is in a batch" if apart > _CLOSE else ""


@torch.no_grad()
def _reloaded(name: str) -> str:
    network = _drawn(name)
    with tempfile.TemporaryDirectory() as folder:
        save_tensors(Path(folder) / "network", network.state_dict())
        loaded = build(name, 5)
        loaded.load_state_dict(load_tensors(Path(folder) / "network"))
    same = torch.equal(network(_images()), loaded.eval()(_images()))
    return "" if same else "its logits are others: not all of it is in its state_dict"


@torch.no_grad()
def _foldable(name: str) -> str:
    network = _drawn(name)
    if not any(isinstance(module, _BatchNorm) for module in network.modules()):
        return "it has none: methods that dream match its batch statistics"
    apart = float((fold_batchnorm(network)(_images()) - network(_images())).abs().max())
    return "" if apart <= _CLOSE else f"folded into the layers before, its logits differ by {apart:.2g}"


# ---- data sets -------------------------------------------------------------------------------------------------------


def _data_set(plugin: Plugin, data_root: str | None) -> Claims:
    yield "opens, with the images that it says it has", lambda: _opened(plugin.name, data_root)
    yield "is the same when it is opened again", lambda: _twice(plugin.name, data_root)
    yield "has no image both to train on and to test with", lambda: _apart(plugin.name, data_root)


def _open(name: str, data_root: str | None) -> Any:
    info = DATASETS[name]
    forget()
    # As any method sees it that has no augmentation of its own.
    base = METHODS["base"](METHODS["base"].settings_type())
    return open_data(data_recipe(Dataset(info, info.image_size), base), data_root)


def _opened(name: str, data_root: str | None) -> str:
    info, data = DATASETS[name], _open(name, data_root)
    for part, images, count in (("train", data.train, info.train_images), ("test", data.test, info.test_images)):
        if len(images.labels) != count or len(images.pixels) != count:
            return f"{len(images.labels)} {part} images, where `{part}_images` says {count}"
        if images.labels.unique().tolist() != list(range(info.classes)):
            return f"the {part} labels are not all of 0 to {info.classes - 1}"
        low, high = float(images.pixels.min()), float(images.pixels.max())
        if low < 0 or high > 255 or high <= 1:
            return f"the {part} pixels go from {low:g} to {high:g}: they must be of 0 to 255"
    return ""


def _twice(name: str, data_root: str | None) -> str:
    first, again = _open(name, data_root), _open(name, data_root)
    for part in ("train", "test"):
        one, other = getattr(first, part), getattr(again, part)
        if not (torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)):
            return f"its {part} images are others, or in another order"
    return ""


def _apart(name: str, data_root: str | None) -> str:
    data = _open(name, data_root)
    trained = {image.numpy().tobytes() for image in data.train.pixels}
    both = sum(image.numpy().tobytes() in trained for image in data.test.pixels)
    return f"{both} test images are training images too" if both else ""
