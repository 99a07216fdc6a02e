"""The top-level keys of a spec for people and for editors.

A key is read by its line in `orchestrator/spec/load.py`, and explained by its line here: schema, completion in an
editor, and docs/spec.md follow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from annotated_types import Ge, Le, Len

from dfcil_core.config import Dreaming, Training
from orchestrator.schema import forms
from orchestrator.spec.seeds import MOST_REPEATS
from orchestrator.spec.settings import Common


@dataclass(frozen=True)
class Key:
    """A top-level key."""

    form: Callable[[], Any]
    """Gives its type, with bounds: what pydantic makes the schema of."""
    about: str
    """What it says, in a sentence or more."""
    example: str
    """A spec's line or lines with it."""
    default: str = ""
    """What holds where it is not given, in words; empty: it must be given."""


def _always(form: Any) -> Callable[[], Any]:
    return lambda: form


def _common(name: str) -> Callable[[], Any]:
    return lambda: get_type_hints(Common, include_extras=True)[name]


KEYS: dict[str, Key] = {
    "name": Key(
        _always(forms.FolderName),
        "The sweep's name, and that of its folder in the runs folder: letters, digits and `. _ + = @ -`, beginning "
        "with a letter or a digit.",
        "name: my-sweep",
    ),
    "dataset": Key(
        forms.dataset_form,
        "Which images: the name of a data set, or a mapping with its `name` and more. `dfcil-sweep datasets` lists the "
        "data sets, [data.md](data.md) tells where they come from and how a folder of your own must look.",
        "dataset: {name: cifar100, root: ~/data, classes: 20, train_per_class: 100}",
        "`digits`",
    ),
    "methods": Key(
        lambda: Annotated[list[forms.method_form()], Len(1)],  # type: ignore[misc]
        "The methods: each a name, or a mapping with its `name` and settings of its own. A method may stand there "
        "several times, under different labels. `dfcil-sweep methods NAME` tells all about one.",
        "methods:\n"
        "  - base\n"
        "  - abd\n"
        "  - {name: abd, label: abd-light, mu: 0.2, dreaming: {steps: 200}}\n"
        "  - {name: rehearsal, memory: 100, training: {epochs: 10}}",
    ),
    "tasks": Key(
        _always(Annotated[list[forms.SplitItem], Len(1)]),
        "How the classes are dealt to tasks; each item is a split, and every method runs on each. A number is that of "
        "equal tasks and must divide the number of classes; a mapping gives other sizes: [tasks.md](tasks.md).",
        "tasks: [5, {first: 4, then: 2}, {first: 4, then: 4, last: smaller}, {sizes: [5, 3, 1, 1]}]",
    ),
    "class_order": Key(
        _always(forms.ClassOrder),
        "In which order the classes are learnt: `shuffled` by each seed, `natural` (that of the labels), as numpy "
        "permutes them (1993 is PyCIL's seed), or a list of all classes, by label or name. A list in which a word, a "
        "mapping or a list stands lists several orders, and every split is run in each: [tasks.md](tasks.md).",
        "class_order: [shuffled, natural, {numpy_seed: 1993}]",
        "`shuffled`",
    ),
    "stop_after": Key(
        _always(Annotated[int, Ge(1)] | None),
        "Only the first so many tasks of each split are run: the beginning of the whole sweep, whose stages they are.",
        "stop_after: 2",
        "every task is run",
    ),
    "seeds": Key(
        _always(Annotated[list[forms.Seed], Len(1)]),
        "Every job runs once with each of these. A seed decides how networks start, the order of the images, their "
        "augmentation, dreams, and which images a memory keeps.",
        "seeds: [0, 1, 2, 3, 4]",
        "`[0, 1, 2]`",
    ),
    "repeats": Key(
        _always(Annotated[int, Ge(1), Le(MOST_REPEATS)]),
        "Short for the first so many seeds, in the place of `seeds`: `repeats: 5` is `seeds: [0, 1, 2, 3, 4]`.",
        "repeats: 5",
        "what `seeds` says",
    ),
    "training": Key(
        _always(Training | None),
        "How a network is trained on each task, for every method; an entry of `methods` may say otherwise for itself.",
        "training: {backbone: resnet8, epochs: 30, batch_size: 32}",
        "the published recipe, below",
    ),
    "dreaming": Key(
        _always(Dreaming | None),
        "How synthetic images are made, for every method that dreams; an entry of `methods` may say otherwise for "
        "itself.",
        "dreaming: {steps: 500}",
        "the published recipe, below",
    ),
    "memory": Key(
        _common("memory"),
        "Images kept in all, where a method keeps any. An entry of `methods` may say otherwise for itself.",
        "memory: 200",
        "`2000`",
    ),
    "quirks": Key(
        _common("quirks"),
        "`iccv2021` computes as the public code of Always Be Dreaming does where the papers say otherwise; "
        "[methods.md](methods.md) lists what that is. An entry of `methods` may say otherwise for itself.",
        "quirks: iccv2021",
        "`none`",
    ),
    "first_model": Key(
        _always(str | None),
        "A safetensors file with the network after task 1, which then nobody trains: every method goes on from it "
        "([training.md](training.md)). `{seed}` in its name stands for the seed.",
        "first_model: first-{seed}.safetensors",
        "task 1 is trained",
    ),
    "exclude": Key(
        lambda: list[forms.exclusion_form()] | None,  # type: ignore[misc]
        "Jobs that are left out: those that match every field of an item. Beside these fields an item may name "
        "settings by their dotted path; they are compared after all defaults and overrides.",
        "exclude:\n  - {method: lwf, tasks: 5, seed: 2}\n  - {method: abd-light, mu: 0.2, seed: 0}",
        "none",
    ),
    "tune": Key(
        lambda: forms.tune_form() | None,
        "What `dfcil-sweep tune` searches ([tuning.md](tuning.md)); `launch` does not look at it.",
        "tune:\n"
        "  method: abd\n"
        "  space:\n"
        "    dreaming.bn_weight: {low: 0.1, high: 500, log: true}\n"
        "    mu: {choices: [0.05, 0.1, 0.2]}\n"
        "  trials: 50\n"
        "  confirm: {top: 3, seeds: [10, 11, 12]}",
        "none",
    ),
}
"""In the order in which they are explained."""
