"""A stage: the unit of work that is done once, whoever asks for it.

Three kinds. `learn` trains one task, `remember` chooses the images to keep after it, `dream` trains the generator
against the network after it. A stage is addressed by the SHA-256 of its whole recipe, its parents' addresses included.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from dfcil_core.config import Recipe
from orchestrator.plan.fingerprint import fingerprint

FOLDER = re.compile(r"(?P<data>.+)-s\d+-(?P<kind>learn|remember|dream)-\d+-(?P<method>.+)-[0-9a-f]{16}")
"""The names of stages' folders (`Stage.folder`), read."""


@dataclass(frozen=True)
class Stage:
    """One node of the stage graph."""

    recipe: Recipe

    @cached_property
    def key(self) -> str:
        """The identity: 64 hexadecimal digits."""
        return fingerprint(self.recipe.to_json())

    @property
    def parents(self) -> tuple[str, ...]:
        """The identities of the stages whose files this one reads."""
        return tuple(self.recipe.parents.values())

    @cached_property
    def folder(self) -> str:
        """The name of its folder in the store: readable first, then enough of the key to be unique."""
        recipe = self.recipe
        return f"{recipe.data.name}-s{recipe.seed}-{recipe.kind}-{recipe.task:02d}-{recipe.method}-{self.key[:16]}"

    def __str__(self) -> str:
        recipe = self.recipe
        return f"{recipe.kind} {recipe.task} · {recipe.method} · seed {recipe.seed}"
