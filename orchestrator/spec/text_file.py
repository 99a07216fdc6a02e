"""A YAML file's text, where it is one: no device, no pipe, and no file that could not be read in a second or two."""

import os
import stat
from pathlib import Path

from orchestrator.errors import UserError

MOST_BYTES = 2**20
_SHOWN = 120  # characters of a path in a message


def read_text(path: Path) -> str:
    """The text of a file in UTF-8. Raises FileNotFoundError, and UserError for what is no such file."""
    shown = str(path) if len(str(path)) <= _SHOWN else f"{str(path)[:_SHOWN]}..."
    try:
        # Without waiting: opening a pipe would last until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{shown}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UserError(f"{shown}: this is no file but a folder, a device or a pipe. Give a file")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{shown}: cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{shown}: this is larger than {MOST_BYTES // 2**20} MiB, the most that is read")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: this is no text in UTF-8 (byte {error.start} is not). Save it as UTF-8") from None
