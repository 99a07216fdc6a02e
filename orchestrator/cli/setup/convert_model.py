"""`convert-model`."""

from pathlib import Path

import click

from dfcil_core.networks.catalog import backbone_names
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion


@click.command("convert-model")
@click.argument("source", type=click.Path(path_type=Path), shell_complete=completion.files)
@click.argument("target", type=click.Path(path_type=Path), shell_complete=completion.files)
@click.option(
    "--backbone", type=click.Choice(backbone_names()), default="resnet32", show_default=True, help="The network in it."
)
def convert_model(source: Path, target: Path, backbone: str) -> None:
    """Make a `first_model:` of a network that the public ABD code saved.

    SOURCE is its class.pth, of which nothing but tensors is read; TARGET is the safetensors file to write.
    """
    from dfcil_core.first_model import Misfit, convert, sha256
    from orchestrator.errors import UserError

    if target.exists():
        raise UserError(f"{target} is there already. Give the name of a new file")
    try:
        tensors = convert(source, target, backbone)
    except OSError as error:
        raise UserError(
            f"{error.filename or source}: {error.strerror}. Give a file that torch saved, and one to write"
        ) from None
    except Misfit as misfit:
        raise UserError(f"{source} is no {backbone} of the public ABD code: {misfit}") from None
    outputs = len(tensors["head.weight"])
    say(f"{target}: {backbone} with {outputs} outputs, SHA-256 {sha256(target)}")
    say(
        f"In a spec: `first_model: {target}`. Its outputs are taken in the order in which the sweep learns its classes."
    )
