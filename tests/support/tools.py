"""Programs that pip does not install, and what else a test may lack."""

import os
import shutil
from typing import NoReturn

import pytest


def need(*commands: str) -> None:
    """Skip a test where a command is missing; where CI says that all must be there, fail it."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        lacking(f"not installed: {', '.join(missing)}")


def lacking(what: str) -> NoReturn:
    """Skip a test that cannot run here; where CI says that all must run, fail it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
