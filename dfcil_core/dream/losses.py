"""The loss terms of dreaming: what makes an image one that the frozen network knows.

Source: Yin et al., Dreaming to Distill (DeepInversion), CVPR 2020; Smith et al., Always Be Dreaming, ICCV 2021.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TINY = 1e-8
"""Added to both variances of `gaussian_divergence`: a channel that never varies divides by no zero."""


def confidence(logits: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the old classes' logits (n, old), divided by `temperature`, with their own argmax as label."""
    return functional.cross_entropy(logits / temperature, logits.argmax(1))


def diversity(logits: Tensor) -> Tensor:
    """One minus the entropy, in units of ln(old), of the mean softmax of (n, old) logits.

    0 when the classes are equally frequent, 1 when one class has all images; 0 when there is but one class.
    """
    old = logits.shape[1]
    if old == 1:
        return logits.new_zeros(())
    frequencies = functional.softmax(logits, dim=1).mean(0)
    # p ln p is 0 at 0, but the gradient of the logarithm is not finite there.
    logarithms = frequencies.clamp_min(torch.finfo(frequencies.dtype).tiny).log()
    return 1 + (frequencies * logarithms).sum() / math.log(old)


def gaussian_divergence(mean: Tensor, variance: Tensor, running_mean: Tensor, running_variance: Tensor) -> Tensor:
    """Per channel, the divergence KL(N(running mean, running variance) || N(mean, variance)) in nats; each (channels,).

    `ln(sqrt(v) / sqrt(rv)) - (1 - (rv + (rm - m)^2) / v) / 2`, with 1e-8 added to v and rv.
    """
    variance, running_variance = variance + TINY, running_variance + TINY
    spread = (running_variance + (running_mean - mean).square()) / variance
    return 0.5 * (variance.log() - running_variance.log()) - 0.5 * (1 - spread)


def image_prior(images: Tensor) -> Tensor:
    """Mean squared difference of (n, channels, s, s) images from themselves blurred: small where they are smooth."""
    return (images - blur(images)).square().mean()


def blur(images: Tensor) -> Tensor:
    """Images through the 5 x 5 kernel proportional to `exp(-((i - 2) / 2)^2 - ((j - 2) / 2)^2)`, reflected borders."""
    rows, columns = (_blur_matrix(size, images.device, images.dtype) for size in images.shape[2:])
    return rows @ images @ columns.T


@lru_cache(maxsize=8)
def _blur_matrix(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """One axis of the blur, reflections included, as a (size, size) matrix.

    The kernel is a product of its two axes. Products of matrices give the same numbers each time on a GPU, which the
    gradient of reflection padding does not.
    """
    kernel = [math.exp(-(((i - 2) / 2) ** 2)) for i in range(5)]
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for position in range(size):
        for offset, weight in zip(range(-2, 3), kernel, strict=True):
            source = abs(position + offset)
            source = source if source < size else 2 * (size - 1) - source
            matrix[position, source] += weight / sum(kernel)
    return matrix.to(device, dtype)


class BatchNormStatistics:
    """While entered, records the mean and variance of what goes into each batch normalisation of a network.

    with BatchNormStatistics(teacher) as statistics:
        logits = teacher(images)
        loss = statistics.divergence()
    """

    def __init__(self, network: nn.Module) -> None:
        self.layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        self._recorded: dict[int, tuple[Tensor, Tensor]] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "BatchNormStatistics":
        statistics = [_running(layer) for layer in self.layers]
        self._running_mean = torch.cat([mean for mean, _ in statistics])
        self._running_variance = torch.cat([variance for _, variance in statistics])
        # Each layer counts the same, however many channels it has.
        shares = [torch.full_like(mean, 1 / len(mean)) for mean, _ in statistics]
        self._shares = torch.cat(shares) / len(self.layers)
        for index, layer in enumerate(self.layers):
            self._handles.append(layer.register_forward_pre_hook(self._recorder(index)))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._recorded.clear()

    @property
    def moments(self) -> list[tuple[Tensor, Tensor]]:
        """Mean and biased variance of each layer's input in the last forward pass; raises KeyError before the first."""
        return [self._recorded[index] for index in range(len(self.layers))]

    def divergence(self) -> Tensor:
        """`gaussian_divergence` of the last batch from the running statistics: mean of channels, mean of layers."""
        # All layers at once: some thirty layers one by one would be hundreds of tiny operations.
        means, variances = (torch.cat(values) for values in zip(*self.moments, strict=True))
        divergences = gaussian_divergence(means, variances, self._running_mean, self._running_variance)
        return (divergences * self._shares).sum()

    def _recorder(self, index: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        dtype = _running(self.layers[index])[0].dtype

        def record(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._recorded[index] = _Moments.apply(inputs[0].to(dtype))

        return record


def _running(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The running mean and variance of a layer that keeps them, as every classifier's does."""
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        raise ValueError("a batch normalisation without running statistics has nothing that dreams could be held to")
    return mean, variance


class _Moments(torch.autograd.Function):
    """Mean and biased variance per channel, (n, channels, height, width) to two times (channels,).

    On channels-last activations `torch.var_mean` is eight times slower than two plain means on a CPU, and automatic
    differentiation takes four passes for the gradient `(g_m + 2 g_v (x - m)) / count`, which is one `addcmul`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.mean((0, 2, 3), keepdim=True)
        variance = (x - mean).square_().mean((0, 2, 3))
        ctx.save_for_backward(x, mean)
        return mean.flatten(), variance

    @staticmethod
    def backward(ctx: Any, mean_gradient: Tensor, variance_gradient: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        count = x.numel() // x.shape[1]
        slope = (variance_gradient * (2 / count)).view_as(mean)
        constant = mean_gradient.view_as(mean) / count - slope * mean
        return torch.addcmul(constant, x, slope)
