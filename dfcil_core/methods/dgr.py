"""Deep Generative Replay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from annotated_types import Ge, Gt

from dfcil_core.artifacts import VAE
from dfcil_core.config import LATER
from dfcil_core.lazy import checkpoint, functional, losses, networks, streams, supplied, torch, vae
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from dfcil_core.context import Batch, Phase, TrainContext
    from dfcil_core.data.catalog import DatasetInfo
    from dfcil_core.methods.base import Normalisation
    from dfcil_core.networks.vae import Vae


@dataclass(frozen=True)
class DgrSettings:
    """Settings of DGR."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 1.0
    """Weight of the distillation term."""
    distillation_temperature: Annotated[float, Gt(0)] = field(default=2.0, metadata=LATER)
    """Temperature T of the softmaxes that distillation compares."""


class Dgr(Method):
    """A variational auto-encoder, learnt task by task beside the classifier, replays the old classes.

    From task 2 on, over a batch x of real images and one x' that the VAE of the task before makes, labels of x' being
    the argmax of the old network's old logits, each image with the class weight `old / seen` for an old label and
    `1 - old / seen` for a new one:
      classifier: `mean(w * CE(z([x; x'])[:seen], y))` + `mu * KD(z(x'), O(x'), old)`, of temperature T = 2
        without a factor T²;
      VAE, after the classifier's step, on the same batch: `mean(w * BCE)` + `KL / (channels * s * s)`, BCE the mean
      over an image's values, and KL without weight.
    On task 1 all weights are 1 and nothing is replayed. Images are in [0, 1], not normalised; no weight decay; the
    VAE's weights are carried over tasks, with a fresh optimiser for each, of the classifier's kind and schedule.
    Source: Shin et al., Continual Learning with Deep Generative Replay, NeurIPS 2017; as the baseline of Smith et al.,
    ICCV 2021.

    Differs from the paper:
    1. A VAE in the place of a GAN, and distillation beside the replayed labels, as in Smith et al.
    """

    name = "dgr"
    summary = "replays old classes from a variational auto-encoder learnt along the way"
    source = "Shin et al., Continual Learning with Deep Generative Replay, NeurIPS 2017"
    version = 2  # 1 had a ReLU after the decoder's linear layer
    settings_type = DgrSettings
    recipe = {"training": {"weight_decay": 0.0}}
    takes_first_model = False  # the auto-encoder learns with task 1
    step_cost = 10.0

    def learn_identity(self, task: int, memory: int, quirks: str) -> tuple[str, int, dict[str, Any]]:
        name, version, settings = super().learn_identity(task, memory, quirks)
        if task == 1:
            settings.pop("distillation_temperature", None)  # there is nothing to distil yet
        return name, version, settings

    def plain_first_task(self, quirks: str) -> bool:
        # The VAE must learn the first task too, and images are not normalised.
        return False

    def normalisation(self, dataset: DatasetInfo) -> Normalisation:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def size_multiple(self, image_size: int) -> int:
        # The VAE halves the image three times.
        return 8

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        recipe, device = context.recipe, context.device
        size, channels = recipe.data.image_size, recipe.data.channels
        replayed = context.parents["model"] / VAE if context.task > 1 else None
        own = vae.build_vae(size, channels, streams.stream(recipe.seed, "vae", 0))
        if replayed is not None:
            own.load_state_dict(checkpoint.load_tensors(replayed))
            old = vae.build_vae(size, channels)
            old.load_state_dict(checkpoint.load_tensors(replayed))
            rng = streams.stream(recipe.seed, "noise", recipe.stream)
            context.dream = _Replay(networks.freeze(old.to(device)), rng)
        context.modules["vae"] = own = own.to(device)
        phase = context.phase(
            pool=self.pool(context), loss=self.loss, after_step=self._teach_vae, before_epoch=self._set_vae_lr
        )
        context.optimizers["vae"] = context.optimizer(own.parameters(), phase.lr, phase.weight_decay)
        context.streams["vae"] = streams.stream(recipe.seed, "codes", recipe.stream)
        yield phase
        context.outputs[VAE] = own.state_dict()

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        real, old, seen = len(batch.images), context.n_old, context.n_seen
        if context.task == 1:
            self._step = batch.images, torch.ones(real, device=context.device)
            return functional.cross_entropy(context.student(batch.images)[:, :seen], batch.labels)

        taught = context.teacher_output(batch.dreamed).logits
        labels = torch.cat([batch.labels, taught[:, :old].argmax(1)])
        weights = losses.new_class_weights(labels, old, seen)
        # The VAE learns from the same images, labels and weights after this step.
        self._step = torch.cat([batch.images, batch.dreamed]), weights

        logits = context.student(self._step[0])
        new_and_replayed = losses.weighted_cross_entropy(logits[:, :seen], labels, weights)
        kept = losses.distillation(logits[real:], taught, slice(0, old), self.settings.distillation_temperature)
        return new_and_replayed + self.settings.mu * kept

    def _set_vae_lr(self, context: TrainContext, lr: float) -> None:
        context.optimizers["vae"].param_groups[0]["lr"] = lr

    def _teach_vae(self, context: TrainContext, batch: Batch) -> None:
        images, weights = self._step
        noise = _normal(len(images), context.streams["vae"], images.device)
        context.step(context.optimizers["vae"], cast("Vae", context.modules["vae"]).loss(images, weights, noise))


class _Replay:
    """Gives images of the old classes from the frozen VAE of the task before, in [0, 1]."""

    def __init__(self, frozen: vae.Vae, rng: torch.Generator) -> None:
        self.vae, self.rng = frozen, rng

    def __call__(self, count: int) -> Tensor:
        return self.vae.sample(_normal(count, self.rng, self.vae.expand.weight.device))


def _normal(count: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Noise for as many codes."""
    return supplied.supplied(lambda: torch.randn(count, vae.LATENT, generator=rng), device)
