"""File systems of a test's own."""

import subprocess

from tests.support.tools import lacking


def in_own_mounts(script: str, *arguments: object) -> list[str]:
    """A command line whose mounts nobody else sees; skips where this user may not have that."""
    prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        may = subprocess.run([*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    except FileNotFoundError:
        may = False
    if not may:
        lacking("needs unshare and mounts in a user name space")
    return [*prefix, "sh", "-c", script, "sh", *map(str, arguments)]
