"""`datasets`."""

import click


@click.command()
def datasets() -> None:
    """List the data sets."""
    from dfcil_core.data import DATASETS, IMAGE_FILES
    from orchestrator.cli.tables import print_table

    downloaded = "a folder (root), downloaded there if there is a network"
    print_table(
        ("data set", "classes", "images", "size", "what it is", "needs"),
        [
            (
                info.name,
                str(info.classes or "any"),
                f"{info.train_images} + {info.test_images}" if info.train_images else "any",
                f"{info.native_size}x{info.native_size}" if info.native_size else "any",
                info.summary,
                "nothing" if not info.needs_root else "a folder (root)" if info.name in IMAGE_FILES else downloaded,
            )
            for info in DATASETS.values()
        ],
    )
