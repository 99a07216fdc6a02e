"""Whether it was memory that did not suffice: what an exception says of it, and what the kernel has killed for it."""

import errno
import re
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, a GPU's or the machine's, did not suffice. Needs no torch."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # What is not allocated by torch itself has no exception of its own: cuDNN, cuBLAS, and torch on a CPU.
    wordings = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    if isinstance(error, RuntimeError) and any(wording in str(error) for wording in wordings):
        return True
    return error.__cause__ is not None and out_of_memory(error.__cause__)


def processes_killed_for_memory() -> int:
    """So many since this machine was started; 0 where the system does not count them."""
    try:
        found = re.search(r"^oom_kill (\d+)$", _VMSTAT.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
