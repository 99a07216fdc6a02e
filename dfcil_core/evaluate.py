"""Testing a network on all classes seen so far."""

from __future__ import annotations

import torch
from torch import Tensor

from dfcil_core.augment import Augmentation
from dfcil_core.data.images import Images

BATCH = 256


@torch.no_grad()
def test_logits(network: torch.nn.Module, images: Images, augmentation: Augmentation, seen: int) -> Tensor:
    """Logits of the seen classes, (n, seen) float32 on the CPU; the network is left in eval mode."""
    network.eval()
    device = next(network.parameters()).device
    batches = [
        network(augmentation.normalise(pixels.to(device)))[:, :seen].float().cpu()
        for pixels in images.pixels.split(BATCH)
    ]
    return torch.cat(batches)
