"""Deep Generative Replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from dfcil_core.lazy import checkpoint, functional, losses, networks, streams, torch, vae
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from dfcil_core.data import DatasetInfo
    from dfcil_core.methods.base import Normalisation
    from dfcil_core.train import Batch, Learning, Phase

VAE = "vae.safetensors"


@dataclass(frozen=True)
class DgrSettings:
    """Settings of DGR."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 1.0
    """Weight of the distillation term."""


class Dgr(Method):
    """A variational auto-encoder, learnt task by task beside the classifier, replays the old classes.

    From task 2 on, over a batch x of real images and one x' that the VAE of the task before makes, labels of x' being
    the argmax of the old network's old logits, each image with the class weight `old / seen` for an old label and
    `1 - old / seen` for a new one:
      classifier: `mean(w * CE(z([x; x'])[:seen], y))` + `mu * KD(z(x'), O(x'), old)`;
      VAE, after the classifier's step, on the same batch: `mean(w * BCE)` + `KL / (channels * s * s)`, BCE the mean
      over an image's values, and KL without weight.
    On task 1 all weights are 1 and nothing is replayed. Images are in [0, 1], not normalised; no weight decay; the
    VAE's weights are carried over tasks, with a fresh SGD of the classifier's schedule for each.
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

    def plain_first_task(self, quirks: str) -> bool:
        # The VAE must learn the first task too, and images are not normalised.
        return False

    def normalisation(self, dataset: DatasetInfo) -> Normalisation:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def size_multiple(self, image_size: int) -> int:
        # The VAE halves the image three times.
        return 8

    def phases(self, learning: Learning) -> Iterator[Phase]:
        recipe, device = learning.recipe, learning.device
        size, channels = recipe.data.image_size, recipe.data.channels
        replayed = learning.parents["model"] / VAE if learning.task > 1 else None
        own = vae.build_vae(size, channels, streams.stream(recipe.seed, "vae", 0))
        if replayed is not None:
            own.load_state_dict(checkpoint.load_tensors(replayed))
            old = vae.build_vae(size, channels)
            old.load_state_dict(checkpoint.load_tensors(replayed))
            rng = streams.stream(recipe.seed, "noise", recipe.stream)
            learning.dream = _Replay(networks.freeze(old.to(device)), rng)
        learning.modules["vae"] = own = own.to(device)
        phase = learning.phase(
            pool=self.pool(learning), loss=self.loss, after_step=self._teach_vae, before_epoch=self._set_vae_lr
        )
        learning.optimizers["vae"] = torch.optim.SGD(
            own.parameters(), lr=phase.lr, momentum=recipe.training["momentum"], weight_decay=phase.weight_decay
        )
        learning.streams["vae"] = streams.stream(recipe.seed, "codes", recipe.stream)
        yield phase
        learning.outputs[VAE] = own.state_dict()

    def loss(self, learning: Learning, batch: Batch) -> Tensor:
        real, old, seen = len(batch.images), learning.old, learning.seen
        if learning.task == 1:
            self._step = batch.images, torch.ones(real, device=learning.device)
            return functional.cross_entropy(learning.student(batch.images)[:, :seen], batch.labels)

        taught = learning.teach(batch.dreams).logits
        labels = torch.cat([batch.labels, taught[:, :old].argmax(1)])
        weights = losses.new_class_weights(labels, old, seen)
        # The VAE learns from the same images, labels and weights after this step.
        self._step = torch.cat([batch.images, batch.dreams]), weights

        logits = learning.student(self._step[0])
        new_and_replayed = losses.weighted_cross_entropy(logits[:, :seen], labels, weights)
        kept = losses.distillation(logits[real:], taught, slice(0, old))
        return new_and_replayed + self.settings.mu * kept

    def _set_vae_lr(self, learning: Learning, lr: float) -> None:
        learning.optimizers["vae"].param_groups[0]["lr"] = lr

    def _teach_vae(self, learning: Learning, batch: Batch) -> None:
        images, weights = self._step
        noise = torch.randn(len(images), vae.LATENT, generator=learning.streams["vae"]).to(images.device)
        optimizer = learning.optimizers["vae"]
        loss = learning.modules["vae"].loss(images, weights, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


class _Replay:
    """Gives images of the old classes from the frozen VAE of the task before, in [0, 1]."""

    def __init__(self, frozen: vae.Vae, rng: torch.Generator) -> None:
        self.vae, self.rng = frozen, rng

    def __call__(self, count: int) -> Tensor:
        noise = torch.randn(count, vae.LATENT, generator=self.rng)
        return self.vae.sample(noise.to(self.vae.expand.weight.device))
