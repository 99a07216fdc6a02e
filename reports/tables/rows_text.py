"""The accuracies task by task and class by class for the terminal: a small table a job."""

from collections.abc import Sequence

import pandas as pd

_CUT = 28  # characters of a class name that a line shows


def rows_text(kind: str, frame: pd.DataFrame) -> str:
    """The rows of `reports.rows` job by job, in percent (of `confusion`: in images)."""
    if frame.empty:
        return "nothing is known yet\n"
    parts = [f"{name}\n{_WRITERS[kind](jobs)}" for name, jobs in frame.groupby("job", sort=False)]
    return f"{_ABOUT[kind]}\n\n" + "\n".join(parts)


_ABOUT = {
    "matrix": "accuracy in percent on each task (columns) after each task (rows), over all classes seen so far",
    "classes": "accuracy in percent on each class (rows) after each task (columns), over all classes seen so far",
    "confusion": "what the test images of each class were most often taken for after the last task",
}


def _matrix(rows: pd.DataFrame) -> str:
    table = _percent(rows).pivot(index="after_task", columns="task", values="percent")
    lines = [("after task", *map(str, table.columns))]
    lines += [(str(after), *map(_number, row)) for after, row in zip(table.index, table.to_numpy(), strict=True)]
    return _aligned(lines)


def _classes(rows: pd.DataFrame) -> str:
    table = _percent(rows).pivot(index=["task", "class"], columns="after_task", values="percent")
    # As they were learnt; a pivot sorts them by name.
    table = table.loc[list(dict.fromkeys(zip(rows["task"], rows["class"], strict=True)))]
    lines = [("class", "task", *(f"after {after}" for after in table.columns))]
    lines += [
        (str(name)[:_CUT], str(task), *map(_number, row))
        for (task, name), row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return _aligned(lines)


def _confusion(rows: pd.DataFrame) -> str:
    lines = [("class", "images", "right", "taken for")]
    for name, taken in rows.groupby("class", sort=False):
        wrong = taken[taken["answer"] != name].sort_values("images", ascending=False, kind="stable")
        right = int(taken.loc[taken["answer"] == name, "images"].sum())
        told = ", ".join(f"{answer} {images}" for answer, images in zip(wrong["answer"], wrong["images"], strict=True))
        lines.append(
            (str(name)[:_CUT], str(taken["images"].sum()), str(right), told if len(told) <= 60 else _cut(told))
        )
    return _aligned(lines, left=(0, 3))


_WRITERS = {"matrix": _matrix, "classes": _classes, "confusion": _confusion}


def _cut(text: str) -> str:
    return text[:60].rpartition(", ")[0] + ", ..."


def _percent(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(percent=100 * rows["right"] / rows["of"])


def _number(percent: float) -> str:
    return "" if percent != percent else f"{percent:.1f}"


def _aligned(lines: Sequence[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(
            text.ljust(w) if at in left else text.rjust(w)
            for at, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join(f"  {line.rstrip()}" for line in shown) + "\n"
