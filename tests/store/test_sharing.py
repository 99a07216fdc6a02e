"""A runs folder that several people share: whose umask says so can be read, and what cannot be read is no damage."""

import errno
import io
import os
import shutil
import stat
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from orchestrator.engine.engine import run
from orchestrator.errors import UserError
from orchestrator.files import Unreadable, not_ours
from orchestrator.store import sweep_folder
from orchestrator.store.failures import Failures
from orchestrator.store.stage_folder import DamagedStage, check, read_stage
from orchestrator.store.store import Store
from orchestrator.store.verify import verify
from orchestrator.tracking.delivered import Delivered
from orchestrator.tracking.uri import tracking_uri
from tests.support.clustered import need_root
from tests.support.fake_stages import make_options, make_plan, make_stage
from tests.support.launched import SPEC, command, environment
from tests.support.paths import ROOT
from tests.support.second_user import as_nobody, open_folder
from tests.support.sound_records import told

UNREADABLE = [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE]
FILES = ["record.json", "stage.json", "freed.json", "value.txt"]


@pytest.fixture
def store(tmp_path):
    """One finished stage, freed of a file that it had."""
    store, stage = Store(tmp_path / "runs"), make_stage("a")
    store.prepare()
    work = tmp_path / "work"
    work.mkdir()
    (work / "value.txt").write_text("a")
    (work / "large").write_text("b")
    store.commit(stage, work, {**told(stage.recipe), "value": "a"})
    store.free(stage, lambda names: ["large"])
    return store


def refuse(monkeypatch, name, number):
    """Have the system refuse to open files of that name."""

    def refusing(real):
        def fake(path, *rest, **named):
            if os.path.basename(str(path)) == name:
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *rest, **named)

        return fake

    for place, real in (("io.open", io.open), ("builtins.open", io.open), ("os.open", os.open)):
        monkeypatch.setattr(place, refusing(real))


@pytest.mark.parametrize("number", UNREADABLE, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", FILES)
def test_what_cannot_be_read_is_no_damage(store, monkeypatch, name, number):
    stage = make_stage("a")
    folder = store.folder(stage)
    refuse(monkeypatch, name, number)
    (looked,) = verify(store)
    problem = looked.unread
    assert looked.name == stage.folder and looked.reason is None and isinstance(problem, Unreadable)
    assert f"{folder / name}: cannot be read: {os.strerror(number)}. " in str(problem)
    if name != "stage.json":
        with pytest.raises(UserError, match=name):
            store.set_aside(stage)
    if name == "record.json":
        for look in (lambda: store.record(stage), lambda: store.records([stage], lambda *_: pytest.fail("damage"))):
            with pytest.raises(Unreadable):
                look()
        with pytest.raises(Unreadable):
            run(make_plan(stage), store, make_options(), lambda event: None)
    monkeypatch.undo()
    assert [(each.reason, each.unread) for each in verify(store)] == [(None, None)]
    assert list(store.stages.glob(".damaged-*")) == []


@pytest.mark.parametrize("name", ["record.json", "stage.json", "value.txt"])
@pytest.mark.parametrize("instead", ["nothing", "a folder"])
def test_what_is_not_there_is_damage(store, name, instead):
    folder = store.folder(make_stage("a"))
    (folder / name).unlink()
    if instead == "a folder":
        (folder / name).mkdir()
    with pytest.raises(DamagedStage, match=name):
        check(folder, read_stage(folder).key)


@pytest.mark.parametrize("number", UNREADABLE, ids=errno.errorcode.get)
def test_a_list_that_cannot_be_read_is_not_an_empty_one(tmp_path, monkeypatch, number):
    store = Store(tmp_path)

    def fail(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("os.listdir", fail)
    for look in (store.names, lambda: list(verify(store)), lambda: sweep_folder.names(tmp_path)):
        with pytest.raises(Unreadable, match=str(tmp_path)):
            look()
    monkeypatch.undo()
    assert store.names() == set() and sweep_folder.names(tmp_path) == []


@pytest.mark.parametrize("number", UNREADABLE, ids=errno.errorcode.get)
def test_notes_that_cannot_be_read_are_not_taken_for_none(tmp_path, monkeypatch, number):
    Failures(tmp_path, "fab").add("job", "boom", "Traceback")
    refuse(monkeypatch, "failed.json", number)
    with pytest.raises(Unreadable, match=r"failed\.json: cannot be read"):
        Failures(tmp_path, "fab")
    monkeypatch.undo()
    assert Failures(tmp_path, "fab").jobs.keys() == {"job"} and Failures(tmp_path, "none").jobs == {}


def test_only_what_the_system_refuses_is_told_as_a_persons_error():
    assert not_ours(OSError(errno.ENOSPC, "No space left on device", "/runs/x")).startswith("/runs/x: No space")
    assert not_ours(OSError(errno.ENOENT, "No such file", "/runs/x")) is None
    assert not_ours(OSError(errno.EIO, "without a file")) is None


# ---- a real launch, under a umask that shares ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared():
    """A tiny sweep, launched under umask 002, where everybody can pass. Half a minute: it logs models."""
    with open_folder() as folder:
        (folder / "tiny.yaml").write_text(SPEC.replace("[base, abd, rehearsal]", "[base, abd]"))
        told = ["launch", "tiny.yaml", "--runs", folder / "runs", "--jobs", 2, "--device", "cpu", "--log-models"]
        done = subprocess.run(
            command(*told), cwd=folder, env=environment(), capture_output=True, text=True, umask=0o002
        )
        assert done.returncode == 0, done.stderr
        yield folder / "runs"


def modes(folder):
    found = {str(path.relative_to(folder)): path.lstat().st_mode for path in [folder, *folder.rglob("*")]}
    return {name: (stat.S_ISDIR(mode), stat.S_IMODE(mode)) for name, mode in found.items()}


def wrong(folder, umask):
    kinds = {True: 0o777 & ~umask, False: 0o666 & ~umask}
    return {name: oct(mode) for name, (is_folder, mode) in modes(folder).items() if mode != kinds[is_folder]}


@pytest.mark.long
def test_every_file_of_a_runs_folder_has_the_mode_of_the_umask(shared):
    names = set(modes(shared))
    assert {"mlflow.db", "id", "mlartifacts", "logs", "stages/.lock", "sweeps/tiny/spec.yaml"} <= names
    assert any(name.endswith("network.safetensors") for name in names) and any("delivered-" in name for name in names)
    assert wrong(shared, 0o002) == {}


@pytest.mark.parametrize("umask", [0o002, 0o027, 0o077], ids=oct)
def test_whatever_the_umask(tmp_path, umask):
    (tmp_path / "notes").mkdir()
    told = [sys.executable, ROOT / "tests/support/fake_launcher.py", tmp_path / "runs", tmp_path / "notes", 1, 0, 1]
    subprocess.run([str(part) for part in told], check=True, capture_output=True, umask=umask)
    assert wrong(tmp_path / "runs", umask) == {}


def ask(*arguments):
    """The command line in this process: its exit status, and what it printed."""
    from orchestrator.cli import main

    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(output):
        patch.setattr(sys, "argv", ["dfcil-sweep", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
    return f"{status}\n{output.getvalue()}"


def as_another(*arguments):
    ask(*arguments)  # imports what is needed, while it can be read
    return as_nobody(lambda: ask(*arguments))


@pytest.mark.long
def test_another_user_reads_what_the_umask_lets_everybody_read(shared):
    need_root()
    assert as_another("store", "--runs", shared, "verify").startswith("0\n")
    assert as_another("report", "tiny", "--runs", shared).startswith("0\n")
    assert as_another("status", "tiny", "--runs", shared).startswith("0\n")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["record.json", "stage.json", "logits.safetensors"])
def test_what_another_user_may_not_read_is_told_and_stays(shared, tmp_path_factory, kind):
    need_root()
    with open_folder() as folder:
        runs = folder / "runs"
        shutil.copytree(shared, runs)
        file = sorted(runs.glob(f"stages/*/{kind}"))[0]
        file.chmod(0)
        before = sorted((runs / "stages").iterdir())
        told = as_another("store", "--runs", runs, "verify", "--set-aside")
        assert told.startswith("2\n") and f"not read: {file}: cannot be read: Permission denied." in told
        assert "0 damaged, 1 that cannot be read" in told and sorted((runs / "stages").iterdir()) == before
        if kind == "record.json":
            for what in ("report", "status"):
                assert as_another(what, "tiny", "--runs", runs).startswith(f"2\nError: {file}: cannot be read")


@pytest.mark.long
def test_a_report_needs_nothing_that_only_links_need(shared):
    need_root()
    with open_folder() as folder:
        runs = folder / "runs"
        shutil.copytree(shared, runs)
        Delivered(runs, "tiny", tracking_uri(runs, None), "tiny").save(now=True)
        for path in runs.glob("sweeps/tiny/delivered-*"):
            path.chmod(0)
        told = as_another("report", "tiny", "--runs", runs)
        assert told.startswith("0\nwarning: without links to MLflow: ") and "delivered-" in told


@pytest.mark.long
def test_a_folder_that_another_user_may_not_list(shared):
    need_root()
    with open_folder() as folder:
        (folder / "runs").mkdir(mode=0o700)
        shutil.copytree(shared, folder / "runs", dirs_exist_ok=True)
        (folder / "runs").chmod(0o700)
        for what in (["store", "--runs", folder / "runs", "verify"], ["report", "tiny", "--runs", folder / "runs"]):
            told = as_another(*what)
            assert told.startswith("2\nError: ") and f"{folder / 'runs'}/" in told and "Permission denied" in told
