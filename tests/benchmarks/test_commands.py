"""The commands that measure, as the documents have them."""

import shlex
import subprocess
import sys

import pytest

from benchmarks import startup, tracking
from tests.support.documents import PAGES, typed
from tests.support.paths import ROOT

NAMED = sorted({one.text for page in PAGES for one in typed(page) if one.text.startswith("python -m benchmarks.")})


def test_they_are_understood():
    parsers = {"tracking": tracking.parser, "startup": startup.parser}
    seen = set()
    for text in NAMED:
        module, *arguments = shlex.split(text)[2:]
        name = module.rpartition(".")[2]
        assert (ROOT / "benchmarks" / f"{name}.py").is_file(), text
        if name in parsers:
            parsers[name]().parse_args(arguments)
            seen.add(name)
    assert seen == set(parsers)


@pytest.mark.long
def test_what_mlflow_costs_is_told(tmp_path):
    command = [sys.executable, "-m", "benchmarks.tracking", "sync", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 jobs, 13 stages" in done.stdout and "sync again, with nothing missing" in done.stdout
