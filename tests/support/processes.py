"""Who is running, read from /proc."""

import os
import time
from contextlib import suppress
from pathlib import Path


def session_members(session: int) -> list[int]:
    """Living processes of a session, zombies left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] not in "ZX" and int(fields[3]) == session:
            found.append(int(folder.name))
    return found


def wait_until(true, seconds: float, what: str) -> float:
    """Wait until `true()`, and fail after so many seconds; how many it took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, f"{what}: not within {seconds} seconds"
        time.sleep(0.02)
    return time.monotonic() - start


def children() -> list[int]:
    """Living children of this process that are Dask's workers."""
    found = []
    for pid in session_members(os.getsid(0)):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and b"spawn_main" in command:
            found.append(pid)
    return found


def listening(pids: list[int]) -> list[int]:
    """The TCP ports that these processes listen on, on IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {f"socket:[{row[9]}]": int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
    found = set()
    for pid in pids:
        with suppress(FileNotFoundError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):
                    found.add(ports.get(os.readlink(handle), 0))
    return sorted(found - {0})
