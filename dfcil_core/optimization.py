"""Optimisers, and what the settings of `training` do to their steps and learning rates."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dfcil_core import eager


def optimizer(
    training: Mapping[str, Any], parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """A new optimiser as a recipe's `training` says.

    `sgd` with its momentum; `adam` (Kingma and Ba, ICLR 2015), whose weight decay is added to the gradient as SGD's is;
    `adamw` (Loshchilov and Hutter, ICLR 2019), whose weight decay takes the share `lr * weight_decay` of the weights at
    every step. Both have torch's betas, 0.9 and 0.999, and its epsilon, 1e-8.

    On a GPU they are torch's fused ones, which count their steps there: a CUDA graph of their step has its numbers.
    """
    parameters = list(parameters)
    fused = True if parameters[0].is_cuda else None
    match training.get("optimizer", "sgd"):
        case "adam":
            return eager.Adam(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
        case "adamw":
            return eager.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=fused)
        case _:
            momentum = training["momentum"]
            return eager.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


def step(optimizer: torch.optim.Optimizer, loss: Tensor, gradient_clip: float | None = None) -> None:
    """One step of the optimiser down the gradient of `loss`.

    With `gradient_clip` c the gradient g of all that the optimiser trains, taken as one vector, becomes
    `g * min(1, c / |g|)` before it (Pascanu et al., ICML 2013).
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if gradient_clip is not None:
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(trained, gradient_clip)
    optimizer.step()


def set_capturable(optimizer: torch.optim.Optimizer, capturable: bool) -> None:
    """Whether Adam and AdamW count their steps on the device, where a CUDA graph can; SGD counts none.

    The numbers differ by rounding, but for the fused ones, which count there in any case.
    """
    for group in optimizer.param_groups:
        if group.get("capturable", capturable) == capturable:
            continue
        group["capturable"] = capturable
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "step" in state and not group["fused"]:
                state["step"] = state["step"].to(parameter.device if capturable else "cpu")


def scheduled(schedule: str, epoch: int, epochs: int, milestones: Iterable[int] = (), warmup: int = 0) -> float:
    """What an epoch's learning rate is, as a share of the full one. `epoch` counts from 0, of `epochs`.

    With `warmup` w the first w epochs have `(epoch + 1) / (w + 1)` of what the schedule gives:
    `milestones`: 0.1 to the power of the milestones that have passed, counted in full epochs, those of the warm-up too;
    `cosine`: `(1 + cos(pi * (epoch - w) / (epochs - w))) / 2`, 1 before (Loshchilov and Hutter, ICLR 2017, one cycle);
    `constant`: 1.
    """
    share = 1.0
    if schedule == "milestones":
        share = 0.1 ** sum(epoch >= milestone for milestone in milestones)
    elif schedule == "cosine" and epoch > warmup:
        share = (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup))) / 2
    return share * (epoch + 1) / (warmup + 1) if epoch < warmup else share
