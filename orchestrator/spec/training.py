"""What of `training:` does not go together, told where it was said."""

from collections.abc import Mapping
from typing import Any

from dfcil_core.config import Training
from orchestrator.spec.yaml_document import Document, KeyPath

ADAM_LR = 1e-3
"""The learning rate of Adam and AdamW where none is given: Kingma and Ba's."""


def check_together(document: Document, path: KeyPath, given: Mapping[str, Any], training: Training) -> None:
    """Note what of `given`, the mapping at `path`, cannot act beside the rest of `training`."""
    if "momentum" in given and training.optimizer != "sgd":
        message = f"{training.optimizer} takes no momentum"
        document.add((*path, "momentum"), message, given["momentum"], "Leave it out, or train with `optimizer: sgd`")
    if given.get("milestones") is not None and training.schedule != "milestones":
        message = f"the schedule {training.schedule} has no milestones"
        document.add((*path, "milestones"), message, given["milestones"], "Leave one of the two out")


def check_warmup(document: Document, path: KeyPath, given: Mapping[str, Any], training: Training) -> None:
    """Note a warm-up that takes all epochs; `given` is what an entry's `training`, at `path`, says of them."""
    if not training.warmup or training.warmup < training.epochs:
        return
    own = [name for name in ("warmup", "epochs") if name in given]
    where = (*path, own[0]) if own else ("training", "warmup")
    message = f"{training.warmup} epochs of warm-up leave none of {training.epochs}"
    document.add(
        where, message, given[own[0]] if own else training.warmup, f"Warm up for {training.epochs - 1} at most"
    )
