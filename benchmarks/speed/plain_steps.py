"""A plain training step of every method and a plain dreaming step, of the formulas that tests/reference holds.

They are what one would write from the papers without a thought of speed: the old network is asked anew for everything
that is wanted of it, ABD's student passes twice, hooks note the statistics of every batch normalisation in every pass
of the teacher, and dreaming computes the gradients of the teacher's weights too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.speed import plain_data, plain_networks
from benchmarks.speed.ours import Dreamer, Learner
from dfcil_core.artifacts import NETWORK
from dfcil_core.checkpoint import load_tensors
from dfcil_core.config import Dreaming
from dfcil_core.context import Batch
from dfcil_core.networks.generator import NOISE
from dfcil_core.networks.vae import LATENT
from dfcil_core.streams import stream
from tests.reference import plain
from tests.reference.methods import REFERENCES


class Step:
    """A method's plain step; its class is the method's reference (tests/reference), its networks are ours, copied."""

    def __init__(self, ours: Learner, method: str) -> None:
        context, recipe = ours.context, ours.context.recipe
        device, channels = recipe.device, recipe.data.channels
        self.context, self.bfloat16 = context, recipe.training["precision"] == "bfloat16"
        adapted = _ADAPTED.get(method, Formulas)
        formulas: Any = type(method, (adapted, REFERENCES[method]), {})(context.quirks)
        formulas.tasks = recipe.classes
        formulas.task, formulas.width = recipe.task, recipe.width
        formulas.old, formulas.seen, formulas.new = context.n_old, context.n_seen, len(recipe.classes[-1])
        backbone = recipe.training["backbone"]
        formulas.net = plain_networks.network(backbone, context.student.state_dict(), channels, device)
        formulas.old_net = None
        if "model" in context.parents:
            # Ours has its batch normalisations folded away; the file has the network as it was.
            before = load_tensors(context.parents["model"] / NETWORK)
            formulas.old_net = plain_networks.network(backbone, before, channels, device).watched()
        trained = list(formulas.net.trained.values())
        formulas.rng = stream(recipe.seed, "noise", recipe.stream)
        if method == "dgr":
            formulas.start(context, ours.schedule)
        elif context.dream is not None:
            formulas.generator = plain_networks.generator(context.dream.generator, channels, device).eval()
        if method == "bic":
            formulas.pairs = [torch.tensor([1.0, 0.0], device=device) for _ in recipe.classes]
        if method == "r-dfcil":
            weights = context.modules["embed"].state_dict()
            formulas.counts = [0] * formulas.seen
            formulas.embed = {
                name: weights[f"{name}.weight"].clone().requires_grad_(True) for name in ("student", "teacher")
            }
            trained += formulas.embed.values()
        self.formulas = formulas
        phase = ours.schedule
        self.optimizer = torch.optim.SGD(
            trained, lr=phase.lr, momentum=recipe.training["momentum"], weight_decay=phase.weight_decay
        )
        transform = plain_data.augmentation(
            recipe.data.augmentation, recipe.data.image_size, context.data.mean, context.data.std
        )
        images = plain_data.PillowImages.of_pixels(
            context.data.train.pixels[ours.pool], context.labels(ours.pool), transform
        )
        self.batches = plain_data.endless(images, recipe.training["batch_size"])

    def set_lr(self, lr: float) -> None:
        """The learning rate of the steps to come."""
        self.optimizer.param_groups[0]["lr"] = lr

    def step(self) -> float:
        """One step on the next batch of the loader; its loss."""
        images, labels = next(self.batches)
        device = self.context.device
        return self.on(Batch(images.to(device), labels.to(device), labels, None))

    def on(self, batch: Batch) -> float:
        """One step on these images; its loss."""
        # The same images in torch's own layout, as a loader gives them.
        batch = Batch(batch.images.contiguous(), batch.labels, batch.positions, None)
        with torch.autocast(self.context.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = self.formulas.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.formulas.after_step(self.optimizer.param_groups[0]["lr"])
        return float(loss.detach())


class Formulas:
    """What the references take from what was recorded of ours, made here."""

    def dreamed(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            noise = torch.randn(len(batch.images), NOISE, generator=self.rng)
            return self.generator(noise.to(batch.images.device))


class _E2e(Formulas):
    def loss(self, batch: Batch) -> Tensor:
        return self.balanced(batch, self.old)


class _Dgr(Formulas):
    """With the auto-encoder that learns after each step."""

    def start(self, context: Any, phase: Any) -> None:
        recipe = context.recipe
        self.vae = plain.Vae(context.modules["vae"].state_dict())
        self.old_vae = self.vae.frozen()
        self.codes = _Codes(context)
        momentum = recipe.training["momentum"]
        self.vae_optimiser = _Optimiser(torch.optim.SGD(self.vae.trained.values(), lr=phase.lr, momentum=momentum))

    def dreamed(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            noise = torch.randn(len(batch.images), LATENT, generator=self.rng)
            return self.old_vae.decoded(noise.to(batch.images.device))


_ADAPTED: dict[str, type[Formulas]] = {"e2e": _E2e, "dgr": _Dgr}


class _Optimiser:
    """torch's optimiser in the place of the reference's."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, loss: Tensor, rate: float) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class _Codes:
    """Noise in the place of what was recorded of ours."""

    def __init__(self, context: Any) -> None:
        recipe = context.recipe
        self.count, self.device = 2 * recipe.training["batch_size"], context.device
        self.rng = stream(recipe.seed, "codes", recipe.stream)

    def pop(self, _: int) -> Tensor:
        return torch.randn(self.count, LATENT, generator=self.rng).to(self.device)


class DreamStep:
    """A plain dreaming step of a generator, against the network that `against` gives."""

    def __init__(
        self,
        generator: plain_networks.Generator,
        settings: Dreaming,
        size: int,
        rng: torch.Generator,
        device: torch.device,
        bfloat16: bool = False,
    ) -> None:
        self.generator, self.settings, self.size, self.bfloat16 = generator.train(), settings, size, bfloat16
        self.optimizer = torch.optim.Adam(generator.parameters(), lr=settings.lr)
        self.rng, self.device = rng, device

    @classmethod
    def beside(cls, ours: Dreamer) -> DreamStep:
        """With copies of our networks, and the noise that ours draws."""
        run, recipe = ours.run, ours.recipe
        device, channels, training = recipe.device, recipe.data.channels, recipe.training
        generator = plain_networks.generator(run.generator, channels, device)
        rng = stream(recipe.seed, "dream", recipe.stream, run.totals.device.type)
        bfloat16 = training["precision"] == "bfloat16"
        made = cls(generator, run.settings, training["batch_size"], rng, run.totals.device, bfloat16)
        teacher = plain_networks.network(training["backbone"], run.teacher.state_dict(), channels, device)
        made.against(teacher.watched(), run.old)
        return made

    def against(self, teacher: plain_networks.Net, old: int) -> None:
        """The steps to come are against this network, which is watched, and has learnt so many classes."""
        self.teacher, self.old = teacher, old

    def step(self) -> float:
        """One step; its loss."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            noise = torch.randn(self.size, NOISE, generator=self.rng, device=self.rng.device)
            images = self.generator(noise)
            logits = self.teacher.logits(images)[:, : self.old]
            ce, bn, prior, diversity = plain.inversion_terms(
                logits, images, self.teacher.statistics, self.teacher.running, self.settings.temperature
            )
        settings = self.settings
        loss = settings.ce_weight * ce + settings.bn_weight * bn + settings.prior_weight * prior + diversity
        self.optimizer.zero_grad()
        self.teacher.module.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


def evaluated(module: torch.nn.Module, images: Tensor) -> Tensor:
    """Logits of these normalised images, in torch's own layout."""
    module.eval()
    with torch.no_grad():
        return module(images.contiguous())
