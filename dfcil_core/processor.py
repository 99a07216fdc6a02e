"""What this machine's processor is, and what it can do. Without torch."""

import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
"""As Linux names what multiplies bfloat16: two of x86, two of ARM."""


@cache
def model() -> str:
    """Its name, as `AMD EPYC`; the architecture where it does not say."""
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor itself multiplies bfloat16; False where it does not say so.

    One that does not is slower with it than in float32: each number is unpacked and packed again.
    """
    if not CPUINFO.exists():
        return False
    lines = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    flags = (values.split() for name, _, values in lines if name.strip() in ("flags", "Features"))
    return bool(_BFLOAT16.intersection(next(flags, ())))
