"""Telling somebody that a launch or a search has ended: a command is given a summary as JSON on its standard input."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from platform import node
from typing import Any

from orchestrator.errors import UserError
from orchestrator.signals import interrupts_deferred
from orchestrator.text import printable

SECONDS = 60
"""After which a command is given up."""
DONE, FAILED, INTERRUPTED, ERROR = "done", "failed", "interrupted", "error"

Ended = Callable[[bool, Mapping[str, Any]], None]
"""Is told whether all went well, and what more the summary says."""


def require_command(command: str | None) -> None:
    """Raise UserError for a command of which nothing can be run."""
    if command is not None and not command.strip():
        raise UserError("--notify: the command is empty. Give one that reads JSON on its standard input")


@contextmanager
def notifying(command: str | None, about: Mapping[str, Any], warn: Callable[[str], None]) -> Iterator[Ended]:
    """Run `command` when the block is left, however that is. What it yields is called where the block came to its end.

    `about` is in the summary in any case. A command that cannot be run, fails, or takes longer than SECONDS is told to
    `warn`, and changes nothing else.
    """
    began = time.time()
    told: dict[str, Any] = {}

    def end(ok: bool, more: Mapping[str, Any]) -> None:
        told.update(state=DONE if ok else FAILED, **more)

    try:
        yield end
    except KeyboardInterrupt:
        told.update(state=INTERRUPTED)
        raise
    except BaseException as error:
        told.update(state=ERROR, error=f"{type(error).__name__}: {error}")
        raise
    finally:
        if command is not None:
            ended = time.time()
            times = {"began": _moment(began), "ended": _moment(ended), "seconds": round(ended - began, 3)}
            # A second Ctrl-C is not to keep the news back.
            with interrupts_deferred():
                _run(command, {**about, **told, **times, "host": node()}, warn)


def _run(command: str, summary: Mapping[str, Any], warn: Callable[[str], None]) -> None:
    text = json.dumps(summary, ensure_ascii=False) + "\n"
    try:
        # In a session of its own: Ctrl-C in the terminal is for the launch.
        done = subprocess.run(
            command, shell=True, input=text, capture_output=True, text=True, timeout=SECONDS, start_new_session=True
        )
    except subprocess.TimeoutExpired:
        warn(f"--notify: the command has not ended for {SECONDS} seconds, and was given up: {printable(command)}")
    except (OSError, ValueError) as error:
        warn(f"--notify: the command cannot be run: {error}")
    else:
        if done.returncode:
            said = "".join(f": {printable(line)}" for line in done.stderr.strip().splitlines()[-1:])
            warn(f"--notify: the command ended with status {done.returncode}{said}")


def _moment(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
