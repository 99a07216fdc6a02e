"""Finding the device, with a CUDA driver of the test's own making where there is a C compiler."""

import shutil
import subprocess
import sys

import pytest

from orchestrator.cluster import device
from orchestrator.cluster.device import chosen_devices, device_elsewhere, device_kind, device_of_results
from orchestrator.cluster.local import environments
from orchestrator.cluster.select import Scheduler
from orchestrator.errors import UserError
from orchestrator.launch import run_options
from orchestrator.spec.load import parse_spec

# Counts the entries of CUDA_VISIBLE_DEVICES, as the real driver does; without it there are three devices.
DRIVER = """
#include <stdlib.h>
int cuInit(unsigned flags) { return getenv("SICK") ? 999 : 0; }
int cuDeviceGetCount(int *count) {
    const char *at = getenv("CUDA_VISIBLE_DEVICES");
    if (!at) { *count = 3; return 0; }
    *count = *at != 0;
    for (; *at; at++) *count += *at == ',';
    return 0;
}
"""
COMPILER = shutil.which("cc")
ASK = "from orchestrator.cluster.device import *; print(device_count(), *visible_devices())"


@pytest.fixture
def devices(monkeypatch):
    """Stands for the driver: set the count of devices."""

    def give(count):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(device, "_probe", lambda visible: count)
        monkeypatch.setattr(device, "_torch_has_cuda", lambda: True)

    return give


def test_auto_takes_cuda_where_it_is(devices):
    devices(2)
    assert [device_kind(wanted) for wanted in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]
    devices(0)
    assert device_kind("auto") == "cpu"


def test_results_of_cuda_can_be_looked_at_where_there_is_none(devices):
    devices(0)
    assert [device_of_results(wanted) for wanted in ("auto", "cpu", "cuda")] == ["cpu", "cpu", "cuda"]
    with pytest.raises(UserError, match="Did you mean 'cuda'"):
        device_of_results("cudaa")


def test_cuda_without_a_device_or_another_word_is_a_mistake(devices, monkeypatch):
    devices(0)
    with pytest.raises(UserError, match="driver finds no device.*Choose 'cpu'"):
        device_kind("cuda")
    with pytest.raises(UserError, match="Did you mean 'cuda'. Choices: auto, cpu, cuda"):
        device_kind("cudaa")
    devices(1)
    monkeypatch.setattr(device, "_torch_has_cuda", lambda: False)
    with pytest.raises(UserError, match="torch is built without CUDA"):
        device_kind("cuda")
    assert device_kind("auto") == "cpu"


@pytest.mark.parametrize(
    ("word", "meant"), [("gpu", "cuda"), ("GPU", "cuda"), ("cuda:1", "cuda"), ("gpus", "cuda"), ("cpuu", "cpu")]
)
@pytest.mark.parametrize("asked", [device_kind, device_elsewhere])
def test_another_programs_word_is_understood(word, meant, asked):
    with pytest.raises(UserError, match=f"'{word}' is no device.* Did you mean '{meant}'\\?"):
        asked(word)


def test_torch_is_asked_without_being_imported():
    code = (
        "import sys; from orchestrator.cluster.device import _torch_has_cuda as has; answer = has(); "
        "assert 'torch' not in sys.modules; import torch; print(answer == (torch.version.cuda is not None))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_the_driver_is_asked_and_the_environment_honoured(tmp_path):
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, tmp_path / "driver.c"], check=True)

    def ask(**environment):
        environment = {"LD_LIBRARY_PATH": str(tmp_path), "PATH": "/usr/bin", **environment}
        return subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True).stdout

    assert ask() == "3 0 1 2\n"
    assert ask(CUDA_VISIBLE_DEVICES="5, GPU-abc") == "2 5 GPU-abc\n"
    assert ask(CUDA_VISIBLE_DEVICES="") == "0\n"
    assert ask(SICK="1") == "0\n", "a driver that does not start has no devices"


def test_workers_take_the_devices_in_turn(devices):
    devices(2)
    given = [slot["CUDA_VISIBLE_DEVICES"] for slot in environments("cuda", workers=16, per_gpu=2)]
    assert given == ["0", "1", "0", "1"]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in environments("cuda", workers=3, per_gpu=2)] == ["0", "1", "0"]
    assert environments("cpu", workers=3, per_gpu=2) == environments("cpu", workers=1, per_gpu=1) * 3
    assert all(slot["OMP_NUM_THREADS"] == "1" for slot in environments("cuda", 4, 2))


def test_gpus_are_chosen_among_those_that_may_be_used(devices, monkeypatch):
    devices(3)
    assert chosen_devices("0, 2", "cuda") == ("0", "2")
    given = [slot["CUDA_VISIBLE_DEVICES"] for slot in environments("cuda", 16, 2, chosen_devices("2,0", "cuda"))]
    assert given == ["2", "0", "2", "0"]
    with pytest.raises(UserError, match="--gpus 0,3: '3' is no device that may be used here. Choices: 0, 1, 2"):
        chosen_devices("0,3", "cuda")
    with pytest.raises(UserError, match="--gpus 1,1: 1 is given twice. --per-gpu says"):
        chosen_devices("1,1", "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-abc,7")
    assert chosen_devices("GPU-abc,5", "cuda") == ("GPU-abc", "5")
    with pytest.raises(UserError, match=r"'0' is no device .* Choices: 5, GPU-abc, 7 \(of CUDA_VISIBLE_DEVICES\)"):
        chosen_devices("0", "cuda")


def test_gpus_without_a_gpu_are_a_mistake(devices):
    devices(0)
    with pytest.raises(UserError, match="--gpus 0: stages run on the CPU: the NVIDIA driver finds no device"):
        chosen_devices("0", "cpu")
    devices(1)
    with pytest.raises(UserError, match="--gpus 0: stages run on the CPU: so --device says"):
        chosen_devices("0", "cpu")


def test_so_many_stages_at_a_time_as_the_chosen_gpus_take(devices):
    devices(4)
    read = parse_spec("name: s\nmethods: [base]\ntasks: [5]\n", "s.yaml")
    assert run_options(read, "cuda", None, 2).workers == 8
    options = run_options(read, "cuda", None, 2, "1,3")
    assert (options.workers, options.gpus) == (4, ("1", "3"))
    assert run_options(read, "cuda", 3, 2, "1,3").workers == 3
    with pytest.raises(UserError, match="--gpus 1: chooses devices of this machine"):
        run_options(read, "cuda", 3, 2, "1", Scheduler("tcp://127.0.0.1:1"))
