"""Reading and writing what outlives a process: tensors as safetensors, states of a half-done stage."""

import hashlib
import io
import os
import pickle
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

_DIGEST_BYTES = 32


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes named tensors as safetensors, whole or not at all."""
    # safetensors stores no strides: channels-last tensors are written in the plain order.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _write(path, safetensors.torch.save(plain))


def load_tensors(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """The named tensors of a safetensors file, on `device`. Raises SafetensorError where it is none."""
    return safetensors.torch.load_file(path, device=device)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state of a half-done stage, whole or not at all, in the place of the one before.

    `state` is made of tensors, numbers, texts, lists and dicts alone: `read_state` reads nothing else.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with buffer.getbuffer() as data:
        _write(path, hashlib.sha256(data).digest(), data)


def read_state(path: Path) -> dict[str, Any] | None:
    """The state written last, on the CPU. None where there is none, and, with a warning, where it cannot be read.

    A stage without its save starts from its beginning and gives the same numbers, only later.
    """
    try:
        data = memoryview(path.read_bytes())
        if hashlib.sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
            raise ValueError("its content does not have the digest it was written with")
        return torch.load(io.BytesIO(data[_DIGEST_BYTES:]), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        warnings.warn(f"{path}: this save cannot be read ({error}); the stage starts again", stacklevel=2)
        return None


def _write(path: Path, *parts: bytes | memoryview) -> None:
    """Writes the bytes beside `path` and renames them: whoever looks finds the old file or the new one, whole."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")  # opened so, it has the mode that the umask gives
    try:
        with draft.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
