"""Each kind of file in a runs folder, damaged in ten ways: no traceback, no wrong number, no hang.

Long: some hundred damaged folders, each looked at by every command.
"""

import json
import os
import shutil
import traceback

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli import cli
from orchestrator.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from tests.support.fabricated import finish

pytestmark = pytest.mark.long

TEXT = """\
name: s
dataset: digits
methods: [base, abd]
tasks: [2]
seeds: [0]
training: {epochs: 3, backbone: resnet8}
dreaming: {steps: 40}
"""
HUGE = 300 * 2**20


def one_bit(path, content):
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b"")


def folder(path, content):
    path.unlink()
    path.mkdir()


def foreign(path, content):
    if os.getuid() == 0:
        os.chown(path, 12345, 12345)


DAMAGES = {
    "empty": lambda path, content: path.write_bytes(b""),
    "half": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "zeros": lambda path, content: path.write_bytes(bytes(len(content))),
    "one bit": one_bit,
    "other JSON": lambda path, content: path.write_text('[{"a": 1e308}, null]'),
    "absent": lambda path, content: path.unlink(),
    "directory": folder,
    "unreadable": lambda path, content: path.chmod(0),
    "huge": lambda path, content: os.truncate(path, HUGE),
    "foreign owner": foreign,
}
# Of the tracking store, which is MLflow's, tests/tracking tell.
FILES = [
    "id",
    "sweeps/s/spec.yaml",
    "sweeps/s/sweep.json",
    "sweeps/s/jobs.json",
    "sweeps/s/failed.json",
    "sweeps/s/tracking.json",
    "sweeps/s/delivered-*.json",
    "sweeps/s/launches/launch-0123456789abcdef.json",
    "sweeps/s/launches/.lease-0123456789abcdef.json",
    "stages/*-learn-02-base-*/record.json",
    "stages/*-learn-02-base-*/stage.json",
    "stages/*-dream-01-*/record.json",
    "stages/*-dream-01-*/dreams.png",
    "stages/.lease-0123456789abcdef.json",
    "stages/.work-a",
    "logs/*-learn-02-base-*.log",
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A finished sweep that was delivered, with every kind of file; its folder and its table."""
    home = tmp_path_factory.mktemp("sound")
    runs = home / "runs"
    (home / "s.yaml").write_text(TEXT)
    plan = make_plan(parse_spec(TEXT, "s.yaml"))
    sweep_folder.save(runs, plan)
    store = finish(plan, runs)
    for stage in plan.stages.values():
        store.log(stage).write_text("done\n")
    output, stop = command(runs, "sync", "s")
    assert stop is None, output
    sweep = runs / "sweeps" / "s"
    (sweep / "failed.json").write_text("{}")
    (sweep / "tracking.json").write_text('{"experiment": "s"}')
    (sweep / "launches").mkdir(exist_ok=True)
    (sweep / "launches" / "launch-0123456789abcdef.json").write_text('{"workers": 2}')
    holder = {"token": "t", "host": "h", "place": "elsewhere", "pid": 1, "born": "1", "beat": 3, "since": 1.7e9}
    (sweep / "launches" / ".lease-0123456789abcdef.json").write_text(json.dumps(holder))
    (runs / "stages" / ".lease-0123456789abcdef.json").write_text(json.dumps(holder))
    (runs / "stages" / ".work-a").write_text("stray")
    return runs, rows(command(runs, "report", "s", "--format", "json")[0])


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    """Whether the holder on another machine is alive is not looked for."""
    monkeypatch.setattr("orchestrator.store.at_work._SILENT_SECONDS", 0)
    monkeypatch.setattr("orchestrator.store.at_work._LOOK_SECONDS", 0.01)


def command(runs, *words):
    """What a command printed, and the person's mistake that it ended with; anything else it raised is raised here."""
    done = CliRunner().invoke(cli, list(words), env={"DFCIL_RUNS": str(runs)}, standalone_mode=False)
    error = done.exception
    if error is None or isinstance(error, UserError | click.ClickException | SystemExit):
        return done.output, error
    raise AssertionError(f"{words}: " + "".join(traceback.format_exception(error)))


def rows(report):
    """Label to final accuracy, of a report in JSON."""
    return {job["label"]: job["final"] for job in json.loads(report[report.index("{\n") :])["jobs"]}


def damaged_copy(whole, folder, pattern, damage):
    """A copy of the runs folder with one file damaged, and that file."""
    runs = folder / "runs"
    shutil.copytree(whole, runs)
    (path,) = runs.glob(pattern)
    DAMAGES[damage](path, path.read_bytes())
    return runs, path


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", FILES)
def test_damage_is_said_and_changes_no_number(sound, tmp_path, pattern, damage):
    whole, table = sound
    runs, path = damaged_copy(whole, tmp_path, pattern, damage)
    try:
        look(runs, whole, table)
    finally:
        if path.is_file():
            path.chmod(0o644)


def look(runs, whole, table):
    """Every command, and the table: that of the sound folder, or with less in it, and then that is said."""
    command(runs, "plan", str(whole.parent / "s.yaml"))
    command(runs, "status")
    command(runs, "status", "s")
    command(runs, "logs", "base-2-s0")
    command(runs, "store", "verify")
    command(runs, "store", "prune", "--dry-run")
    command(runs, "report", "s", "--format", "html")
    said, stop = command(runs, "report", "s", "--format", "json")
    if stop is None:
        found = rows(said)
        for label, final in found.items():
            assert final == table[label] or (final is None and "damaged" in said), (label, said)
        assert found.keys() == table.keys() or "damaged" in said
    else:
        assert str(stop)
    command(runs, "sync", "s")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", [name for name in FILES if not name.startswith("stages/*")])
def test_a_launch_with_nothing_left_to_do_goes_on(sound, tmp_path, pattern, damage):
    whole, table = sound
    runs, path = damaged_copy(whole, tmp_path, pattern, damage)
    output, stop = command(runs, "launch", str(whole.parent / "s.yaml"), "--device", "cpu", "--jobs", "1")
    assert stop is None or isinstance(stop, SystemExit) and not stop.code or str(path) in str(stop), (output, stop)
    if stop is None:
        assert rows(command(runs, "report", "s", "--format", "json")[0]) == table
