"""Everything that a command writes to the terminal goes through here, or through rich with `printable`."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import click

from orchestrator.errors import UserError
from orchestrator.text import printable

_STYLE = re.compile(r"(\x1b\[[\d;]*m)")


def say(text: object, err: bool = False, nl: bool = True, styled: bool = False) -> None:
    """Write a line to standard output, or standard error: control characters of others as escapes.

    `styled`: the bold and the colours that we gave it stay.
    """
    shown = _restyled(str(text)) if styled else printable(str(text))
    # Named: where the encoding is ASCII, click would write UTF-8 past the stream that stands there.
    click.echo(shown, file=sys.stderr if err else sys.stdout, nl=nl)


def write_file(output: str, text: str) -> None:
    """Write what `--output` names, without styles, and say so. Raises UserError where that cannot be."""
    try:
        Path(output).expanduser().write_text(click.unstyle(text), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {output}: {error.strerror}. Give a file in a folder that exists") from error
    say(f"written: {output}", err=True)


def line_width() -> int | None:
    """Characters of a line where people read; None where the output goes to a file or to another program.

    COLUMNS says it for either.
    """
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return max(40, int(told))
    return max(40, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def _restyled(text: str) -> str:
    return "".join(part if _STYLE.fullmatch(part) else printable(part) for part in _STYLE.split(text))


class Guarded:
    """A standard stream that takes every text and never raises but where its reader went away.

    A character that its encoding lacks is written as an escape. From the first write that fails (a full disk) on,
    nothing is written any more: what is computed does not depend on who reads of it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None
        """Why it takes no more."""
        with suppress(AttributeError, ValueError, OSError):  # a stream that is none of Python's own, or closed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # of TextIOWrapper

    def write(self, text: str) -> int:
        """As that of the stream."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """As that of the stream."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.lost = self.lost or error
        # What Python still holds goes nowhere: at its end it would try to write that again, and complain.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded() -> Iterator[Guarded]:
    """Put guarded streams in the places of the standard ones for a while; gives standard output's."""
    before = sys.stdout, sys.stderr
    output, errors = Guarded(sys.stdout), Guarded(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before
