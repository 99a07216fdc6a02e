"""What counts as memory that did not suffice."""

import errno

import pytest

from orchestrator.worker.memory_errors import out_of_memory, processes_killed_for_memory


def test_what_counts_as_out_of_memory():
    import torch

    with pytest.raises(RuntimeError) as caught:  # what torch really raises on a CPU
        torch.empty(1 << 50)
    wrapped = ValueError("the plug-in failed")
    wrapped.__cause__ = torch.OutOfMemoryError("x")
    others = (RuntimeError("CUDA error: out of memory"), OSError(errno.ENOMEM, "Cannot allocate memory"), wrapped)
    for error in (MemoryError(), torch.OutOfMemoryError("x"), caught.value, *others):
        assert out_of_memory(error)
    for error in (RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("memory")):
        assert not out_of_memory(error)


def test_kills_of_the_kernel_are_counted(monkeypatch, tmp_path):
    counts = tmp_path / "vmstat"
    counts.write_text("pgfault 7\noom_kill 3\nnr_free 1\n")
    monkeypatch.setattr("orchestrator.worker.memory_errors._VMSTAT", counts)
    assert processes_killed_for_memory() == 3
    counts.write_text("pgfault 7\n")
    assert processes_killed_for_memory() == 0
    counts.unlink()
    assert processes_killed_for_memory() == 0
