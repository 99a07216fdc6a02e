r"""The table as LaTeX: `booktabs` rules, to be put into a paper with \input. It fits into a column of the paper.

What is too wide is set smaller, and what is still too wide is put into tabulars below one another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.spec.label import title_of
from reports.content import ARTICLE, Paper
from reports.published import SOURCE
from reports.tables.caption import clauses
from reports.tables.cells import DASH, NONE, NOT_WORSE, UNTESTED, Cell, Standing
from reports.tables.fold import fold
from reports.tables.layout import Column, Layout

_WIDTHS = {1: 345.0, 2: 229.0}
"""Points of a column, by how many the paper has: those of `article` at 10 pt, the narrowest that are common."""
_ACROSS = 469.0
"""Points of both columns together."""


@dataclass(frozen=True)
class _Size:
    """A size of the type, and about how wide it is, in points."""

    command: str
    character: float
    em: float
    gap: float
    """Between a column's text and its edge."""


_SIZES = (_Size("", 5.1, 10.0, 6.0), _Size(r"\small", 4.7, 9.2, 4.0), _Size(r"\footnotesize", 4.3, 8.5, 3.0))
_PARTS = 3  # columns of the tabular for a cell, where siunitx aligns its numbers
_BOLD = 1.15  # times as wide

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": r"$-$",
    DASH: "---",
    "·": r"$\cdot$",
    "×": r"$\times$",
    NOT_WORSE: r"$\dagger$",
    UNTESTED: r"$\ddagger$",
}


def escape(text: str) -> str:
    """Text as LaTeX prints it; a character that an 8-bit engine may not know becomes a question mark in a box."""
    return "".join(
        _SPECIAL.get(c, c if c.isascii() or (c.isalpha() and ord(c) < 0x180) else r"\fbox{?}")
        for c in " ".join(text.split())
    )


def latex(table: Layout, paper: Paper = ARTICLE) -> str:
    """A `table` environment with a caption that says all that the terminal's says."""
    size, blocks = _arranged(table, paper)
    environment = "table*" if paper.across else "table"
    caption = "; ".join(clause.latex or _prose(clause.text) for clause in clauses(table, once=True))
    lines = [
        f"% Needs \\usepackage{{{'booktabs,siunitx' if paper.siunitx else 'booktabs'}}} in the preamble.",
        f"\\begin{{{environment}}}",
        r"  \centering",
        f"  \\caption{{{caption[:1].upper()}{caption[1:]}.{_source(table)}}}",
    ]
    if paper.label:
        lines.append(f"  \\label{{{paper.label}}}")
    if size.command:
        lines.append(f"  {size.command}\\setlength{{\\tabcolsep}}{{{size.gap:g}pt}}")
    for number, block in enumerate(blocks):
        if number:
            lines.append(r"  \par\medskip")
        lines += _tabular(table, block, paper)
    if table.notes:
        lines += [r"  \par\medskip\raggedright\footnotesize"]
        lines += [f"  {escape(_sentence(note))}\\par" for note in table.notes]
    return "\n".join([*lines, f"\\end{{{environment}}}", ""])


def _arranged(table: Layout, paper: Paper) -> tuple[_Size, list[list[Column]]]:
    """The largest size at which the columns fit side by side; else the smallest, and the columns dealt to tabulars."""
    room = _ACROSS if paper.across else _WIDTHS[paper.columns]
    for size in _SIZES:
        widths = [_width(table, column, size) for column in table.columns]
        longest = max((len(title_of(label)) for _, labels in table.rows for label in labels), default=0)
        first = size.em + size.character * max(longest, len("method")) + 2 * size.gap
        if first + sum(widths) <= room:
            break
    return size, fold(table.columns, widths, room - first)


def _width(table: Layout, column: Column, size: _Size) -> float:
    """About how many points a column takes, what stands beside it included."""
    texts = [size.character * max(map(len, column.heading.split()))]
    for _, labels in table.rows:
        for label in labels:
            standing = table.standing(label, column)
            bold = _BOLD if standing and standing.best else 1.0
            texts.append(size.character * bold * len(_shown(table, table.cell(label, column), standing)))
    published = [len("published"), len("-10.0")] if table.compares(column) else []
    return max(texts) + 2 * size.gap + sum(size.character * length + 2 * size.gap for length in published)


def _tabular(table: Layout, columns: Sequence[Column], paper: Paper) -> list[str]:
    specs = "".join(
        (_aligned(table, column) if paper.siunitx else "r") + ("rr" if table.compares(column) else "")
        for column in columns
    )
    across = 1 + sum(_parts(column, table, paper) for column in columns)
    lines = [f"  \\begin{{tabular}}{{l{specs}}}", r"    \toprule", *_head(table, columns, paper), r"    \midrule"]
    for number, (title, labels) in enumerate(table.rows):
        if number:
            lines.append(r"    \addlinespace")
        lines.append(f"    \\multicolumn{{{across}}}{{l}}{{\\emph{{{escape(title)}}}}} \\\\")
        for label in labels:
            texts = " & ".join(text for column in columns for text in _texts(table, label, column, paper))
            lines.append(f"    \\quad {escape(title_of(label))} & {texts} \\\\")
    return [*lines, r"    \bottomrule", r"  \end{tabular}"]


def _parts(column: Column, table: Layout, paper: Paper) -> int:
    """Columns of the tabular that a column takes: siunitx aligns mean and deviation each on its own; marks follow."""
    return (_PARTS if paper.siunitx else 1) + (2 if table.compares(column) else 0)


def _head(table: Layout, columns: Sequence[Column], paper: Paper) -> list[str]:
    own = _PARTS if paper.siunitx else 1
    if not any(map(table.compares, columns)):
        return [f"    method & {' & '.join(_heading(column.heading, own) for column in columns)} \\\\"]
    spans, rules, below, left = [], [], [], 2
    for column in columns:
        wide = _parts(column, table, paper)
        if table.compares(column):
            spans.append(f"\\multicolumn{{{wide}}}{{c}}{{{escape(column.heading)}}}")
            rules.append(f"\\cmidrule(lr){{{left}-{left + wide - 1}}}")
            below += [_heading("measured", own), r"\emph{published}", r"$\Delta$"]
        else:
            spans.append(_heading("", own))
            below.append(_heading(column.heading, own))
        left += wide
    return [f"    & {' & '.join(spans)} \\\\", f"    {' '.join(rules)}", f"    method & {' & '.join(below)} \\\\"]


def _heading(text: str, wide: int) -> str:
    """A heading over so many columns; a long one word by word below one another."""
    words = [escape(word) for word in text.split()]
    stacked = r" \\".join(words)
    shown = " ".join(words) if len(text) <= 14 else f"\\shortstack[r]{{{stacked}}}"
    return shown if wide == 1 else f"\\multicolumn{{{wide}}}{{c}}{{{shown}}}"


def _texts(table: Layout, label: str, column: Column, paper: Paper) -> list[str]:
    cell, standing = table.cell(label, column), table.standing(label, column)
    texts = [_split(table, cell, standing) if paper.siunitx else _cell(table, cell, standing)]
    if table.compares(column):
        figure, difference = table.figure(label, column), table.difference(label, column)
        texts.append(f"\\emph{{{figure.mean:.1f}}} $\\pm$ \\emph{{{figure.std:.1f}}}" if figure else "---")
        texts.append(f"${difference:+.1f}$" if difference is not None else "---")
    return texts


def _shown(table: Layout, cell: Cell | None, standing: Standing | None) -> str:
    """A cell as text, without its number of jobs where the caption has that; its mark counts as a character."""
    if cell is None or cell.lacking:
        return NONE if cell else DASH
    return (cell.number if table.n is not None else str(cell)) + (standing.mark if standing else "")


def _cell(table: Layout, cell: Cell | None, standing: Standing | None) -> str:
    if cell is None or cell.lacking:
        return NONE if cell else "---"
    text = escape(cell.number.replace("-", "−"))
    return (f"\\textbf{{{text}}}" if standing and standing.best else text) + _after(table, cell, standing)


def _split(table: Layout, cell: Cell | None, standing: Standing | None) -> str:
    """Mean and deviation as the two numbers that siunitx aligns, and what stands behind; what is no number over all."""
    if cell is None or cell.mean is None:
        return f"\\multicolumn{{{_PARTS}}}{{c}}{{{_cell(table, cell, standing)}}}"
    bold = r"\bfseries " if standing and standing.best else ""
    spread = "{---}" if cell.std is None else f"{cell.std:.{cell.digits}f}"
    return f"{bold}{cell.mean:.{cell.digits}f} & {bold}{spread} & {_after(table, cell, standing)}"


def _after(table: Layout, cell: Cell, standing: Standing | None) -> str:
    """What stands behind a number: its mark, and the number of jobs where the caption does not have it."""
    mark = f"$^{{{escape(standing.mark).strip('$')}}}$" if standing and standing.mark else ""
    return mark if table.n is not None else f"{mark} ({escape(str(cell).rpartition(' (')[2])}"


def _aligned(table: Layout, column: Column) -> str:
    """The columns of siunitx for means and deviations: as many digits as they have, at the sign and the point."""
    found = [
        cell for (_, split, metric), cell in table.cells.items() if (split, metric) == (column.split, column.metric)
    ]
    numbers = [[f"{cell.mean:.{cell.digits}f}" for cell in found if cell.mean is not None]]
    numbers.append([f"{cell.std:.{cell.digits}f}" for cell in found if cell.std is not None])
    mean, spread = (_format(texts) for texts in numbers)
    # A column of its own for marks: siunitx leaves no room for them in that of a number.
    return f"S[table-format={mean},detect-weight]@{{${{}}\\pm{{}}$}}S[table-format={spread},detect-weight]@{{}}l"


def _format(texts: Sequence[str]) -> str:
    parts = [text.lstrip("-").partition(".") for text in texts] or [("1", ".", "0")]
    sign = "-" if any(text.startswith("-") for text in texts) else ""
    return f"{sign}{max(len(whole) for whole, _, _ in parts)}.{max(len(rest) for _, _, rest in parts)}"


def _prose(text: str) -> str:
    """A clause in which n may be spoken of."""
    return escape(text).replace("(n - 1)", "($n - 1$)").replace("(n)", "($n$)")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _source(table: Layout) -> str:
    return f" Published figures: {escape(SOURCE)}." if table.published else ""
