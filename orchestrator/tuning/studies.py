"""The studies of a runs folder by name: what each was told, so that it can be looked at later. Loads no optuna.

runs/tuning/<study>/spec.yaml          the spec as given
runs/tuning/<study>/study.json         what the tuner was told beside it
runs/tuning/<study>/plots/             Optuna's plots
runs/tuning/<study>/confirmation.json  the verdict on fresh seeds
runs/tuning/<study>/winner.yaml        the winner as a spec, where there is one
"""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.errors import UserError
from orchestrator.files import listing, there
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import SweepSpec
from orchestrator.spec.rehearsal import rehearse
from orchestrator.store.at_work import LEAD, TUNERS, TUNING
from orchestrator.store.our_files import read, read_text, write_json, write_text
from orchestrator.store.process import Process, processes
from orchestrator.tracking.uri import without_password
from orchestrator.tuning.trials import tune_of

SPEC, SETTINGS, CONFIRMATION, WINNER = "spec.yaml", "study.json", "confirmation.json", "winner.yaml"
_NAME = re.compile(r"(.+)-[0-9a-f]{12}")
_AGAIN = "Give the same `dfcil-sweep tune` again, and it is written anew"


@dataclass(frozen=True)
class _Settings:
    """The content of study.json."""

    device: str
    trials: int
    overrides: tuple[str, ...] = ()
    data_root: str | None = None
    plugin: str | None = None
    rehearsed: bool = False
    storage: str | None = None
    """The address of the storage, without its password; None: the journal of the runs folder."""
    password: bool = False
    """Whether the address had more than is kept."""


_SETTINGS = TypeAdapter(_Settings)


@dataclass(frozen=True)
class Kept:
    """A study as the runs folder has it."""

    name: str
    """The spec's name, and a hash of what makes trials comparable."""
    folder: Path

    @property
    def spec_name(self) -> str:
        """The name of its spec."""
        found = _NAME.fullmatch(self.name)
        return found[1] if found else self.name

    def tuners(self) -> list[Process]:
        """The tuners at work on it, the oldest first."""
        return [each for each in processes(self.folder / TUNERS) if each.id != LEAD]

    def told(self) -> tuple[SweepSpec, str | None, str]:
        """The spec with all that it was changed by, the storage's address, and the kind of device.

        Raises UserError where that is not known: the study has a plug-in, which is not run for this; its database has a
        password; or its file is damaged, or older than this.
        """
        by_hand = "Look at it with `dfcil-sweep tune SPEC --show`, and the options of then"
        try:
            settings = read(self.folder / SETTINGS, _SETTINGS, _AGAIN)
            text = read_text(self.folder / SPEC, _AGAIN)
        except FileNotFoundError as error:
            raise UserError(f"{error} is missing: how {self.name} was tuned is not known. {by_hand}") from None
        if settings.plugin or settings.password:
            why = "its method is a plug-in's" if settings.plugin else "its storage has a password, which is not kept"
            raise UserError(f"{self.name} cannot be read by its name: {why}. {by_hand}")
        spec = parse_spec(text, str(self.folder / SPEC), settings.overrides, data_root=settings.data_root)
        spec = rehearse(spec) if settings.rehearsed else spec
        spec = replace(spec, tune=replace(tune_of(spec), trials=settings.trials))
        return spec, settings.storage, settings.device


def folder_of(runs: Path, name: str) -> Path:
    """Where a study's own files lie."""
    return runs / TUNING / name


def keep(folder: Path, spec: SweepSpec, storage: str | None, device: str) -> None:
    """Write down what a tuner is told of the study in `folder`. Of the storage's address no password is kept."""
    shown = None if storage is None else without_password(storage)
    root = spec.dataset.root and str(Path(spec.dataset.root).absolute())
    told = _Settings(
        device, tune_of(spec).trials, spec.overrides, root, spec.plugin, spec.rehearsed, shown, shown != storage
    )
    write_text(folder / SPEC, spec.text)
    write_json(folder / SETTINGS, asdict(told), indent=1, end="\n")


def studies(runs: Path) -> list[Kept]:
    """The studies of a runs folder, in alphabetical order."""
    folder = runs / TUNING
    return [Kept(name, folder / name) for name in sorted(listing(folder)) if there(folder / name / SPEC)]


def called(runs: Path, name: str) -> list[Kept]:
    """Those of that name, or of a spec of that name."""
    return [study for study in studies(runs) if name in (study.name, study.spec_name)]
