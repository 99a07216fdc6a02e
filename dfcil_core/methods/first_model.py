"""A network from a file, in the place of the training of task 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dfcil_core.context import Phase, TrainContext


class FirstModel(Method):
    """Trains nothing: the network is that of the file, and is tested as after any task."""

    name = "first-model"
    summary = "the network of task 1 from a file"
    source = "the spec's first_model"

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        yield from ()
