"""What a user can mend, told apart from faults of the program.

`UserError` is shown as a message with exit status 2; every other exception is a bug of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.text import printable

_COMPARED = 60  # choices that are compared, and characters of a value: what is compared with all takes minutes
_LISTED = 100


class UserError(Exception):
    """What was asked for cannot be done, and the user can mend it: the message says where, what, and how.

    A wrong spec or option, a missing file, damaged data, a server that does not answer, another launcher at work.
    """


class OurWarning(UserWarning):
    """What a user should know though the program goes on: the command line shows it as a line."""


@dataclass(frozen=True)
class Problem:
    """One wrong place in a spec: where it is, what is wrong, and what would be right."""

    file: str
    line: int | None
    column: int | None
    path: str
    message: str
    value: object = None
    remedy: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return printable(f"{place}: {self.path}: {self.message}" + (f". {self.remedy}" if self.remedy else ""))


class SpecError(UserError):
    """All the problems of a spec at once; or, with another `where`, those of another YAML file of ours."""

    def __init__(self, problems: list[Problem], where: str = "the spec") -> None:
        self.problems = problems
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        lines = [f"{count} in {where}; nothing was started:", *(f"  {problem}" for problem in problems[:_LISTED])]
        more = [f"  and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
        super().__init__("\n".join(lines + more))


def require_choice(name: str, value: str, valid: Iterable[str]) -> str:
    """The value of that option. Raises UserError for one that is no choice."""
    if value not in (valid := tuple(valid)):
        raise UserError(f"{name}: '{value}' is no choice. {choices(value, valid)}")
    return value


def choices(value: str, valid: Iterable[str]) -> str:
    """The valid choices as a sentence, after the one nearest to `value` where one is near."""
    valid = list(valid)
    near = difflib.get_close_matches(str(value)[:_COMPARED], valid[:_COMPARED], n=1, cutoff=0.5)
    more = f", and {len(valid) - _LISTED} more" if len(valid) > _LISTED else ""
    listed = f"Choices: {', '.join(valid[:_LISTED])}{more}"
    return f"Did you mean '{near[0]}'? {listed}" if near else listed
