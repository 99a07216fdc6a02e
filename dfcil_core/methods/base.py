"""What a method says of itself, to the planner without torch and to the training loop with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dfcil_core.config import in_identity
from dfcil_core.lazy import functional, torch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from dfcil_core.config import Recipe
    from dfcil_core.context import Batch, Phase, TrainContext
    from dfcil_core.data.catalog import DatasetInfo

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class NoSettings:
    """A method without settings of its own."""

    __pydantic_config__ = {"extra": "forbid"}


class Method:
    """Naive fine-tuning, and the base of every method: override what differs.

    The class attributes and `learn_identity` are read by the planner; `phases`, `pool` and `loss` by the training loop.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    version: ClassVar[int] = 1
    group: ClassVar[Literal["bound", "data-free", "memory"]] = "data-free"
    settings_type: ClassVar[type] = NoSettings
    recipe: ClassVar[dict[str, dict[str, Any]]] = {}
    """Settings of `training` and `dreaming` that this method's authors use in the place of the defaults."""

    fewest_epochs: ClassVar[int] = 1
    """The smallest `epochs` with which every phase runs: what a rehearsal asks for."""
    chained: ClassVar[bool] = True
    """Each task starts from the network of the task before. False: a fresh network on all classes so far."""
    selection: ClassVar[Literal["random", "nearest-mean", "herding"] | None] = None
    """How a `remember` stage chooses the images to keep; None: it keeps none."""
    selection_needs_model: ClassVar[bool] = False
    """Whether it looks at the features of the network after the task, as all ways but `random` do."""
    takes_first_model: ClassVar[bool] = True
    """Whether a network from a file can stand for its task 1: not where that leaves more than a network behind."""
    dreams: ClassVar[bool] = False
    """Learns from synthetic images, which a `dream` stage makes ready."""
    continues_generator: ClassVar[bool] = True
    """The generator goes on from that of the task before. False: a fresh one for every task."""
    network_variant: ClassVar[str] = ""
    """Which variant of the backbone it trains (dfcil_core/networks); empty: the one all others share."""
    abd_protocol: ClassVar[bool] = True
    """With `quirks: iccv2021`, its networks and generators start as those of the public ABD code do: batch
    normalisation's scales drawn from U(0, 1), the head's biases from torch's default (dfcil_core/networks)."""

    step_cost: ClassVar[float] = 1.0
    """About how long a step takes beside one of plain cross-entropy, a teacher and dreamed images apart. It only tells
    which chain of stages is the longest, while none was timed yet."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    # ---- for the planner ---------------------------------------------------------------------------------------------

    @classmethod
    def recipe_for(cls, dataset: DatasetInfo) -> dict[str, dict[str, Any]]:
        """`recipe` where it depends on the data set, `dataset.image_size` being the size of the images.

        Beside `training` and `dreaming` it can have `settings`: of the method's own.
        """
        return cls.recipe

    def plain_first_task(self, quirks: str) -> bool:
        """Whether task 1 is plain cross-entropy over the seen classes, and so shared with all methods that say so."""
        return True

    def quirky(self, task: int) -> bool:
        """Whether `quirks` changes what this method computes at `task`."""
        return False

    def trains_task(self, task: int, tasks: int) -> bool:
        """Whether `task` (1-based) of so many is trained, where `chained` is False; the last one always is."""
        return True

    def learn_identity(self, task: int, memory: int, quirks: str) -> tuple[str, int, dict[str, Any]]:
        """The method's name, version, and the settings that can change the numbers of `learn` at `task` (1-based)."""
        start = self.start_identity(quirks) if task == 1 or not self.chained else {}
        if task == 1 and self.plain_first_task(quirks):
            return "cross-entropy", Method.version, start
        settings = {**self._settings_as_data, **start}
        if self.quirky(task):
            settings["quirks"] = quirks
        return self.name, self.version, settings

    def start_identity(self, quirks: str) -> dict[str, Any]:
        """What can change how a fresh network or generator starts."""
        # Without quirks it stays unsaid: so it was before they acted here, and those stages keep their keys.
        return {"quirks": quirks} if self.abd_protocol and quirks != "none" else {}

    def remember_identity(self, task: int, memory: int, quirks: str) -> dict[str, Any]:
        """What of the settings can change which images are kept after `task` (1-based)."""
        settings: dict[str, Any] = {"selection": self.selection, "memory": memory}
        if self.selection == "random" and (task > 1 or quirks != "none"):
            # How old images are drawn again, from task 2 on, and where the remainder goes, from task 1 on. That came
            # later: after task 1 `none` stays unsaid, and the stage keeps its key.
            settings["quirks"] = quirks
        return settings

    def augmentation(self, dataset: DatasetInfo) -> str:
        """The name of the training augmentation (dfcil_core/augment.py); `dataset.image_size` is that of the images."""
        return dataset.augmentation

    def normalisation(self, dataset: DatasetInfo) -> Normalisation | None:
        """Mean and standard deviation per channel of pixels in [0, 1]; None: the data set's own."""
        return None

    def size_multiple(self, image_size: int) -> int:
        """What an image size near this one must be a multiple of, for the images that the method generates."""
        if not self.dreams:
            return 1
        return 4 if image_size < 64 else 8 if image_size < 128 else 32

    @cached_property
    def _settings_as_data(self) -> dict[str, Any]:
        return in_identity(self.settings)

    # ---- for the training loop ---------------------------------------------------------------------------------------

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        """The phases of one task, in order; by default one, over `pool`, that trains every parameter on `loss`."""
        yield context.phase(pool=self.pool(context), loss=self.loss)

    def pool(self, context: TrainContext) -> Tensor:
        """Positions in the training set that an epoch goes over; by default the new classes' images, once each."""
        return context.new_images

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        """The scalar loss of one batch."""
        return functional.cross_entropy(context.student(batch.images)[:, : context.n_seen], batch.labels)

    def eval_model(self, context: TrainContext) -> nn.Module:
        """What is tested after the last phase: images to logits of (at least) the seen classes."""
        return context.student

    def load_eval_model(self, network: nn.Module, folder: Path, recipe: Recipe) -> nn.Module:
        """What `eval_model` was, of a finished stage: from its network, and the files of `outputs` in its `folder`."""
        return network


class CrossEntropy(Method):
    """Plain cross-entropy: what task 1 is for most methods, and the whole of the upper bound."""

    name = "cross-entropy"
    summary = "plain cross-entropy over the seen classes"
    source = "first task of most methods"


__all__ = ["CrossEntropy", "Method", "NoSettings", "Normalisation", "torch"]
