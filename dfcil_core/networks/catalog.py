"""The classifiers by name, as the planner knows them: without torch. A new one is one entry of `BACKBONES`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfcil_core.named import function_of

if TYPE_CHECKING:
    import torch

    from dfcil_core.networks.network import Network


@dataclass(frozen=True)
class Backbone:
    """How a classifier is made, and how its weights are drawn; both functions are named, and loaded when asked for."""

    makes: str | Callable[..., Any]
    """`module:function`, called with the number of outputs and the channels of an image, and `options`.

    Of a plug-in, the function itself; `draws` too.
    """
    draws: str | Callable[..., Any]
    """`module:function`, called with the network and the random generator that all its weights are drawn from."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further arguments of `makes`, by name."""
    version: int = 1
    """Hand-bumped when what it computes or how it starts changes; in the identities of its stages from 2 on."""
    variant_of: str | None = None
    """The backbone in whose place a method with a `network_variant` trains this one; None: one that a spec can name."""
    name: str = ""
    """What a spec calls one of a plug-in; ours are called by their keys in `BACKBONES`."""
    plugin: str | None = None
    """SHA-256 of the source of the plug-in that it comes from: in the identities of its stages."""

    def make(self, n_classes: int, channels: int) -> "Network":
        """A network whose weights mean nothing yet."""
        made: Network = function_of(self.makes)(n_classes, channels, **dict(self.options))
        return made

    def draw(self, network: "Network", generator: "torch.Generator") -> None:
        """Draw all weights from `generator`."""
        function_of(self.draws)(network, generator)


_SMALL, _RESNET18 = "dfcil_core.networks.resnet", "dfcil_core.networks.resnet18"


def _small(depth: int, name: str = "") -> dict[str, Backbone]:
    """A residual network for small images, and its variant for R-DFCIL."""
    name, options = name or f"resnet{depth}", (("depth", depth),)
    linear = Backbone(f"{_SMALL}:small", f"{_SMALL}:initialise_linear", (*options, ("linear", True)), variant_of=name)
    return {name: Backbone(f"{_SMALL}:small", f"{_SMALL}:initialise", options), f"{name}-r-dfcil": linear}


BACKBONES: dict[str, Backbone] = {
    **_small(8),
    **_small(14),
    **_small(20),
    **_small(32),
    # What the public code of Smith et al., ICCV 2021, calls its ResNet-18: three stages of two blocks, 64 features.
    **_small(14, "resnet18-abd"),
    "resnet18": Backbone(f"{_RESNET18}:resnet18", f"{_RESNET18}:initialise"),
    # 1 was torchvision's network without the head's biases.
    "resnet18-r-dfcil": Backbone(
        f"{_RESNET18}:linear_resnet18", f"{_RESNET18}:initialise_linear", version=2, variant_of="resnet18"
    ),
}
"""By name. `training.backbone` takes those that are no variant; a method's `network_variant` is the end of a name."""


def backbone_names() -> list[str]:
    """The names that `training.backbone` takes."""
    return [name for name, backbone in BACKBONES.items() if backbone.variant_of is None]
