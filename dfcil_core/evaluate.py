"""What a network says of images as they are: its logits at test, its features where images are chosen by them."""

from __future__ import annotations

import torch
from torch import Tensor

from dfcil_core.augment import Augmentation
from dfcil_core.data.images import Images
from dfcil_core.networks.network import Network

BATCH = 256


@torch.no_grad()
def test_logits(network: torch.nn.Module, images: Images, augmentation: Augmentation, seen: int) -> Tensor:
    """Logits of the seen classes, (n, seen) on the CPU, in torch's default dtype; the network is left in eval mode."""
    network.eval()
    device, dtype = next(network.parameters()).device, torch.get_default_dtype()
    batches = [
        network(augmentation.normalise(pixels.to(device)))[:, :seen].to("cpu", dtype)
        for pixels in images.pixels.split(BATCH)
    ]
    return torch.cat(batches)


@torch.no_grad()
def plain_features(network: Network, pixels: Tensor, augmentation: Augmentation) -> Tensor:
    """Features of images without augmentation, (n, d) on the CPU, default dtype; the network is left in eval mode."""
    network.eval()
    device, dtype = next(network.parameters()).device, torch.get_default_dtype()
    batches = [
        network.features(augmentation.normalise(part.to(device))).to("cpu", dtype) for part in pixels.split(BATCH)
    ]
    return torch.cat(batches)
