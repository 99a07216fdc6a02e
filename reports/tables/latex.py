r"""The table as LaTeX: `booktabs` rules, to be put into a paper with \input. It needs \usepackage{booktabs}."""

from reports.published import SOURCE
from reports.tables.layout import DASH, NOT_WORSE, UNTESTED, Cell, Layout, Standing

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
    per_split = 3 if table.published else 1
    lines = [
        "% Needs \\usepackage{booktabs} in the preamble.",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escape(_sentence(table.caption))}{_source(table)}}}",
        f"  \\begin{{tabular}}{{l{'r' * per_split * len(table.columns)}}}",
        r"    \toprule",
        *_head(table, per_split),
        r"    \midrule",
    ]
    for number, (title, labels) in enumerate(table.rows):
        if number:
            lines.append(r"    \addlinespace")
        lines.append(
            f"    \\multicolumn{{{1 + per_split * len(table.columns)}}}{{l}}{{\\emph{{{escape(title)}}}}} \\\\"
        )
        lines += [f"    \\quad {escape(label)} & {' & '.join(_line(table, label))} \\\\" for label in labels]
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    if table.notes:
        lines += [r"  \par\medskip\raggedright\footnotesize"]
        lines += [f"  {escape(_sentence(note))}\\par" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _head(table: Layout, per_split: int) -> list[str]:
    titles = [escape(title) for title in table.columns.values()]
    if per_split == 1:
        return [f"    method & {' & '.join(titles)} \\\\"]
    spans = " & ".join(f"\\multicolumn{{3}}{{c}}{{{title}}}" for title in titles)
    rules = " ".join(f"\\cmidrule(lr){{{2 + 3 * i}-{4 + 3 * i}}}" for i in range(len(titles)))
    below = " & ".join(["measured", r"\emph{published}", "difference"] * len(titles))
    return [f"    & {spans} \\\\", f"    {rules}", f"    method & {below} \\\\"]


def _line(table: Layout, label: str) -> list[str]:
    texts = []
    for split in table.columns:
        standing = table.standings.get((label, split))
        texts.append(_cell(table.cells.get((label, split)), standing))
        if table.published:
            figure, difference = table.published.get((label, split)), table.difference((label, split))
            texts.append(f"\\emph{{{figure.mean:.1f}}} $\\pm$ \\emph{{{figure.std:.1f}}}" if figure else "---")
            texts.append(f"${difference:+.1f}$" if difference is not None else "---")
    return texts


def _cell(cell: Cell | None, standing: Standing | None) -> str:
    if cell is None:
        return "---"
    number, _, count = str(cell).rpartition(" (")
    text = escape(number)
    if standing and standing.best:
        text = f"\\textbf{{{text}}}"
    mark = f"$^{{{escape(standing.mark).strip('$')}}}$" if standing and standing.mark else ""
    return f"{text}{mark} ({escape(count)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _source(table: Layout) -> str:
    return f" Published figures: {escape(SOURCE)}." if table.published else ""
