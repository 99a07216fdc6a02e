"""Tables in LaTeX: they say what the terminal says, compile, and fit into the columns of a paper."""

import re
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner

from dfcil_core.measures import MEASURES
from orchestrator.cli import cli
from orchestrator.errors import UserError
from reports.content import Paper
from reports.frame import frame_of
from reports.published import comparable
from reports.tables.render import render
from tests.support.reported import job, launched, on_cifar, output
from tests.support.tools import need

DOCUMENT = r"""\documentclass%s{article}
\usepackage{booktabs%s}
\begin{document}
\input{table.tex}
Table~\ref{tab:here}.
\end{document}
"""
METRICS = ("final", "average", "forgetting", "bwt", "local", "learning")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    launched(folder, left_out=lambda job: job.entry.label == "base" and job.seed == 0)
    return folder


def written(found, metric="final", paper=Paper(), published=False):  # noqa: B008
    figures = comparable([replace(job, settings={**job.settings, "memory": "0"}) for job in found], ("final",))[0]
    return render(frame_of(found), "latex", metric, best=True, published=figures if published else None, paper=paper)


def test_latex_says_what_the_terminal_says():
    found = [job(seed=seed, final=40.0 + seed) for seed in (0, 1)] + [job(label="a_b & 50%", method="r-dfcil")]
    text = render(frame_of(found), "latex", best=True, notes=("2 jobs of x_y are missing",))
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    assert r"\quad a\_b \& 50\% & 40.0 $\pm$ ---$^{\ddagger}$ (1)" in text
    assert r"\quad abd & \textbf{40.5 $\pm$ 0.7} (2)" in text
    assert r"2 jobs of x\_y are missing." in text


def test_the_number_of_seeds_is_said_once_where_it_is_the_same():
    text = render(frame_of([job(seed=seed, final=40.0 + seed) for seed in (0, 1)]), "latex")
    assert "over 2 seeds;" in text and r"\quad abd & 40.5 $\pm$ 0.7 \\" in text


def test_mathematics_is_mathematics():
    text = written(on_cifar((5,)), ("forgetting", "bwt"))
    assert r"forgetting: $\frac{1}{T-1}\sum_{j=1}^{T-1} \bigl(\max_{j \le s < T} a_{s,j} - a_{T,j}\bigr)$" in text
    assert r"$a_{t,j}$: accuracy on task $j$ after task $t$ of $T$" in text and r"paired $t$ test" in text
    assert re.search(r"& (\\textbf\{)?\$-\$\d", text)  # a negative transfer has a minus, not a hyphen


def test_siunitx_aligns_means_and_deviations():
    text = written(on_cifar((5,)), ("final", "bwt"), Paper(siunitx=True))
    assert r"\usepackage{booktabs,siunitx}" in text
    # Finals of abd: 75 less 0, 2/7 and 4/7, the mean 74.71, the deviation 2/7.
    assert "S[table-format=2.1,detect-weight]@{${}\\pm{}$}S[table-format=1.1,detect-weight]" in text
    assert re.search(r"\\quad abd & (\\bfseries )?74\.7 & (\\bfseries )?0\.3 &", text)
    assert r"S[table-format=-1.1" in text and r"\multicolumn{3}{c}{final}" in text


@pytest.mark.parametrize(
    ("paper", "tabulars"), [(Paper(), 1), (Paper(columns=2), 2), (Paper(columns=2, across=True), 1)], ids=str
)
def test_what_is_too_wide_stands_in_tabulars_below_one_another(paper, tabulars):
    text = written(on_cifar(), "final", paper)
    assert text.count(r"\begin{tabular}") <= tabulars
    wide = written(on_cifar(), "final", paper, published=True)
    assert wide.count(r"\begin{tabular}") == {(1, False): 2, (2, False): 3, (2, True): 1}[paper.columns, paper.across]
    assert ("table*" in text) == paper.across
    for split in ("5 tasks", "10 tasks", "20 tasks"):
        assert wide.count(f"{{{split}}}") == 1


def test_the_options_of_the_command(runs):
    asked = ("report", "demo", "--runs", runs, "--format", "latex")
    made = output(*asked, "--columns", 2, "--label", "tab:a-b", "--siunitx")
    assert r"\label{tab:a-b}" in made and "siunitx" in made
    assert "table*" in output(*asked, "--across")
    with pytest.raises(UserError, match="--label a}b: only letters"):
        output(*asked, "--label", "a}b")
    for wrong, told in (
        (("--format", "markdown", "--siunitx"), "go with --format latex"),
        (("--format", "latex", "--across", "--columns", "1"), "leave --columns 1 out"),
    ):
        done = CliRunner().invoke(cli, ["report", "demo", "--runs", str(runs), *wrong])
        assert done.exit_code == 2 and told in done.output


# ---- compiled --------------------------------------------------------------------------------------------------------


def compiled(folder, columns=1, siunitx=False) -> str:
    """The log of a paper with the table in it."""
    need("pdflatex")
    options, packages = "[twocolumn]" if columns == 2 else "", ",siunitx" if siunitx else ""
    (folder / "paper.tex").write_text(DOCUMENT % (options, packages))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "paper.pdf").read_bytes().startswith(b"%PDF")
    return (folder / "paper.log").read_text(errors="replace")


@pytest.mark.server
@pytest.mark.parametrize("more", [(), ("--best-bold", "--ci", "--metric", "forgetting")])
def test_the_latex_of_the_command_compiles(runs, tmp_path, more):
    output("report", "demo", "--runs", runs, "--format", "latex", "--output", tmp_path / "table.tex", *more)
    assert "Missing character" not in compiled(tmp_path)


@pytest.mark.server
def test_hostile_names_compile(tmp_path):
    label = '\\a_b^c {50%} & #1 $x$ ~<y>|é 方法 "q" — ±'
    text = render(frame_of([job(label=label, method="abd")]), "latex", notes=(label, "two\nlines"))
    (tmp_path / "table.tex").write_text(text)
    assert "Missing character" not in compiled(tmp_path)


@pytest.mark.server
@pytest.mark.parametrize("siunitx", [False, True])
@pytest.mark.parametrize("metric", ["final", "published", METRICS, tuple(MEASURES)], ids=str)
@pytest.mark.parametrize("paper", [Paper(), Paper(columns=2), Paper(columns=2, across=True)], ids=str)
def test_every_table_fits_into_its_paper(tmp_path, paper, metric, siunitx):
    of = on_cifar() if isinstance(metric, str) else on_cifar((5,))
    paper = replace(paper, siunitx=siunitx, label="tab:here")
    name = "final" if metric == "published" else metric
    (tmp_path / "table.tex").write_text(written(of, name, paper, published=metric == "published"))
    log = compiled(tmp_path, paper.columns, siunitx)
    assert "Overfull" not in log, re.findall(r"Overfull[^\n]*", log)
    assert "Missing character" not in log and "multiply defined" not in log
