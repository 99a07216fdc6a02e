"""`datasets`."""

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say


@click.command()
@options.plugin
def datasets(plugin: str | None) -> None:
    """List the data sets."""
    from dfcil_core.data.catalog import DATASETS, FIXED, IMAGE_FILES, SUBSET
    from dfcil_core.data.cifar_files import ARCHIVES
    from orchestrator.cli.tables import print_table
    from orchestrator.spec.load import load_plugins

    load_plugins(plugin)
    folder = "a folder (root)"
    needs = dict.fromkeys(DATASETS, f"{folder}, downloaded there if there is a network")
    needs |= dict.fromkeys(IMAGE_FILES, folder)
    for name in ARCHIVES:
        needs[name] += ", or a folder a class"
    print_table(
        ("data set", "classes", "images", "size", "what it is", "needs"),
        [
            (
                info.name,
                str(info.classes or "any"),
                f"{info.train_images} + {info.test_images}" if info.train_images else "any",
                f"{info.native_size}x{info.native_size}" if info.native_size else "any",
                info.summary,
                needs[info.name] if info.needs_root else "nothing",
            )
            for info in DATASETS.values()
        ],
    )
    say(f"A part of {', '.join(FIXED)}: {', '.join(SUBSET)}, as in {{name: cifar100, classes: 20}}.")
