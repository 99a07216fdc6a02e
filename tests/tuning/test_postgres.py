"""A study in a real PostgreSQL: several processes may look at it, and it survives its tuner."""

import os
import re
import signal
import subprocess
import sys

import pytest

from orchestrator.errors import UserError
from orchestrator.spec.load import load_spec
from orchestrator.tuning import study, summary
from orchestrator.tuning.study import ENDED, RUNNING, Study
from tests.support import fake_tuning
from tests.support.fake_tuning import read, search
from tests.support.launched import command, environment
from tests.support.paths import ROOT, SUPPORT
from tests.support.postgres import postgres
from tests.support.searched import search_spec

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def url():
    with postgres() as server:
        yield server.database("optuna")


def test_a_search_in_postgresql_survives_its_tuner(tmp_path, url):
    spec_file = tmp_path / "spec.yaml"
    spec_file.write_text(fake_tuning.SPEC.format(more="trials: 8"))
    here = SUPPORT
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, str(here / "fake_tuning.py"), str(spec_file), str(tmp_path / "runs"), url]
    tuner = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=variables)
    for _ in range(12):
        tuner.stdout.readline()
    tuner.send_signal(signal.SIGKILL)
    tuner.wait()
    tuner.stdout.close()
    asked = read("trials: 8")
    assert Study(asked, study.open_storage(tmp_path, url), "cpu").trials(RUNNING)
    found, _ = search(asked, tmp_path / "runs", storage=url)
    trials = found.trials()
    assert [trial.state in ENDED for trial in trials] == [True] * 8
    assert len({tuple(trial.params.items()) for trial in trials}) == 8
    stages = [path for path in (tmp_path / "runs" / "stages").iterdir() if not path.name.startswith(".")]
    assert summary.cost(found, "cpu").searched == len(stages)
    assert not (tmp_path / "runs" / study.JOURNAL).exists()


def test_a_wrong_password_is_a_mistake_that_does_not_show_it(tmp_path, url):
    with pytest.raises(UserError) as caught:
        study.open_storage(tmp_path, url.replace("sesame", "mustard"))
    assert "password authentication failed" in str(caught.value) and "mustard" not in str(caught.value)


def test_two_tuners_share_a_search_in_postgresql(tmp_path, url):
    trials, runs, file = 4, tmp_path / "runs", tmp_path / "shared.yaml"
    file.write_text(search_spec("shared", trials, epochs=1, steps=2))
    told = ("tune", file, "--runs", runs, "--device", "cpu", "--jobs", 1, "--storage", url)
    how = {"cwd": tmp_path, "env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(command(*told), **how) for _ in range(2)]
    said = [tuner.communicate(timeout=400)[0] for tuner in both]
    assert [tuner.returncode for tuner in both] == [0, 0], said
    found = Study(load_spec(str(file)), study.open_storage(runs, url), "cpu").trials()
    assert [trial.number for trial in found] == list(range(trials))
    assert all(trial.state in ENDED for trial in found)
    begun = [number for text in said for number in re.findall(r"^trial (\d+) begins: ", text, re.MULTILINE)]
    assert sorted(begun) == [str(number) for number in range(trials)] and all(" begins: " in text for text in said)
    assert sorted("against the published setting" in text for text in said) == [False, True]
