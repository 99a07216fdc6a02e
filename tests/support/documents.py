"""What the documents tell a reader to type: in blocks, in indented lines, and within sentences."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
PROGRAMS = ("dfcil-sweep", "make", "python", "python3", "pip", "pre-commit", "optuna-dashboard", "source", "eval")
"""What a command within a sentence begins with, after variables that are set for it."""

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_INDENTED = re.compile(r"^ {4}(\S.*)$", re.M)
_WITHIN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True)
class Typed:
    """A command line of a page; `within` a sentence, where it may be the name of a command alone."""

    page: str
    text: str
    within: bool


def blocks(page: str, *languages: str) -> list[str]:
    """The page's blocks in one of these languages."""
    return [text for language, text in _FENCED.findall(_read(page)) if language in languages]


def within(page: str) -> list[str]:
    """What stands as code within the page's sentences, each on one line."""
    return [" ".join(code.split()) for code in _WITHIN.findall(_INDENTED.sub("", _FENCED.sub("", _read(page))))]


def typed(page: str) -> list[Typed]:
    """The page's commands, those set apart before those within its sentences, each once."""
    text = _read(page)
    shown = [line for block in blocks(page, "sh", "bash") for line in block.replace("\\\n", " ").splitlines()]
    shown += [line.removeprefix("$ ") for block in blocks(page, "") for line in block.splitlines() if line[:2] == "$ "]
    rest = _FENCED.sub("", text)
    shown += [line for line in _INDENTED.findall(rest) if _is_command(line)]
    # After two blanks or more a # begins what is said of it.
    found = [(re.split(r" {2,}#", line)[0].strip(), False) for line in shown]
    found += [(code, True) for code in within(page) if _is_command(code) and " " in code]
    return [Typed(page, line, inside) for line, inside in dict.fromkeys(found) if line and not line.startswith("#")]


def plug_ins(page: str) -> dict[str, str]:
    """The files of a plug-in that the page has whole, and a spec of it, by the names that the page gives them."""
    code = blocks(page, "python")
    if page == "docs/add-a-method.md":
        (spec,) = blocks(page, "yaml")
        return {"feature_lwf.py": code[0], "my_method.py": code[0], "my-sweep.yaml": spec}
    return dict(zip(("plain.py", "wine.py"), code, strict=True)) if page == "docs/plug-ins.md" else {}


def _is_command(text: str) -> bool:
    words = [word for word in text.split() if not re.match(r"\w+=", word)]
    return bool(words) and words[0] in PROGRAMS


def _read(page: str) -> str:
    return Path(ROOT / page).read_text()
