"""The variational auto-encoder that Deep Generative Replay learns beside its classifier."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT = 1024
"""Length of the code that an image is made from."""


def build_vae(image_size: int, channels: int = 3, rng: torch.Generator | None = None) -> "Vae":
    """A VAE in channels-last memory format, on the CPU: torch's default initialisation, drawn from `rng` alone.

    Without `rng` its weights are zeros, to be loaded. Raises ValueError for a size that it cannot halve three times.
    """
    # Layers draw as they are made; what they draw is thrown away, and the global generator is left as it was.
    with torch.random.fork_rng(devices=[]):
        vae = Vae(image_size, channels)
    for layer in vae.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in (layer.weight, layer.bias):
                if rng is None:
                    nn.init.zeros_(parameter)
                else:
                    nn.init.uniform_(parameter, -bound, bound, generator=rng)
    return vae.to(memory_format=torch.channels_last)


class Vae(nn.Module):
    """(n, channels, s, s) images in [0, 1] to a normal distribution over 1024 numbers, and back.

    Encoder: three 4 x 4 convolutions of stride 2 to 64, 128 and 512 channels, ReLU after each, and a linear layer each
    for the mean and the logarithm of the variance. Decoder: a linear layer with nothing after it, and transposed
    convolutions of the same shape to 256, 64 and `channels` channels, ReLU between them, sigmoid at the end. 32 x 32
    images are 4 x 4 in between; another size divisible by 8 is an eighth of itself there.
    Source: the DGR baseline of Smith et al., ICCV 2021.
    """

    def __init__(self, image_size: int, channels: int = 3) -> None:
        super().__init__()
        if image_size < 8 or image_size % 8:
            raise ValueError(f"the VAE takes images of a size divisible by 8, not of {image_size}")
        self.side = image_size // 8
        inner = 512 * self.side**2
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1)
            for before, after in ((channels, 64), (64, 128), (128, 512))
        )
        self.mean = nn.Linear(inner, LATENT)
        self.log_variance = nn.Linear(inner, LATENT)
        self.expand = nn.Linear(LATENT, inner)
        self.deconvolutions = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
            for before, after in ((512, 256), (256, 64), (64, channels))
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of each image's code, each (n, 1024)."""
        x = images
        for convolution in self.convolutions:
            x = functional.relu(convolution(x))
        x = x.flatten(1)
        return self.mean(x), self.log_variance(x)

    def decode(self, codes: Tensor) -> Tensor:
        """(n, 1024) codes to (n, channels, s, s) logits of the pixels: their sigmoid is the image."""
        x = self.expand(codes).view(-1, 512, self.side, self.side)
        x = x.contiguous(memory_format=torch.channels_last)
        first, second, last = self.deconvolutions
        return last(functional.relu(second(functional.relu(first(x)))))

    def loss(self, images: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
        """`vae_loss` of (n, ...) images with a weight each; `noise` (n, 1024), standard normal, draws the codes."""
        mean, log_variance = self.encode(images)
        logits = self.decode(mean + noise * (0.5 * log_variance).exp())
        return vae_loss(logits, images, mean, log_variance, weights)

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """(n, 1024) standard normal noise to (n, channels, s, s) images in [0, 1]."""
        return self.decode(noise).sigmoid()


def vae_loss(logits: Tensor, images: Tensor, mean: Tensor, log_variance: Tensor, weights: Tensor) -> Tensor:
    """`mean(w * BCE) + mean(KL) / values`, BCE the mean over an image's values, KL in nats against N(0, I).

    `logits` and `images` are (n, channels, s, s) with images in [0, 1]; `weights` (n,) act on the first term alone.
    `values` is channels * s * s.
    """
    crossed = functional.binary_cross_entropy_with_logits(logits, images, reduction="none").mean((1, 2, 3))
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    return (weights * crossed).mean() + divergence.mean() / images[0].numel()
