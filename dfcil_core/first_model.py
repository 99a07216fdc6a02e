"""A network from a file in the place of task 1's training: whether it fits, loading it, and the public code's names."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfcil_core.errors import MissingData
from dfcil_core.lazy import networks, torch

if TYPE_CHECKING:
    from torch import Tensor

    from dfcil_core.networks.network import Network

Shapes = Mapping[str, tuple[int, ...]]
_SHOWN = 4  # names of a kind in a message: networks have hundreds

# The names of the public ABD code's residual networks (models/resnet.py), and what stands there here.
_PUBLIC_NAMES = {
    r"conv1\.(.+)": r"backbone.convolution.\1",
    r"bn1\.(.+)": r"backbone.normalisation.\1",
    r"last\.(.+)": r"head.\1",
}
_PUBLIC_BLOCK = re.compile(r"layer([123])\.(\d+)\.(conv|bn)([12])\.(.+)")


class Misfit(ValueError):
    """Tensors are not those of a network; the message names them."""


def sha256(path: Path) -> str:
    """Of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shapes(path: Path) -> Shapes:
    """Names and shapes of a safetensors file's tensors; nothing else of it is read. Raises Misfit where it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Misfit(f"it is no safetensors file ({error})") from None


def check_fits(found: Shapes, backbone: str, width: int, channels: int = 3) -> None:
    """Raise Misfit unless these are the tensors of the backbone with `width` outputs, by name and shape."""
    wanted = _shapes_of(networks.build(backbone, width, channels).state_dict())
    problems = [
        *_named("it lacks", [name for name in wanted if name not in found]),
        *_named("it has what the network has not:", [name for name in found if name not in wanted]),
        *_named(
            "of another shape:",
            [
                f"{name} is {_shape(found[name])} in the place of {_shape(shape)}"
                for name, shape in wanted.items()
                if found.get(name, shape) != shape
            ],
        ),
    ]
    if problems:
        raise Misfit("; ".join(problems))


def _shapes_of(tensors: Mapping[str, "Tensor"]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _named(about: str, names: list[str]) -> list[str]:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{about} {', '.join(names[:_SHOWN])}{more}"] if names else []


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def load_first_model(files: Mapping[str, str], digest: str, backbone: str, width: int, channels: int = 3) -> "Network":
    """The network in the file of that SHA-256; `files` are paths by digest.

    Raises MissingData where the file is not there or has another content by now, and Misfit where a tensor has another
    name or shape, or a value that is no finite number.
    """
    from safetensors.torch import load

    path = files.get(digest)
    if path is None:
        raise MissingData(f"no file was named for the first model {digest[:16]}...")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise MissingData(
            f"the first model {path} cannot be read here: {error.strerror}. Workers read it too"
        ) from None
    if (now := hashlib.sha256(data).hexdigest()) != digest:
        raise MissingData(f"the first model {path} is another file than when the sweep was planned: {now[:16]}...")
    tensors = load(data)
    check_fits(_shapes_of(tensors), backbone, width, channels)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise Misfit(f"{path}: {name} has a value that is no finite number")
    network = networks.build(backbone, width, channels)
    network.load_state_dict(tensors)
    return network


def convert(source: Path, target: Path, backbone: str) -> dict[str, "Tensor"]:
    """Write the network that the public code saved at `source` (class.pth) to `target`, and give its tensors.

    Nothing but tensors is read of it. Raises Misfit where it is none, or not of this backbone.
    """
    from pickle import UnpicklingError

    from dfcil_core.checkpoint import save_tensors

    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise Misfit(f"it is no file of tensors that torch saved ({reason})") from None
    if not isinstance(state, Mapping):
        raise Misfit(f"it holds a {type(state).__name__}, not tensors by name")
    tensors = from_public_code(state, backbone)
    save_tensors(target, tensors)
    return tensors


def from_public_code(state: Mapping[str, Any], backbone: str) -> dict[str, "Tensor"]:
    """The state dict of a network of the public ABD code, `class.pth`, under the names that `backbone` has here.

    Source: the public code of Smith et al., ICCV 2021, models/resnet.py: its residual networks for small images,
    and what it calls a ResNet-18 (`resnet18-abd` here). Raises Misfit for a tensor of another name or shape.
    """
    named = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    not_tensors = [name for name, tensor in named.items() if not isinstance(tensor, torch.Tensor)]
    if not named or not_tensors:
        raise Misfit(f"it is no state dict of tensors: {', '.join(not_tensors[:_SHOWN]) or 'it is empty'}")
    blocks = 1 + max((int(found[2]) for name in named if (found := _PUBLIC_BLOCK.fullmatch(name))), default=0)
    tensors: dict[str, Tensor] = {}
    for name, tensor in named.items():
        ours = _our_name(name, blocks)
        if ours is None:
            raise Misfit(f"{name} is no tensor of the public code's residual networks")
        tensors[ours] = tensor.detach().to("cpu").contiguous()
    if "head.weight" not in tensors or tensors["head.weight"].dim() != 2:
        raise Misfit("it has no last.weight of two dimensions, which is the head")
    for name in [name for name in tensors if name.endswith(".running_mean")]:
        # Not counted before torch 0.4.1; nothing here depends on it.
        tensors.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    check_fits(_shapes_of(tensors), backbone, len(tensors["head.weight"]))
    return tensors


def _our_name(name: str, blocks: int) -> str | None:
    if found := _PUBLIC_BLOCK.fullmatch(name):
        stage, block, kind, number, rest = found.groups()
        layer = "convolution" if kind == "conv" else "normalisation"
        return f"backbone.blocks.{(int(stage) - 1) * blocks + int(block)}.{layer}{number}.{rest}"
    for public, ours in _PUBLIC_NAMES.items():
        if re.fullmatch(public, name):
            return re.sub(public, ours, name)
    return None
