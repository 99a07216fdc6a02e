"""The layer of Bias Correction (Wu et al., CVPR 2019): two numbers for each task, applied to its logits."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Correction(nn.Module):
    """`alpha_k * z + beta_k` for the logits z of each task k, of which `sizes` gives the classes, in class order.

    A pair starts as (1, 0), which changes nothing, and is fixed until somebody asks for its gradient.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        # Tensors of their own: a step on the newest pair must not let weight decay shrink those before it.
        self.pairs = nn.ParameterList(nn.Parameter(torch.tensor([1.0, 0.0]), requires_grad=False) for _ in self.sizes)

    def load_past(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the pairs of all tasks but the newest from what `state_dict` gave after the task before."""
        with torch.no_grad():
            for task, pair in enumerate(self.pairs[:-1]):
                pair.copy_(tensors[f"pairs.{task}"])

    def forward(self, logits: Tensor) -> Tensor:
        """(n, width) logits to the (n, seen) corrected ones of the classes that the tasks have."""
        parts = logits[:, : sum(self.sizes)].split(self.sizes, dim=1)
        return torch.cat([pair[0] * part + pair[1] for pair, part in zip(self.pairs, parts, strict=True)], dim=1)
