"""The loss terms that methods share. Each takes batches of logits or features and returns a scalar."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def distillation(logits: Tensor, teacher_logits: Tensor, classes: slice, temperature: float = 2.0) -> Tensor:
    """Cross-entropy between the softened outputs of teacher and student over `classes`, mean over the batch.

    `-sum_c softmax(q / T)_c log_softmax(z / T)_c`, both softmaxes over `classes` alone, and no factor T².
    `logits` and `teacher_logits` are (n, width). Source: Hinton et al., 2015; Li and Hoiem, ECCV 2016.
    """
    targets = functional.softmax(teacher_logits[:, classes] / temperature, dim=1)
    return functional.cross_entropy(logits[:, classes] / temperature, targets)


def distillation_by_task(
    logits: Tensor, teacher_logits: Tensor, tasks: Sequence[int], classes: int, temperature: float = 2.0
) -> Tensor:
    """`sum_k |k| / classes * distillation over the classes of task k`, `tasks` giving `|k|` in class order.

    A softmax for every task: what the old network thinks of one is not drowned by another. Source: Castro et al.,
    End-to-End Incremental Learning, ECCV 2018, equation 3.
    """
    total, start = logits.new_zeros(()), 0
    for size in tasks:
        part = slice(start, start + size)
        total = total + size / classes * distillation(logits, teacher_logits, part, temperature)
        start += size
    return total


def soft_distillation(logits: Tensor, teacher_logits: Tensor, temperature: float = 2.0) -> Tensor:
    """Distillation over the seen classes, where the target says nothing but old classes; mean over the batch.

    `-sum_{c in seen} t_c log_softmax(z / T)_c`, t being `softmax(q / T)` on the old classes and 0 on the new ones.
    `logits` z are (n, seen), `teacher_logits` q (n, old). Source: Smith et al., ICCV 2021, "DeepInversion".
    """
    targets = functional.softmax(teacher_logits / temperature, dim=1)
    targets = functional.pad(targets, (0, logits.shape[1] - teacher_logits.shape[1]))
    return functional.cross_entropy(logits / temperature, targets)


def sigmoid_cross_entropy(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
    """Binary cross-entropy of every class's sigmoid, summed over the classes, mean over the batch.

    `logits` are (n, seen). The target is the one-hot label, but for the first classes, where `teacher_logits` (n, old),
    if any, supply their sigmoids. Source: Rebuffi et al., iCaRL, CVPR 2017, algorithm 3.
    """
    targets = _one_hot(labels, logits.shape[1]).to(logits.dtype)
    if teacher_logits is not None:
        targets = torch.cat([torch.sigmoid(teacher_logits), targets[:, teacher_logits.shape[1] :]], dim=1)
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(logits)


def clamped_sigmoid_cross_entropy(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
    """`sigmoid_cross_entropy` by way of the probabilities p, as the public code of Smith et al., ICCV 2021, has it.

    torch's binary cross-entropy clamps its logarithms at -100, and the p (1 - p) that its gradient is divided by at
    1e-12: beyond logits of about 28 either way the gradient fades, and where p rounds to 0 or 1 there is none. Never in
    reduced precision.
    """
    with torch.autocast(logits.device.type, enabled=False):
        dtype = torch.promote_types(logits.dtype, torch.float32)
        targets = _one_hot(labels, logits.shape[1]).to(dtype)
        if teacher_logits is not None:
            targets = torch.cat([torch.sigmoid(teacher_logits.to(dtype)), targets[:, teacher_logits.shape[1] :]], dim=1)
        return functional.binary_cross_entropy(torch.sigmoid(logits.to(dtype)), targets, reduction="sum") / len(logits)


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    """(n,) labels as (n, classes), True where the class is the label's. torch's own reads back what the labels are."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


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


def relational_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """How far the angles between images moved: the mean L1 distance between student's and teacher's cosines.

    With e_ij the unit vector from image i to image j, the cosines are `e_ij . e_ik` for all i, j and k. `student` and
    `teacher` are (n, d) embeddings; both get gradients. Source: Park et al., Relational Knowledge Distillation, CVPR
    2019, angle-wise; Gao et al., R-DFCIL, ECCV 2022, equation 7.
    """
    return (_cosines(student) - _cosines(teacher)).abs().mean()


def _cosines(embeddings: Tensor) -> Tensor:
    """(n, d) to (n, n, n): at [i, j, k] the cosine of the angle at image i between images j and k."""
    units = functional.normalize(embeddings[None] - embeddings[:, None], dim=2)
    return units @ units.transpose(1, 2)


def rarity_weights(counts: Tensor) -> Tensor:
    """A weight for each class, inversely proportional to its count, the smallest being 1; (classes,) to the same.

    A class that was never counted weighs as one that was counted once.
    """
    counts = counts.clamp_min(1)
    return counts.max() / counts


class ClassCounts(nn.Module):
    """How often each class was seen, and the weights that follow from it. A module, so that both are saved."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.counts: Tensor
        self.weights: Tensor
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("weights", torch.ones(classes))

    def add(self, *labels: Tensor) -> None:
        """Count labels, (n,) int64 each."""
        for some in labels:
            self.counts += _one_hot(some, len(self.counts)).sum(0)

    def renew(self) -> None:
        """Take the weights from what has been counted so far."""
        self.weights.copy_(rarity_weights(self.counts))
