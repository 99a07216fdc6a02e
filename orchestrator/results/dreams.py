"""The pictures that dream stages left, for those who show them."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from dfcil_core.artifacts import DREAMS
from orchestrator.errors import UserError
from orchestrator.store.our_files import ignored, read_bytes


def picture(folder: Path, record: Mapping[str, Any]) -> bytes | None:
    """The sheet of images (PNG) in a finished stage's folder, as its record has it.

    None where somebody took it out, and, with a warning, where it is not what was written.
    """
    path = folder / DREAMS
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return None
    except UserError as damage:
        ignored(f"{damage}. The picture is left out")
        return None
    told = record["files"].get(DREAMS)
    if (told is not None and hashlib.sha256(content).hexdigest() != told["sha256"]) or not _opens(content):
        ignored(f"{path} is damaged: it is not the picture that was written. It is left out")
        return None
    return content


def _opens(content: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True
