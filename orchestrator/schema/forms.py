"""Keys of a spec as classes, where the reader holds no class for the whole of one: made from those that it has."""

from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, Union, get_type_hints

from annotated_types import Ge, Gt, Len
from pydantic import Field

from dfcil_core.data.catalog import DATASETS
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from orchestrator.schema.explained import explained
from orchestrator.spec import settings
from orchestrator.spec.class_order import NamedOrder, NumpySeed
from orchestrator.spec.dataset import FORMS, DatasetForm, Folds
from orchestrator.spec.methods import takes
from orchestrator.spec.model import OBJECTIVES
from orchestrator.spec.settings import LONGEST_NAME, Common
from orchestrator.spec.tasks import LargeFirst, Sizes
from orchestrator.spec.tune import ConfirmForm, TuneForm

FolderName = Annotated[str, Len(1, LONGEST_NAME)]
Seed = Annotated[int, Ge(0)]
SplitItem = Annotated[int, Ge(1)] | LargeFirst | Sizes
_Order = Literal["shuffled", "natural"] | NumpySeed | NamedOrder
_Classes = list[int | str]
ClassOrder = _Order | _Classes | list[_Order | _Classes]
_LABEL = "What the entry is called in tables, `exclude`, `tune` and `--set`; by default the method's name."


@dataclass(frozen=True)
class RangeForm:
    """A range of numbers, both ends included."""

    __pydantic_config__ = {"extra": "forbid"}

    low: float
    """The smallest."""
    high: float
    """The largest."""
    log: bool = False
    """Whether the search goes by orders of magnitude."""
    step: Annotated[float, Gt(0)] | None = None
    """Between two neighbours; by default any number between the ends."""


@dataclass(frozen=True)
class ChoicesForm:
    """One of several values."""

    __pydantic_config__ = {"extra": "forbid"}

    choices: Annotated[tuple[bool | int | float | str, ...], Len(2)]
    """The values."""


def dataset_form() -> Any:
    """The name of a data set, or it with settings."""
    forms = tuple(
        make_dataclass(
            f"dataset-{name}",
            [("name", Literal[name], field()), ("holdout", _holdout(), field(default=0.0))],
            bases=(FORMS.get(name, DatasetForm),),
            kw_only=True,
            frozen=True,
            namespace={"__doc__": info.summary},
        )
        for name, info in DATASETS.items()
    )
    return Literal[tuple(DATASETS)] | _one_of(forms)


def _holdout() -> Any:
    """A share of the training images, or folds of them."""
    number = Annotated[int, Ge(0)]
    folds = _told(number | Annotated[list[number], Len(1)], explained(Folds)["fold"])
    share = get_type_hints(DatasetForm, include_extras=True)["holdout"]
    return share | make_dataclass("folds", [("fold", folds, field())], bases=(Folds,), frozen=True)


def method_form() -> Any:
    """The name of a method, or it with settings."""
    return Literal[tuple(METHODS)] | _one_of(tuple(method_entry(method) for method in METHODS.values()))


def method_entry(method: type[Method]) -> type:
    """An entry of `methods:` as a class: the method's own settings, and those that all have."""
    shared: dict[str, Any] = {
        name: _told(declared | None, f"What of `{name}` is another for this entry: all its keys are as there.")
        for name, declared in settings.SECTIONS.items()
    }
    texts = explained(Common)
    for name, declared in get_type_hints(Common, include_extras=True).items():
        shared[name] = _told(declared, texts[name])
    return make_dataclass(
        f"method-{method.name}",
        [
            ("name", _told(Literal[method.name], "The method."), field()),
            ("label", _told(FolderName, _LABEL), field(default=None)),
            *((name, shared[name], field(default=None)) for name in takes(method) if name in shared),
        ],
        bases=(method.settings_type,),
        kw_only=True,
        frozen=True,
        namespace={"__doc__": method.summary, "__pydantic_config__": {"extra": "forbid"}},
    )


def exclusion_form() -> type:
    """An item of `exclude:` as a class, whose fields are the axes; settings come beside them (`extra`)."""
    properties = {dotted: {"description": f"The setting's value, `{dotted}`."} for dotted in dotted_settings()}

    def with_settings(schema: dict[str, Any]) -> None:
        schema["properties"] |= properties
        schema["minProperties"] = 1

    return make_dataclass(
        "exclusion",
        [
            ("method", _told(str, "A method's name, or an entry's label."), field(default=None)),
            ("tasks", _told(SplitItem | str, "A split, as under `tasks`, or its name."), field(default=None)),
            ("class_order", _told(str, "The name of a class order, as `natural`."), field(default=None)),
            ("seed", _told(Seed, "A seed."), field(default=None)),
            ("fold", _told(Annotated[int, Ge(0)], "A fold of the training images."), field(default=None)),
        ],
        frozen=True,
        namespace={"__pydantic_config__": {"extra": "forbid", "json_schema_extra": with_settings}},
    )


def tune_form() -> type:
    """`tune:` as a class."""
    objective: Any = Literal[tuple(OBJECTIVES)]
    dotted: Any = Literal[tuple(dotted_settings())]
    declared: dict[str, tuple[Any, str]] = {
        "method": (
            str | None,
            "Label of the entry under `methods` that is tuned, where there are several: its settings are trial 0.",
        ),
        "space": (
            Annotated[dict[dotted, RangeForm | ChoicesForm], Len(1)],
            "Dotted path of each setting that is searched, to its range or its choices.",
        ),
        "objective": (
            objective | Annotated[list[objective], Len(1, 2)],
            "What is searched for, in percent, on average over splits and seeds; two give a Pareto front.",
        ),
        "confirm": (ConfirmForm | None, "The best settings are run again on fresh seeds."),
    }
    defaults: dict[str, Any] = {
        "method": field(default=None),
        "objective": field(default="final_accuracy"),
        "confirm": field(default=None),
    }
    return make_dataclass(
        "tune",
        [(name, _told(*told), defaults.get(name, field())) for name, told in declared.items()],
        bases=(TuneForm,),
        kw_only=True,
        frozen=True,
    )


def dotted_settings() -> list[str]:
    """Every setting of every method by its dotted path, as `exclude`, `tune` and `--set` name it."""
    own = [name for method in METHODS.values() for name in settings.names(method.settings_type)]
    nested = [f"{section}.{name}" for section, form in settings.SECTIONS.items() for name in settings.names(form)]
    return list(dict.fromkeys([*nested, *settings.names(Common), *own]))


def _one_of(forms: tuple[type, ...]) -> Any:
    return Annotated[Union[forms], Field(discriminator="name")]  # noqa: UP007


def _told(declared: Any, text: str) -> Any:
    return Annotated[declared, Field(description=text)]
