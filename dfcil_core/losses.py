"""The loss terms that methods share. Each takes batches of logits or features and returns a scalar."""

import torch
from torch import Tensor
from torch.nn import functional


def distillation(logits: Tensor, teacher_logits: Tensor, classes: slice, temperature: float = 2.0) -> Tensor:
    """Cross-entropy between the softened outputs of teacher and student over `classes`, mean over the batch.

    `-sum_c softmax(q / T)_c log_softmax(z / T)_c`, both softmaxes over `classes` alone, and no factor T².
    `logits` and `teacher_logits` are (n, width). Source: Hinton et al., 2015; Li and Hoiem, ECCV 2016.
    """
    targets = functional.softmax(teacher_logits[:, classes] / temperature, dim=1)
    return functional.cross_entropy(logits[:, classes] / temperature, targets)


def new_class_weights(labels: Tensor, old: int, seen: int) -> Tensor:
    """A weight for each label (n,): `old / seen` for an old class, `1 - old / seen` for a new one.

    A batch has as many dreamed images of old classes as real ones of new classes; few new classes beside many old ones
    would otherwise each be seen far more often.
    """
    return torch.where(labels < old, old / seen, 1 - old / seen)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """`mean(CE * w)`: divided by the number of images, not by the sum of the weights."""
    return (functional.cross_entropy(logits, labels, reduction="none") * weights).mean()


def feature_distillation(features: Tensor, teacher_features: Tensor, old_head_weight: Tensor) -> Tensor:
    """How far the features moved in the directions that the old classes look at.

    `mean_batch(sum_old (W_O f - W_O f_O)^2) / old`, with features (n, d) and `old_head_weight` W_O (old, d).
    Source: Smith et al., Always Be Dreaming, ICCV 2021, equation 9; without its factor mu.
    """
    moved = functional.linear(features - teacher_features, old_head_weight)
    return moved.square().sum(1).mean() / len(old_head_weight)
