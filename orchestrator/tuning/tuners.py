"""Several tuners at one study: which trial is whose, and who speaks for all of them.

runs/tuning/<study>/lock                      held while trials are begun, taken over, reported on or ended
runs/tuning/<study>/tuners/.lease-<id>.json   the heartbeat of a tuner: a lease like that on a stage
runs/tuning/<study>/tuners/cancel-<id>        somebody asks it to stop
runs/tuning/<study>/tuners/.lease-lead.json   that of the lead, which tells MLflow and ends the study
runs/tuning/<study>/tuners/ended.json         by whom, and after how many trials, it was ended last

A trial under way has its tuner's id among its attributes in Optuna's storage. It is anybody's once that tuner has
given its lease back, is dead, or has been silent for the lease timeout.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from optuna.trial import Trial
from pydantic import TypeAdapter

from orchestrator.spec.model import Value
from orchestrator.store.at_work import LEAD, TUNERS
from orchestrator.store.lease import LEASE_TIMEOUT, Held, Holder, Lease, Leases, Watch
from orchestrator.store.our_files import read_or, write_json
from orchestrator.store.process import remove_dead
from orchestrator.tuning.study import Study

LOOK_SECONDS = 1.0
"""Between looks at what other tuners do."""
_ENDED = "ended.json"


@dataclass(frozen=True)
class _Ended:
    """How the study was ended last: it was confirmed, its files written, MLflow told."""

    lease: str
    """Token of the lead's lease, so that no two endings are alike."""
    trials: int
    by: str


_TOLD = TypeAdapter(_Ended)


class TrialLost(Exception):
    """Another tuner has taken the trial over."""


@contextmanager
def alone(folder: Path, seconds: float = -1) -> Iterator[None]:
    """Hold the study in `folder`. The system lets go of it when this process ends, however that happens.

    Raises Timeout where another process holds it for `seconds`; below 0: waits.
    """
    with FileLock(folder / "lock", timeout=seconds):
        yield


class Tuners:
    """This tuner among those of a study. A context manager, at whose end others may take what it has."""

    def __init__(self, study: Study, folder: Path, lease_timeout: float = LEASE_TIMEOUT) -> None:
        self.id = uuid.uuid4().hex[:16]
        self.lead = ""
        """The other tuner that leads, or has ended the study, for people."""
        self._before: _Ended | None = None
        self._study, self._folder = study, folder
        self._leases, self._watch = Leases(folder / TUNERS, lease_timeout), Watch(lease_timeout)
        self._lease: Lease | None = None
        self._leading: Lease | None = None

    def __enter__(self) -> "Tuners":
        self._leases.folder.mkdir(parents=True, exist_ok=True)
        remove_dead(self._leases.folder)
        self._before = self._ended()
        self._lease = self._leases.acquire(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        self.hand_back()
        if self._leading is not None:
            self._leading.release()
            self._leading = None

    # ---- trials ------------------------------------------------------------------------------------------------------

    def next_trial(self, wanted: int) -> tuple[Trial, Mapping[str, Value], str] | None:
        """A trial that no tuner has, else a new one; its settings, and what is said of it.

        None where `wanted` trials have ended or are under way, or another tuner is choosing one at this moment.
        """
        try:
            with alone(self._folder, 0):
                for number, owner in self._study.owners().items():
                    if self._is_free(owner):
                        return *self._study.take_up(self._study.trials()[number], self.id), "goes on"
                return (*self._study.ask(self.id), "begins") if self._study.begun() < wanted else None
        except Timeout:
            return None

    @contextmanager
    def holding(self, number: int) -> Iterator[None]:
        """Keep others from taking a trial over, while it is changed. Raises TrialLost where that has happened."""
        with alone(self._folder):
            if self._study.owners().get(number) != self.id:
                raise TrialLost(number)
            yield

    def hand_back(self) -> None:
        """Let others have the trials under way."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _is_free(self, owner: str) -> bool:
        return owner != self.id and (self._leases.read(owner) is None or self._silent(owner) is not None)

    def _silent(self, key: str) -> Holder | None:
        """The holder of that lease, if it is known to be dead, or was silent for the lease timeout."""
        holder = self._leases.read(key)
        return holder if holder and (holder.dead() or self._watch.is_stale(key, holder)) else None

    # ---- the lead ----------------------------------------------------------------------------------------------------

    def leads(self, wanted: int) -> bool:
        """Whether this tuner is the lead.

        It becomes it where there is none, unless another one has meanwhile ended the study after no fewer trials.
        """
        if self._leading is not None and not self._leading.held():
            self._leading = None  # this machine stood still, and another tuner leads since
        if self._leading is None:
            ended = self._ended()
            if ended is not None and ended != self._before and ended.trials >= wanted:
                self.lead = ended.by
                return False
            try:
                self._leading = self._leases.acquire(LEAD, self._silent(LEAD))
            except Held as held:
                self.lead = _named(held.holder)
        return self._leading is not None

    def note_ended(self, trials: int) -> None:
        """The lead has ended the study after so many trials: let the others know."""
        holder = self._leases.read(LEAD)
        if holder is not None and self._leading is not None:
            write_json(self._leases.folder / _ENDED, asdict(_Ended(self._leading.token, trials, _named(holder))))

    def _ended(self) -> _Ended | None:
        return read_or(self._leases.folder / _ENDED, _TOLD, None, "The study may be ended once more")


def _named(holder: Holder) -> str:
    """The tuner that has this lease, for people."""
    return f"the tuner of {holder}"
