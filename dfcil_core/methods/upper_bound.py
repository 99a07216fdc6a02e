"""Training on everything at once: the upper bound."""

from dataclasses import dataclass
from typing import Any

from dfcil_core.methods.base import Method


@dataclass(frozen=True)
class UpperBoundSettings:
    """Settings of the upper bound."""

    __pydantic_config__ = {"extra": "forbid"}

    at_every_task: bool = False
    """Train after every task (average accuracy, forgetting and Omega need it), not only after the last."""


class UpperBound(Method):
    """A fresh network, plain cross-entropy on all images of tasks 1..t.

    Only the last task is needed for the table; that stage does not depend on the split, so all splits share it.
    Source: the upper bound of the published tables (Smith et al., ICCV 2021).
    """

    name = "upper-bound"
    summary = "a fresh network on the images of all classes: the upper bound"
    source = "Smith et al., Always Be Dreaming, ICCV 2021, table 1"
    group = "bound"
    settings_type = UpperBoundSettings
    chained = False

    def learn_identity(self, task: int, memory: int, quirks: str) -> tuple[str, int, dict[str, Any]]:
        """Plain cross-entropy: what `at_every_task` changes is which stages there are, not what one computes."""
        return "cross-entropy", Method.version, self.start_identity(quirks)
