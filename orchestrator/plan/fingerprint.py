"""Identities: the SHA-256 of canonical JSON.

JSON keeps the types apart that matter (1, 1.0, "1", true, null); what it cannot keep apart or write the same way twice
is refused rather than guessed at.
"""

import hashlib
import json
import math
from typing import Any

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
)
_STABLE = frozenset({type(None), bool, int, str})


def canonical(value: Any) -> str:
    """`value` as JSON text that is the same for equal values in every process.

    Raises TypeError for a value whose text is not stable (a set, an object), ValueError for NaN and infinities.
    """
    _refuse_unstable(value, "value")
    return _ENCODER.encode(value)


def fingerprint(value: Any) -> str:
    """The SHA-256 of the canonical JSON of `value`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _refuse_unstable(value: Any, path: str) -> None:
    """Look at everything in `value`; what needs no look, and that is nearly all, is not called on."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{path} has the key {key!r}: an identity takes text keys only")
            if type(item) not in _STABLE:
                _refuse_unstable(item, f"{path}.{key}")
    elif kind is list or kind is tuple:
        if not _STABLE.issuperset(map(type, value)):
            for index, item in enumerate(value):
                _refuse_unstable(item, f"{path}[{index}]")
    elif kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{path} is {value}: an identity takes finite numbers only")
    elif kind not in _STABLE:
        raise TypeError(f"{path} is a {kind.__name__}: an identity takes JSON data only, as text or numbers")
