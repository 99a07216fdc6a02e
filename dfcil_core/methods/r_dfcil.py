"""R-DFCIL: relation-guided representation learning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from annotated_types import Ge, Gt, Lt

from dfcil_core.data.catalog import LARGE
from dfcil_core.lazy import functional, losses, streams, torch
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from torch.nn import ModuleDict

    from dfcil_core.context import Batch, Phase, TrainContext
    from dfcil_core.data.catalog import DatasetInfo
    from dfcil_core.losses import ClassCounts
    from dfcil_core.methods.base import Normalisation

EMBEDDING = 2
"""Length of the embeddings between which relations are compared, in lengths of the features: 128 of 64."""
HEAD_DEVIATION = 1e-3
REFINEMENT = 0.2
IMAGENET: dict[str, dict[str, Any]] = {
    "training": {"epochs": 120, "milestones": (30, 60), "weight_decay": 1e-4, "batch_size": 64},
    "dreaming": {"steps": 10_000},
    "settings": {"refinement": 0.25},
}
"""Its recipe for ImageNet: 90 epochs, and 30 of refinement."""
CIFAR100 = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)


@dataclass(frozen=True)
class RDfcilSettings:
    """Settings of R-DFCIL. The three weights are before their scaling with the numbers of old and new classes."""

    __pydantic_config__ = {"extra": "forbid"}

    ce_weight: Annotated[float, Ge(0)] = 0.5
    """Weight of the new classes' cross-entropy, and of the refinement's."""
    hard_kd_weight: Annotated[float, Ge(0)] = 0.15
    """Weight of the hard distillation on synthetic images."""
    relation_weight: Annotated[float, Ge(0)] = 0.5
    """Weight of the relational distillation on real images."""
    refinement_lr: Annotated[float, Gt(0)] = 0.005
    """Learning rate of the head's refinement, constant."""
    refinement: Annotated[float, Gt(0), Lt(1)] = REFINEMENT
    """Share of `epochs` that the head's refinement takes."""


class RDfcil(Method):
    """The new classes are learnt on real images, the old outputs kept on dreamed ones, and the relations between the
    new images' features kept as the old network saw them; then the head is refined on both.

    `epochs` are both stages together, the last fifth (`refinement`) the second one: 200 are 160 and 40. Task 1 has no
    second stage: plain cross-entropy over the seen classes for four fifths of `epochs`. From task 2 on, over a batch x
    of real images and one x' of dreamed ones, which pass through the network apart, with `n` new classes,
    `alpha = log2(n / 2 + 1)` and `beta = sqrt(old / n)`:
      stage 1: `0.5 (1 + 1/alpha) / beta * CE(z(x) of the new classes, y)`
        + `0.15 alpha beta * mean|z(x')[:old] - O(x')|` + `0.5 alpha beta * RKD(x)`;
      stage 2, the head alone, features in eval mode: `0.5 * CE(z([x; x'])[:seen], y)` with class weights, divided by
        their sum, + stage 1's second term; the optimiser goes on, moments included, with a learning rate of 0.005,
        whatever the schedule is.
    RKD compares the angles between images in embeddings, twice as long as the features, that are learnt for student and
    teacher. Class weights are inversely proportional to how often a class was seen, real or dreamed, since the task
    began, the smallest 1, renewed every epoch.
    The backbone has no ReLU after a block's addition (ResNet-18: but in each stage's first block), each block starts as
    its shortcut, ResNet-18 has a 3 x 3 stem of stride 1 before its pooling, and the head has no biases; a task begins
    with new rows of the head drawn from N(0, 0.001^2). The generator is a fresh one for every task.
    Images are normalised, then cropped and flipped, without colour jitter; `folder` images from 128 pixels on are
    cropped at random to 8 to 100% of their area and flipped.
    Its own recipe depends on the data set. What is above is CIFAR-100's and all others', with a weight decay of 5e-4.
    Tiny ImageNet: weight decay 2e-4. `folder` images from 128 pixels on, as ImageNet-100: 120 epochs, of which 90 are
    stage 1, with milestones 30 and 60, and 30 the refinement; weight decay 1e-4, batches of 64, 10,000 dreaming steps.
    Source: Gao et al., R-DFCIL: Relation-Guided Representation Learning for Data-Free Class Incremental Learning,
    ECCV 2022, and its public code.

    Differs from the public code:
    1. `refinement_lr` and the three weights stay as they are whatever `training.lr` and `training.epochs` are; a
       sweep of fewer than two epochs has no refinement.
    2. The embeddings' layers have no biases: a bias falls out of every difference between two embeddings.
    """

    name = "r-dfcil"
    summary = "dreams old classes; hard and relational distillation, then a refined head"
    source = "Gao et al., R-DFCIL, ECCV 2022"
    settings_type = RDfcilSettings
    recipe = {
        "training": {"epochs": 200, "milestones": (80, 120), "weight_decay": 5e-4},
        "dreaming": {"steps": 5000},
    }
    fewest_epochs = 2  # one for each stage
    dreams = True
    continues_generator = False
    network_variant = "r-dfcil"
    abd_protocol = False

    @classmethod
    def recipe_for(cls, dataset: DatasetInfo) -> dict[str, dict[str, Any]]:
        if dataset.name == "tiny-imagenet":
            return {**cls.recipe, "training": {**cls.recipe["training"], "weight_decay": 2e-4}}
        if dataset.resized_crops and dataset.image_size >= LARGE:
            return IMAGENET
        return cls.recipe

    def learn_identity(self, task: int, memory: int, quirks: str) -> tuple[str, int, dict[str, Any]]:
        name, version, settings = super().learn_identity(task, memory, quirks)
        # A fifth stays unsaid, as before it was a setting: those stages keep their keys.
        return name, version, {at: value for at, value in settings.items() if (at, value) != ("refinement", REFINEMENT)}

    def plain_first_task(self, quirks: str) -> bool:
        return False

    def augmentation(self, dataset: DatasetInfo) -> str:
        return dataset.sized("normalise-crop-flip" if dataset.flips else "normalise-crop")

    def normalisation(self, dataset: DatasetInfo) -> Normalisation | None:
        return CIFAR100 if dataset.name == "cifar100" else None

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        _draw_head(context)
        pool, epochs = self.pool(context), context.recipe.training["epochs"]
        # Rounded before it is cut: 0.29 of 100 is 29, also where the product is 28.999999999999996.
        refinement = min(max(1, int(round(epochs * self.settings.refinement, 9))), epochs - 1)
        if context.task == 1:
            yield context.phase(pool=pool, loss=self._first, name="learn", epochs=epochs - refinement)
            return
        context.modules["embed"] = _embeddings(context)
        context.modules["seen"] = losses.ClassCounts(context.n_seen).to(context.device)
        trained = [*context.student.parameters(), *context.modules["embed"].parameters()]
        yield context.phase(pool=pool, loss=self.loss, name="learn", epochs=epochs - refinement, parameters=trained)
        if refinement:
            yield context.phase(
                pool=pool,
                loss=self._refined,
                name="refine",
                epochs=refinement,
                parameters=list(context.student.head.parameters()),
                lr=self.settings.refinement_lr,
                schedule="constant",
                warmup=0,
                before_epoch=_prepare_refinement,
                keeps_momentum=True,
            )

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        """Stage 1."""
        old, seen = context.n_old, context.n_seen
        alpha, beta = scales(old, seen - old)
        taught = context.teacher_output(batch.dreamed).logits[:, :old]
        _seen(context).add(batch.labels, taught.argmax(1))

        features = context.student.features(batch.images)
        local = context.student.head(features)[:, old:seen]
        local_ce = functional.cross_entropy(local, batch.labels - old)
        hard_kd = functional.l1_loss(context.student(batch.dreamed)[:, :old], taught)
        embed = cast("ModuleDict", context.modules["embed"])
        before = embed["teacher"](context.teacher_output(batch.images).features)
        relations = losses.relational_distillation(embed["student"](features), before)
        return (
            self.settings.ce_weight * (1 + 1 / alpha) / beta * local_ce
            + self.settings.hard_kd_weight * alpha * beta * hard_kd
            + self.settings.relation_weight * alpha * beta * relations
        )

    def _first(self, context: TrainContext, batch: Batch) -> Tensor:
        return super().loss(context, batch)

    def _refined(self, context: TrainContext, batch: Batch) -> Tensor:
        """Stage 2."""
        old, seen = context.n_old, context.n_seen
        alpha, beta = scales(old, seen - old)
        taught = context.teacher_output(batch.dreamed).logits[:, :old]
        labels = torch.cat([batch.labels, taught.argmax(1)])
        _seen(context).add(labels)
        with torch.no_grad():
            features = context.student.features(torch.cat([batch.images, batch.dreamed]))
        logits = context.student.head(features)[:, :seen]
        ce = functional.cross_entropy(logits, labels, weight=_seen(context).weights)
        hard_kd = functional.l1_loss(logits[len(batch.images) :, :old], taught)
        return self.settings.ce_weight * ce + self.settings.hard_kd_weight * alpha * beta * hard_kd


def _seen(context: TrainContext) -> ClassCounts:
    """How often this task has seen each class."""
    return cast("ClassCounts", context.modules["seen"])


def scales(old: int, new: int) -> tuple[float, float]:
    """`alpha = log2(new / 2 + 1)` and `beta = sqrt(old / new)`, by which the terms adapt to the numbers of classes."""
    return math.log2(new / 2 + 1), math.sqrt(old / new)


def _draw_head(context: TrainContext) -> None:
    """Draw the new classes' rows of the head."""
    rng = streams.stream(context.recipe.seed, "head", context.recipe.stream)
    weight = context.student.head.weight
    rows = HEAD_DEVIATION * torch.randn(context.n_seen - context.n_old, weight.shape[1], generator=rng)
    with torch.no_grad():
        weight[context.n_old : context.n_seen] = rows.to(weight.device)


def _embeddings(context: TrainContext) -> ModuleDict:
    """Two linear layers without biases, torch's default initialisation, from a stream of their own."""
    size = context.student.head.in_features
    rng = streams.stream(context.recipe.seed, "embed", context.recipe.stream)
    layers = torch.nn.ModuleDict()
    for name in ("student", "teacher"):
        layers[name] = layer = torch.nn.Linear(size, EMBEDDING * size, bias=False)
        torch.nn.init.uniform_(layer.weight, -(size**-0.5), size**-0.5, generator=rng)
    return layers.to(context.device)


def _prepare_refinement(context: TrainContext, lr: float) -> None:
    context.student.eval()
    _seen(context).renew()
