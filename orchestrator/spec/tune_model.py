"""The nouns of a validated `tune:` section. Pure data."""

from dataclasses import dataclass, field

from dfcil_core import measures

Value = bool | int | float | str

OBJECTIVES = {
    name: "maximize" if measure.higher_is_better else "minimize" for name, measure in measures.objectives().items()
}
"""What a search can look for, in percent, and which way is better."""
SAMPLERS = ("tpe", "gp", "cmaes", "random", "grid", "qmc")
PRUNERS = ("auto", "median", "none")


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    """Whether the search goes by orders of magnitude."""
    step: float | None = None
    whole: bool = False
    """Whether the setting is a whole number."""


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Confirm:
    """The best `top` settings are run again on `seeds`, none of which any trial has seen. 0: no confirmation."""

    top: int = 3
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tune:
    """What to tune, how, and how long."""

    method: str
    """Label of the entry under `methods:` whose setting is the published one: trial 0."""
    space: dict[str, Range | Choices]
    """By dotted path, as `dreaming.lr`."""
    trials: int = 50
    """Completed or pruned trials in all, over all launches of the tuner."""
    objective: tuple[str, ...] = ("final_accuracy",)
    sampler: str = "tpe"
    pruner: str = "auto"
    validation: float = 0.1
    """Share of each class's training images that is held out to judge trials by."""
    seed: int = 0
    """Of the sampler."""
    confirm: Confirm = field(default_factory=Confirm)

    @property
    def prunes(self) -> bool:
        """Whether trials may be stopped early. With two objectives there is no order of worse and better."""
        return self.pruner != "none" and len(self.objective) == 1
