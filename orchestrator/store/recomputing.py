"""Which stages a `launch --recompute` has still to compute again: what a stopped one left, the next one goes on with.

runs/sweeps/<name>/recompute.json    the stages that were asked for, and those that are left of them
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.store.our_files import Key, read_or, write_json

FILE = "recompute.json"


@dataclass(frozen=True)
class _Told:
    """The content of the file."""

    asked: tuple[Key, ...] = ()
    left: tuple[Key, ...] = ()


_TOLD = TypeAdapter(_Told)


@dataclass
class Recomputing:
    """The stages of one launch that are computed again although they are there; of most launches none."""

    folder: Path
    """The sweep's."""
    asked: tuple[str, ...] = ()
    left: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, folder: Path, keys: Iterable[str]) -> "Recomputing":
        """Those that are asked for, less what a stopped launch that was asked for the same has done. Writes it down."""
        asked = tuple(sorted(keys))
        told = read_or(folder / FILE, _TOLD, _Told(), "All that is asked for is computed again")
        begun = cls(folder, asked, set(told.left if told.asked == asked else asked))
        begun._save()
        return begun

    def done(self, key: str) -> None:
        """A stage has been computed, or was found to be."""
        if key in self.left:
            self.left.discard(key)
            self._save()

    def _save(self) -> None:
        if self.left:
            write_json(self.folder / FILE, asdict(_Told(self.asked, tuple(sorted(self.left)))), end="\n")
        else:
            (self.folder / FILE).unlink(missing_ok=True)
