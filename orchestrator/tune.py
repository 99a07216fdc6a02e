"""The nouns of a validated `tune:` section, and how a method's entry takes other settings. Pure data."""

from dataclasses import dataclass, field, replace

from orchestrator.sweep import MethodEntry

Value = bool | int | float | str

OBJECTIVES = {"final_accuracy": "maximize", "average_accuracy": "maximize", "forgetting": "minimize"}
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


def with_settings(entry: MethodEntry, settings: dict[str, Value], label: str | None = None) -> MethodEntry:
    """`entry` with other values for these dotted paths (`training.lr`, `dreaming.steps`, `mu`, `memory`)."""
    parts: dict[str, dict[str, Value]] = {"training": {}, "dreaming": {}, "": {}}
    own: dict[str, Value] = {}
    for path, value in settings.items():
        section, _, name = path.rpartition(".")
        if path in ("memory", "quirks"):
            own[path] = value
        else:
            parts[section][name] = value
    method = entry.method
    if parts[""]:
        method = type(method)(replace(method.settings, **parts[""]))
    return replace(
        entry,
        label=label or entry.label,
        method=method,
        training=replace(entry.training, **parts["training"]),
        dreaming=replace(entry.dreaming, **parts["dreaming"]),
        **own,
    )
