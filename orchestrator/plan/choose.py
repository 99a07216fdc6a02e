"""A part of a plan: the jobs that `--only` chooses, and the stages that they need."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.errors import UserError, choices
from orchestrator.plan.plan import Job, Plan, users_of
from orchestrator.spec.model import Exclusion, matches

Only = str | Mapping[str, object]
"""`method=abd,tasks=10,seed=0`, or `{"method": "abd", "tasks": 10, "seed": 0}`; with any of the fields."""

FIELDS = ("method", "tasks", "class_order", "seed", "fold")
_NEXT_FIELD = re.compile(r",(?=\s*\w+\s*=)")  # a value may have commas of its own
_EXAMPLE = "Write it as method=abd,tasks=10,seed=0, or class_order=natural, with any of these"


@dataclass(frozen=True)
class _Choice:
    """One `--only`: the jobs that have the value of every field given."""

    told: str
    fields: Mapping[str, str]

    def has(self, job: Job) -> bool:
        seed, fold = (int(self.fields[name]) if name in self.fields else None for name in ("seed", "fold"))
        order = self.fields.get("class_order")
        wanted = Exclusion(self.fields.get("method"), self.fields.get("tasks"), seed, class_order=order, fold=fold)
        return matches(wanted, job.entry, job.split, job.seed, job.fold)


def choose(plan: Plan, only: Sequence[Only]) -> Plan:
    """The plan of those jobs alone that one of `only` chooses, in the plan's order; all of them where `only` is empty.

    A method is meant by its label, or by its name, which several entries may have, as a grid's label; a split by the
    name of its sizes.
    Raises UserError with every mistake: an unknown field or value, and a choice of no job.
    """
    if not only:
        return plan
    read = [_read(each) for each in ([only] if isinstance(only, str | Mapping) else only)]
    problems = [problem for choice, wrong in read for problem in (wrong or _unmatched(choice, plan))]
    if problems:
        raise UserError("\n".join(problems))
    positions = [place for place, job in enumerate(plan.jobs) if any(choice.has(job) for choice, _ in read)]
    return part(plan, positions)


def part(plan: Plan, positions: Sequence[int]) -> Plan:
    """The plan of the jobs at these positions alone."""
    jobs = tuple(plan.jobs[position] for position in positions)
    users = users_of(jobs)
    stages = {key: stage for key, stage in plan.stages.items() if key in users}
    unshared = sum(len(job.stages) for job in jobs)
    return replace(plan, jobs=jobs, stages=stages, unshared=unshared, users=users)


def _read(given: Only) -> tuple[_Choice, list[str]]:
    """A choice, and what is wrong with how it is written."""
    if isinstance(given, Mapping):
        pairs = [(str(field), "=", str(value)) for field, value in given.items()]
        told = ",".join(f"{field}={value}" for field, _, value in pairs)
    else:
        told = given
        pairs = [each.partition("=") for each in _NEXT_FIELD.split(given)]
    fields: dict[str, str] = {}
    wrong = []
    for field, equals, value in ((field.strip(), equals, value.strip()) for field, equals, value in pairs):
        if not equals:
            wrong.append(f"--only {told}: '{field}' is no field with a value. {_EXAMPLE}")
        elif field not in FIELDS:
            wrong.append(f"--only {told}: unknown field '{field}'. {choices(field, FIELDS)}")
        elif field in fields:
            wrong.append(f"--only {told}: '{field}' is given twice. Give --only again for further jobs")
        fields[field] = value
    if not pairs:
        wrong.append(f"--only {told}: chooses nothing. {_EXAMPLE}")
    return _Choice(told, fields), wrong


def _unmatched(choice: _Choice, plan: Plan) -> list[str]:
    """Why a choice that is written well chooses no job; empty where it chooses some."""
    spec, problems = plan.spec, []
    methods = {name: None for entry in spec.methods for name in entry.names}
    known = {
        "method": ("method or label", list(methods)),
        "tasks": ("split", list(dict.fromkeys(split.tasks for split in spec.splits))),
        "class_order": ("class order", list(dict.fromkeys(split.order.name for split in spec.splits))),
        "seed": ("seed", [str(seed) for seed in spec.seeds]),
        "fold": ("fold", [str(fold) for fold in spec.dataset.folds]),
    }
    for field, value in choice.fields.items():
        noun, valid = known[field]
        if value not in valid:
            remedy = choices(value, valid) if valid else f"It lists no {noun}s"
            problems.append(f"--only {choice.told}: '{value}' is no {noun} of this sweep. {remedy}")
    if not problems and not any(choice.has(job) for job in plan.jobs):
        problems.append(f"--only {choice.told}: chooses no job: `exclude` takes out what has all of these")
    return problems
