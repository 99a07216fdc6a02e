"""Programs that pip does not install."""

import os
import shutil

import pytest


def need(*commands: str) -> None:
    """Skip a test where a command is missing; where CI says that all must be there, fail it."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
