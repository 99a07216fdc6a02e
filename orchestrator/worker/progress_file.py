"""What a stage at work says of itself, in a file that other processes can read: `logs` shows it.

runs/logs/<readable>-<hash16>.progress   a line of JSON for each report, and the seconds since the stage began

A stage that finishes takes its file away: its record has the curves. What the file says decides nothing.
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from orchestrator.plan.stage import Stage
from orchestrator.store.store import Store


def path_of(store: Store, stage: Stage) -> Path:
    """Where the stage's reports lie while it runs."""
    return store.log(stage).with_suffix(".progress")


class ProgressFile:
    """Writes the reports of one attempt; what an earlier one has written goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._file: TextIO | None = None
        with suppress(OSError):  # a full disk, or quota: a stage does not fail for whoever looks on
            self._file = path.open("w")

    def write(self, info: dict[str, Any]) -> None:
        """Add a report; no more after the first that cannot be written."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({**info, "seconds": round(time.monotonic() - self._began, 3)}) + "\n")
            self._file.flush()
        except OSError:
            self._file = None

    def close(self, done: bool) -> None:
        """End; with the file's removal where the stage is `done`."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
            if done:
                self.path.unlink(missing_ok=True)


class ProgressReader:
    """Reads a stage's reports as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._identity: tuple[int, int] | None = None
        self._rest = ""

    def new(self) -> Iterator[dict[str, Any]]:
        """The reports since the last look; from the first on, where another attempt has begun."""
        try:
            status = self.path.stat()
            if (
                self._file is None
                or self._identity != (status.st_dev, status.st_ino)
                or status.st_size < self._file.tell()
            ):
                self._file = self.path.open(errors="replace")
                self._identity, self._rest = (status.st_dev, status.st_ino), ""
        except OSError:
            if self._file is None:
                return
        self._rest += self._file.read()
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            with suppress(ValueError):  # a line that a full disk has cut
                told = json.loads(line)
                if isinstance(told, dict):
                    yield told
