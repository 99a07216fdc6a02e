"""What mkdocs asks of us: the pages that are made from the program itself, and links that leave the documentation.

A page that is made here cannot say anything else than the program does: the commands with their help, every method with
its docstring and its rows of the measured tables, every measure, and the README as the first page.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Put every method's page into the navigation."""
    from dfcil_core.methods import METHODS

    for part in config.nav:
        for entry in next(iter(part.values())) if isinstance(next(iter(part.values())), list) else ():
            if "Each method" in entry:
                entry["Each method"] = ["method/index.md", *(f"method/{name}.md" for name in METHODS)]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    from docs.site import pages

    for address, text in pages.all_pages(ROOT).items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to what is in the repository and not in the documentation become their text."""
    here = posixpath.dirname(page.file.src_uri)

    def link(found: re.Match[str]) -> str:
        text, target = found.groups()
        path = posixpath.normpath(posixpath.join(here, target.partition("#")[0]))
        return text if path.startswith("..") else found.group()

    return _LINK.sub(link, markdown)
