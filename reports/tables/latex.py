r"""The table as LaTeX: `booktabs` rules, to be put into a paper with \input. It needs \usepackage{booktabs}."""

from orchestrator.spec.label import title_of
from reports.published import SOURCE
from reports.tables.caption import caption
from reports.tables.cells import DASH, NONE, NOT_WORSE, UNTESTED, Cell, Standing
from reports.tables.layout import Layout

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


def latex(table: Layout) -> str:
    """A `table` environment with a caption that says all that the terminal's says."""
    lines = [
        "% Needs \\usepackage{booktabs} in the preamble.",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escape(_sentence(caption(table)))}{_source(table)}}}",
        f"  \\begin{{tabular}}{{l{'r' * table.across}}}",
        r"    \toprule",
        *_head(table),
        r"    \midrule",
    ]
    for number, (title, labels) in enumerate(table.rows):
        if number:
            lines.append(r"    \addlinespace")
        lines.append(f"    \\multicolumn{{{1 + table.across}}}{{l}}{{\\emph{{{escape(title)}}}}} \\\\")
        lines += [f"    \\quad {escape(title_of(label))} & {' & '.join(_line(table, label))} \\\\" for label in labels]
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    if table.notes:
        lines += [r"  \par\medskip\raggedright\footnotesize"]
        lines += [f"  {escape(_sentence(note))}\\par" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _head(table: Layout) -> list[str]:
    if not any(table.compares(column) for column in table.columns):
        return [f"    method & {' & '.join(escape(column.heading) for column in table.columns)} \\\\"]
    spans, rules, below, left = [], [], [], 2
    for column in table.columns:
        if table.compares(column):
            spans.append(f"\\multicolumn{{3}}{{c}}{{{escape(column.heading)}}}")
            rules.append(f"\\cmidrule(lr){{{left}-{left + 2}}}")
            below += ["measured", r"\emph{published}", "difference"]
        else:
            spans.append("")
            below.append(escape(column.heading))
        left += table.span(column)
    return [f"    & {' & '.join(spans)} \\\\", f"    {' '.join(rules)}", f"    method & {' & '.join(below)} \\\\"]


def _line(table: Layout, label: str) -> list[str]:
    texts = []
    for column in table.columns:
        texts.append(_cell(table.cell(label, column), table.standing(label, column)))
        if table.compares(column):
            figure, difference = table.figure(label, column), table.difference(label, column)
            texts.append(f"\\emph{{{figure.mean:.1f}}} $\\pm$ \\emph{{{figure.std:.1f}}}" if figure else "---")
            texts.append(f"${difference:+.1f}$" if difference is not None else "---")
    return texts


def _cell(cell: Cell | None, standing: Standing | None) -> str:
    if cell is None:
        return "---"
    if cell.lacking:
        return NONE
    text, count = escape(cell.number), str(cell).rpartition(" (")[2]
    if standing and standing.best:
        text = f"\\textbf{{{text}}}"
    mark = f"$^{{{escape(standing.mark).strip('$')}}}$" if standing and standing.mark else ""
    return f"{text}{mark} ({escape(count)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _source(table: Layout) -> str:
    return f" Published figures: {escape(SOURCE)}." if table.published else ""
