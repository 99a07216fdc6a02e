"""What a stage is told: settings and recipes as plain, torch-free data.

A recipe is complete: a stage is computed from it and from its parents' files, and from nothing else. Its JSON form is
what is hashed into the stage's identity, so a setting that is missing from the identity cannot change a number.

The defaults are the published recipe of Always Be Dreaming (Smith et al., ICCV 2021).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dfcil_core.networks.catalog import backbone_names

Quirks = Literal["none", "iccv2021"]
Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["milestones", "cosine", "constant"]
AugmentationChoice = Literal["published", "crop-flip", "none"]

# Hand-bumped when a change moves numbers; `tests/golden/test_numbers.py` fails when they move without a bump.
# A method's own version is `Method.version`.
DATA_VERSION = 1  # decoding, resizing, splitting, normalising, augmenting
LOOP_VERSION = 1  # initialisation, batches, optimiser, schedule, evaluation
MEMORY_VERSION = 1  # choosing the images kept
DREAM_VERSION = 1  # generator, inversion losses, their optimisation
# What `quirks: iccv2021` does, in whichever component; only in the identities of stages that are told so. 2: networks
# and generators start as torch 1.0.1 made them, rehearsal's shares of the memory, lwf-mc's probabilities.
QUIRKS_VERSION = 2
# What `precision: bfloat16` computes in it (precision.py); only in the identities of stages that are told so. 1 was
# heads and losses too, and stayed unsaid.
BFLOAT16_VERSION = 2
# What `adam` and `adamw` compute on a GPU; only in the identities of stages there that have one of them. 2: the fused
# ones of torch, and not its loop over tensors.
GPU_ADAM_VERSION = 2


LATER = {"later": True}
"""Metadata of a setting that came when stages had keys: while it has its default it is in no identity."""


def in_identity(settings: Any) -> dict[str, Any]:
    """What a dataclass of settings says in an identity: all, but for those marked `LATER` that have their default."""
    unsaid = {at.name for at in fields(settings) if "later" in at.metadata and getattr(settings, at.name) == at.default}
    return {name: value for name, value in asdict(settings).items() if name not in unsaid}


@dataclass(frozen=True)
class OneOf:
    """Marks a text that must be one of the names of a registry, looked up when the text is read."""

    names: Callable[[], list[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def one_of(value: str) -> str:
            if value not in (names := self.names()):
                expected = ", ".join(f"'{name}'" for name in names)
                raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
            return value

        return core_schema.no_info_after_validator_function(one_of, handler(source))

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        return {**handler(core_schema), "enum": self.names()}


@dataclass(frozen=True)
class Training:
    """How a network is trained on one task. One schedule for every task; a new optimiser each time."""

    __pydantic_config__ = {"extra": "forbid"}

    backbone: Annotated[str, OneOf(backbone_names)] = "resnet32"
    """The network."""
    epochs: Annotated[int, Ge(1)] = 250
    """How often each task's images are gone through."""
    milestones: tuple[Annotated[int, Ge(1)], ...] | None = None
    """Full epochs after which the learning rate is divided by ten; by default 40, 60 and 80% of `epochs`."""
    batch_size: Annotated[int, Ge(2)] = 128
    """Images of a step."""
    lr: Annotated[float, Gt(0)] = 0.1
    """Full learning rate, from which the schedule goes down."""
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    """Momentum of SGD; Adam and AdamW have none."""
    weight_decay: Annotated[float, Ge(0)] = 2e-4
    """Factor of the L2 penalty's gradient, which is added to the loss's; AdamW shrinks the weights themselves."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the networks' convolutions (docs/performance.md); float32 where a processor does not multiply bfloat16."""
    optimizer: Optimizer = field(default="sgd", metadata=LATER)
    """SGD with momentum, or Adam or AdamW, whose learning rate is 0.001 where none is given."""
    schedule: Schedule = field(default="milestones", metadata=LATER)
    """How the learning rate falls: by milestones, as half a cosine, or not at all."""
    warmup: Annotated[int, Ge(0)] = field(default=0, metadata=LATER)
    """Epochs in which the learning rate climbs to its full value."""
    augmentation: AugmentationChoice = field(default="published", metadata=LATER)
    """`crop-flip` is the published one without its colour jitter."""
    gradient_clip: Annotated[float, Gt(0)] | None = field(default=None, metadata=LATER)
    """The longest that the gradient of a step may be; by default as long as it is."""

    def acting(self) -> dict[str, Any]:
        """The settings that act beside one another: no momentum without SGD, no milestones with another schedule."""
        idle = {"momentum"} if self.optimizer != "sgd" else set()
        if self.schedule != "milestones":
            idle.add("milestones")
        return {name: value for name, value in vars(self).items() if name not in idle}

    def in_recipe(self) -> dict[str, Any]:
        """What a recipe of `learn` says of it, with the milestones resolved; the augmentation is the data's part."""
        told = {name: value for name, value in in_identity(self).items() if name in self.acting()}
        if "milestones" in told:
            told["milestones"] = list(self.resolved_milestones())
        told.pop("augmentation", None)
        return told

    def resolved_milestones(self) -> tuple[int, ...]:
        """The milestones as epochs: those given, else 40, 60 and 80% of `epochs` (never before epoch 1)."""
        if self.milestones is not None:
            return self.milestones
        return tuple(sorted({max(1, self.epochs * percent // 100) for percent in (40, 60, 80)}))


@dataclass(frozen=True)
class Dreaming:
    """How the generator of synthetic images is trained against the frozen network (methods.md, "Dreaming")."""

    __pydantic_config__ = {"extra": "forbid"}

    steps: Annotated[int, Ge(1)] = 10_000
    """Steps of the generator's optimiser after each task."""
    lr: Annotated[float, Gt(0)] = 1e-3
    """Learning rate of the generator, of Adam."""
    bn_weight: Annotated[float, Ge(0)] = 50.0
    """Weight of the distance to the statistics of batch normalisation."""
    prior_weight: Annotated[float, Ge(0)] = 1e-3
    """Weight of the smoothness of the images."""
    temperature: Annotated[float, Gt(0)] = 1000.0
    """Divides the logits in the cross-entropy of dreaming."""
    ce_weight: Annotated[float, Ge(0)] = 1.0
    """Weight of that cross-entropy."""


@dataclass(frozen=True)
class DataRecipe:
    """Which images, exactly. `digest` is of the content, so that another copy of the same data is the same data."""

    name: str
    digest: str
    image_size: int
    channels: int = 3
    augmentation: str = "jitter-crop"
    split: str = "published"
    holdout: float = 0.0
    """Share of each class's training images held out, and used in the place of the test images."""
    holdout_seed: int = 0
    fold: int | None = None
    """Which of 1/`holdout` parts of each class's training images is held out; None: images drawn by chance."""
    mean: tuple[float, ...] | None = None
    """Per channel, subtracted from pixels in [0, 1]; None: the data set's own."""
    std: tuple[float, ...] | None = None
    """Per channel, what the rest is divided by; None: the data set's own."""
    options: dict[str, Any] = field(default_factory=dict)
    """What a data set without a fixed content must be told to be opened: its size, or its list of classes."""


@dataclass(frozen=True)
class Recipe:
    """One stage, complete. Class lists are of the data set's own labels, in the order they are learnt."""

    kind: Literal["learn", "remember", "dream"]
    versions: dict[str, int]
    device: Literal["cpu", "cuda"]
    seed: int
    stream: int
    """Task index (0-based) that seeds this stage's random streams."""
    data: DataRecipe
    classes: tuple[tuple[int, ...], ...]
    """The classes of tasks 1..t."""
    width: int
    """Outputs of the head: all classes of the sweep's data set."""
    training: dict[str, Any]
    """`Training.in_recipe` for `learn`; what of it builds the network otherwise."""
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    """What of the method's settings, of `memory`, `dreaming` and `quirks` can change this stage's numbers."""
    plugin: str | None = None
    """SHA-256 of the source of the plug-in that supplies the method."""
    parents: dict[str, str] = field(default_factory=dict)
    """Role (`model`, `memory`, `generator`) to the identity of the stage that made it."""

    @property
    def task(self) -> int:
        """The task this stage belongs to, 1-based."""
        return len(self.classes)

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON data: what is hashed, stored in `stage.json`, and sent to a worker.

        To be read only: lists and dicts in it are the recipe's own.
        """
        # Not `asdict`, which copies every number: a plan of 10,000 jobs has more than 100,000 recipes.
        data = dict(vars(self.data))
        if self.data.fold is None:
            del data["fold"]
        return {**vars(self), "data": data}

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> "Recipe":
        """The inverse of `to_json`, also after a trip through a JSON file."""
        data = dict(payload["data"])
        for moments in ("mean", "std"):
            if data.get(moments) is not None:
                data[moments] = tuple(data[moments])
        classes = tuple(tuple(task) for task in payload["classes"])
        return cls(**{**payload, "data": DataRecipe(**data), "classes": classes})
