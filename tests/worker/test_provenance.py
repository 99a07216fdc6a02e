"""Where numbers come from, written beside them."""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys

import pytest

from orchestrator.worker import provenance


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        answer = subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return answer.stdout.strip()

    git("init", "-q")
    return git


def commit_of_a_copy(path):
    """What the module says when it lies at `path`."""
    shutil.copy(provenance.__file__, path)
    spec = importlib.util.spec_from_file_location("copy_of_provenance", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.commit


def test_the_commit_is_that_of_the_source(repository, tmp_path):
    path = tmp_path / "provenance.py"
    assert commit_of_a_copy(path)() is None, "in a repository, but not of it"
    repository("add", "provenance.py")
    repository("commit", "-q", "-m", "one")
    head = repository("rev-parse", "HEAD")
    assert commit_of_a_copy(path)() == head
    ask = commit_of_a_copy(path)
    path.write_text(path.read_text() + "# edited\n")
    assert ask() == f"{head}+changes"


def test_versions_device_and_host_are_named():
    about = provenance.provenance("cpu")
    assert about.keys() - {"instructions"} == {"commit", "versions", "device", "host", "system", "processor"}
    assert {"python", "torch", "numpy"} <= about["versions"].keys()
    assert about["device"].startswith("cpu (")
    assert about["host"] == socket.gethostname()
    assert int(about["system"]["cores"]) == os.cpu_count() and platform.system() in about["system"]["os"]


def test_the_processor_and_its_instructions_are_named():
    import torch

    about = provenance.provenance("cpu")
    assert about["device"] == f"cpu ({about['processor']})" and about["processor"]
    assert about["instructions"] == torch.backends.cpu.get_cpu_capability()


def test_torch_is_not_loaded_to_name_the_instructions():
    code = (
        "import sys; from orchestrator.worker.provenance import provenance; about = provenance('cpu');"
        "print('torch' in sys.modules, 'instructions' in about, bool(about['processor']))"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["False", "False", "True"]
