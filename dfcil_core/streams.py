"""Named streams of random numbers: drawing more in one never shifts another."""

import hashlib
import json

import torch


def stream(seed: int, name: str, index: int, device: str = "cpu") -> torch.Generator:
    """A generator of its own for each seed, name and (0-based) task index.

    It is seeded with 63 bits of SHA-256, so near seeds and near tasks are as unlike as any two. The same three values
    give the same numbers on every machine, but not on another kind of device: CPU and CUDA count differently.
    """
    digest = hashlib.sha256(json.dumps([seed, name, index]).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
