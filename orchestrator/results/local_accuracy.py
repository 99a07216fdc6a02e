"""What a stage's record does not say, derived from its test logits without training.

A stage that several splits share (the upper bound learns all classes as one task) has counted its local answers for its
own tasks alone. Those of the other splits are counted here once, and kept beside the record.
"""

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dfcil_core.artifacts import LOGITS
from dfcil_core.counts import count_right_locally, group_name
from orchestrator.errors import UserError
from orchestrator.files import reading
from orchestrator.plan.plan import Job, Plan
from orchestrator.store import derived
from orchestrator.store.store import Store


def complete(plan: Plan, jobs: Iterable[Job], store: Store, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Add to `records`, in place, the local answers that these jobs ask for and their stages have not counted."""
    for job in jobs:
        tasks = job.tasks
        names = [group_name(classes) for classes in tasks]
        for task, key in enumerate(job.learn, start=1):
            if key is None or key not in records:
                continue
            local = records[key]["evaluation"]["correct_local"]
            if not local.keys() >= set(names[:task]):
                local |= _derived(store.folder(plan.stages[key]), tasks[:task])


def _derived(folder: Path, tasks: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """Local answers for these tasks: from the file that keeps them, else counted and added to it."""
    kept = derived.of(folder)
    if all(group_name(classes) in kept for classes in tasks):
        return kept
    tensors = read_logits(folder / LOGITS)
    kept |= count_right_locally(tensors["logits"], tensors["labels"], tasks)
    try:
        derived.keep(folder, kept)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise  # whoever may only read the folder counts again next time
    return kept


def read_logits(path: Path) -> dict[str, Any]:
    """The `logits` and `labels` that a stage's file has, as numpy arrays. Raises UserError where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with reading(path):
            return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: the test logits of a finished stage cannot be read ({error}). Put the damaged stage aside with "
            "`dfcil-sweep store verify --set-aside`; the next launch does it again"
        ) from error
