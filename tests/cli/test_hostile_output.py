"""Nothing that a spec, a folder's name, a log or an error says reaches the terminal as a command to it."""

import io
import os
import re
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from orchestrator.cli import cli
from orchestrator.cli.progress import Progress
from orchestrator.engine.events import StageFailed
from orchestrator.errors import Problem
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from orchestrator.store.failures import Failures
from orchestrator.store.store import Store
from orchestrator.text import printable
from tests.support.fabricated import finish, sweep
from tests.support.launched import command, environment
from tests.support.tools import lacking

HOSTILE = "\x1b[2J\x1b]0;x\x07\x9b31m\u202eabc\u2066\x00\x7f\r\u2028"
# What YAML can say in quotes.
ESCAPED = r'"\e[2J\e]0;x\a\x9b31m\u202eabc\u2066\0\x7f\r\L"'
UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
SOUND = "name: s\nmethods: [base]\ntasks: [5]\n"


def called(*arguments):
    """What the console script's function prints and its status, in this process."""
    main = f"import sys; from orchestrator.cli import main; sys.argv[1:] = {[*map(str, arguments)]!r}; main()"
    done = subprocess.run([sys.executable, "-c", main], capture_output=True, env=environment())
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def shown(*arguments):
    """What a command prints, in this process."""
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    return (done.stdout + done.stderr, done.exception)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (HOSTILE, r"\x1b[2J\x1b]0;x\x07\x9b31m\u202eabc\u2066\x00\x7f\r\u2028"),
        ("a\udc80b", r"a\udc80b"),
        ("größe · 5 tasks\n\tÅ 👩\u200d🔬", "größe · 5 tasks\n\tÅ 👩\u200d🔬"),
    ],
)
def test_control_characters_are_shown_as_escapes(text, escaped):
    assert printable(text) == escaped == printable(escaped)


@pytest.mark.parametrize(
    "text",
    [
        f"{SOUND}{ESCAPED}: 1\n",
        SOUND.replace("base", f"{{name: base, label: {ESCAPED}}}"),
        SOUND.replace("base", f"{{name: base, {ESCAPED}: 1}}"),
        SOUND.replace("base", ESCAPED),
        SOUND.replace("name: s", f"name: {ESCAPED}"),
        f"{SOUND}dataset: {ESCAPED}\n",
        f"{SOUND}dataset: {{name: folder, root: {ESCAPED}}}\n",
        f"{SOUND}dataset: {{name: folder, classes: [{ESCAPED}, {ESCAPED}]}}\n",
        f"{SOUND}training: {{lr: {ESCAPED}}}\n",
        f"{SOUND}exclude: [{{{ESCAPED}: {ESCAPED}}}]\n",
        f"{SOUND}tune: {{{ESCAPED}: {ESCAPED}, method: {ESCAPED}, space: {{{ESCAPED}: {ESCAPED}}}}}\n",
        f"{SOUND}x: !{'%1B%5B2J'} y\n",
        "a: \x1b[2J",
        "a: \x85\u202e: b: c",
    ],
)
def test_what_a_spec_says_is_shown_escaped(tmp_path, text):
    (tmp_path / "s.yaml").write_text(text)
    done = CliRunner().invoke(cli, ["plan", str(tmp_path / "s.yaml")])
    assert done.exit_code == 1 and type(done.exception).__name__ in ("SpecError", "UserError")
    assert not UNFIT.search(str(done.exception)), ascii(str(done.exception))


def test_the_console_script_escapes_messages_and_arguments(tmp_path):
    (tmp_path / "s.yaml").write_text(f"{SOUND}{ESCAPED}: 1\n")
    for arguments in (["plan", tmp_path / "s.yaml"], ["plan", "\x1b[2J"], ["\x1b[2J"], ["plan", "--\x9b31m", "demo"]):
        status, out, err = called(*arguments)
        assert status == 2 and "Error" in err and r"\x" in err
        assert not UNFIT.search(out + err), ascii(out + err)


def test_a_class_folders_name_is_shown_escaped(tmp_path):
    for part in ("train", "val"):
        for name in ("cat", "\x1b[2J\u202edog"):
            (tmp_path / part / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / part / "cat" / "a.png")
    (tmp_path / "s.yaml").write_text(f"{SOUND}dataset: {{name: folder, root: {tmp_path}}}\n")
    done = CliRunner().invoke(cli, ["plan", str(tmp_path / "s.yaml")])
    assert r"\x1b[2J\u202edog" in str(done.exception) and not UNFIT.search(str(done.exception))


@pytest.fixture
def failed(tmp_path):
    """A sweep with a job that failed with an ugly error, a log of the same kind and a damaged record."""
    text = "name: fab\ndataset: digits\nmethods: [base, abd]\ntasks: [5]\nseeds: [0]\n"
    plan = make_plan(parse_spec(text, "a test"))
    sweep_folder.save(tmp_path, plan)
    last = plan.jobs[0].stages[-1]
    store = finish(plan, tmp_path, [key for key in plan.stages if key != last])
    job = plan.jobs[0]
    log = store.log(plan.stages[last])
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(HOSTILE.encode() + b"\xff\x1b[31mred\n\tplain\n")
    Failures(tmp_path, plan.spec.name).add(job.id, f"bad {HOSTILE}", HOSTILE, last, f"{log}{HOSTILE}")
    return tmp_path, plan


def test_no_view_of_a_sweep_commands_the_terminal(failed):
    runs, plan = failed
    for arguments in (
        ["logs", plan.jobs[0].slug],
        ["logs", HOSTILE.replace("\x00", "")],
        ["status"],
        ["status", "fab"],
        ["report", "fab"],
        ["report", "fab", "--format", "markdown"],
        ["report", "fab", "--format", "csv", "--rows", "jobs"],
        ["report", "fab", "--format", "json"],
        ["compare", "fab", "fab"],
        ["store", "verify"],
    ):
        text, error = shown(*arguments, "--runs", runs)
        assert error is None or isinstance(error, SystemExit) or arguments[1] == HOSTILE.replace("\x00", ""), error
        assert not UNFIT.search(text), (arguments, ascii(text))
    assert r"\x1b[31mred" in shown("logs", plan.jobs[0].slug, "--runs", runs)[0]
    assert "\tplain\n" in shown("logs", plan.jobs[0].slug, "--runs", runs)[0]
    assert r"bad \x1b[2J" in shown("status", "fab", "--runs", runs)[0]


@pytest.mark.parametrize("live", [False, True])
def test_a_launch_shows_errors_escaped(tmp_path, live):
    plan = sweep(("base",), seeds=(0,))
    console = Console(file=io.StringIO(), width=120, highlight=False, force_terminal=live, color_system=None)
    with Progress(plan, 1, console) as progress:
        stage = next(iter(plan.stages.values()))
        progress.on_event(StageFailed(stage, f"bad {HOSTILE}", HOSTILE, tmp_path / "log"))
        progress.warn(f"MLflow says {HOSTILE}")
    text = console.file.getvalue()
    assert r"bad \x1b[2J" in text and r"MLflow says \x1b[2J" in text
    assert "\x1b[2J" not in text and "\x1b]0" not in text and "\x9b" not in text and "\u202e" not in text


def test_a_problem_is_escaped_for_whoever_prints_it():
    assert (
        str(Problem("s\x1b.yaml", 1, 1, "a\x9b", "b\u202e", None, "c\x00")) == r"s\x1b.yaml:1:1: a\x9b: b\u202e. c\x00"
    )


# ---- where it is written to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("arguments", [("plan", "demo"), ("datasets",), ("status", "fab"), ("report", "fab")])
def test_an_output_that_lacks_characters_gets_escapes(failed, encoding, arguments):
    runs = ["--runs", failed[0]] if arguments[0] != "datasets" else []
    environ = {**environment(), "PYTHONIOENCODING": encoding}
    done = subprocess.run(command(*arguments, *runs), env=environ, capture_output=True)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert not UNFIT.search(done.stdout.decode(encoding)) and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("plan", "demo"), ("datasets",), ("methods", "abd"), ("--help",), ("report", "fab")]
)
def test_a_full_output_costs_one_line(failed, arguments):
    if not os.path.exists("/dev/full"):
        lacking("no /dev/full")
    runs = ["--runs", failed[0]] if arguments[0] in ("plan", "report") else []
    with open("/dev/full", "w") as full:
        done = subprocess.run(command(*arguments, *runs), env=environment(), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.decode() == "Error: standard output cannot be written to: No space left on device\n"
    with open("/dev/full", "w") as full:
        done = subprocess.run(command(*arguments, *runs), env=environment(), stdout=full, stderr=full)
    assert done.returncode == 2


def test_a_reader_that_goes_away_still_ends_a_command_quietly():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command("plan", "demo"), env=environment(), stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_of_a_huge_log_the_end_is_shown(failed):
    runs, plan = failed
    job = plan.jobs[0]
    log = Store(runs).log(plan.stages[job.stages[-1]])
    with log.open("r+b") as file:
        file.truncate(2**32)  # zeros, which take no room
        file.seek(0, 2)
        file.write(b"\nthe end\n")
    began = time.process_time()
    text, error = shown("logs", job.slug, "--runs", runs, "--tail", 1)
    assert error is None and text.endswith("only the last 4.0 MiB are shown here\nthe end\n")
    assert time.process_time() - began < 10
