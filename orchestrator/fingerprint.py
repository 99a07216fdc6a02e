"""Identities: the SHA-256 of canonical JSON.

JSON keeps the types apart that matter (1, 1.0, "1", true, null); what it cannot keep apart or write the same way twice
is refused rather than guessed at.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> str:
    """`value` as JSON text that is the same for equal values in every process.

    Raises TypeError for a value whose text is not stable (a set, an object), ValueError for NaN and infinities.
    """
    _refuse_unstable(value, "value")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(value: Any) -> str:
    """The SHA-256 of the canonical JSON of `value`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _refuse_unstable(value: Any, path: str) -> None:
    if value is None or type(value) in (bool, int, str):
        return
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{path} is {value}: an identity takes finite numbers only")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{path} has the key {key!r}: an identity takes text keys only")
            _refuse_unstable(item, f"{path}.{key}")
        return
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_unstable(item, f"{path}[{index}]")
        return
    raise TypeError(f"{path} is a {type(value).__name__}: an identity takes JSON data only, as text or numbers")
