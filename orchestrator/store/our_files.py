"""Reading the small files that we wrote ourselves: since then they may have been damaged, or come from a stranger.

`read` refuses nonsense with a line that names the file; `read_or` goes on without the file, and says so in a warning
(`FileIgnored`, which the command line shows as a line). A file that may not be read, or whose disk fails, is no
nonsense: nothing is decided without it, and UserError says so.
"""

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import Ge
from pydantic import Strict, StringConstraints, TypeAdapter, ValidationError

from orchestrator import files
from orchestrator.errors import OurWarning, UserError

MOST_BYTES = 2**28  # the largest, the stages of 10,000 jobs, are of some 20 MB
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A stage's identity."""
Count = Annotated[int, Strict(), Ge(0)]

_T = TypeVar("_T")
_D = TypeVar("_D")


class FileIgnored(OurWarning):
    """A file of ours was nonsense, and the program goes on without it. The message names it and says what happens."""


class Nonsense(UserError):
    """A file of ours does not say what one of its kind says. `reason` is why."""

    def __init__(self, path: Path | str, reason: str, remedy: str = "") -> None:
        self.reason = reason
        super().__init__(f"{path} is damaged: {reason}" + (f". {remedy}" if remedy else ""))


def read(path: Path, kind: TypeAdapter[_T], remedy: str) -> _T:
    """What the JSON file says. Raises FileNotFoundError, Nonsense (with `remedy`), UserError where it may not be read.

    At most MOST_BYTES are read.
    """
    try:
        return kind.validate_json(read_bytes(path, remedy))
    except ValidationError as error:
        raise Nonsense(path, first_problem(error), remedy) from None
    except RecursionError:
        raise Nonsense(path, "it is nested too deeply", remedy) from None


def read_or(path: Path, kind: TypeAdapter[_T], otherwise: _D, happens: str) -> _T | _D:
    """What the JSON file says; `otherwise` where there is none, and where it is nonsense: `happens` then says what now.

    Raises UserError where it may not be read.
    """
    try:
        return read(path, kind, happens)
    except FileNotFoundError:
        return otherwise
    except Nonsense as damage:
        ignored(str(damage))
        return otherwise


def read_bytes(path: Path, remedy: str = "") -> bytes:
    """The content of a plain file of ours. Raises as `read`."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Nonsense(path, "it is no plain file", f"Remove it, then: {remedy}" if remedy else "Remove it")
        if found.st_size > MOST_BYTES:
            raise Nonsense(path, f"it is of {found.st_size} bytes", remedy)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(path)) from None
    except OSError as error:
        raise files.Unreadable(path, error) from error


def read_text(path: Path, remedy: str = "") -> str:
    """The text in UTF-8 of a plain file of ours. Raises as `read`."""
    try:
        return read_bytes(path, remedy).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Nonsense(path, f"it is no text in UTF-8 (byte {error.start} is not)", remedy) from None


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write a text file, whole or not at all. Raises UserError where a folder has its name."""
    with _no_folder(path):
        files.write_text(path, text, sync=sync)


def write_json(path: Path, value: Any, *, indent: int | None = None, end: str = "", sync: bool = True) -> None:
    """Write a JSON file, whole or not at all. Raises UserError where a folder has its name."""
    with _no_folder(path):
        files.write_json(path, value, indent=indent, end=end, sync=sync)


@contextmanager
def _no_folder(path: Path) -> Iterator[None]:
    try:
        yield
    except IsADirectoryError:
        raise Nonsense(path, "it is a folder, where a file of ours is to be written", "Remove it") from None


def ignored(message: str) -> None:
    """Warn that a file is ignored."""
    warnings.warn(message, FileIgnored, stacklevel=2)


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, with its place: `jobs.3.seed: Input should be a valid integer`."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
