"""What a stage's arithmetic depends on is set by the stage, whatever was set before, and put back afterwards."""

import pytest
import torch

from dfcil_core.precision import tf32
from dfcil_core.run_stage import _steady_numbers


def settings():
    return {
        "deterministic": torch.get_deterministic_debug_mode(),
        "filled": torch.utils.deterministic.fill_uninitialized_memory,
        "convolutions in TF32": torch.backends.cudnn.allow_tf32,
        "products in TF32": torch.backends.cuda.matmul.allow_tf32,
    }


@pytest.fixture
def others(monkeypatch):
    """What a plug-in might have set."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with tf32(convolutions=False, products=True):
        yield settings()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_it_is_the_same_whatever_was_set(device, others):
    threads = torch.get_num_threads()
    with _steady_numbers(device):
        assert settings() == {
            "deterministic": 1,
            "filled": False,
            "convolutions in TF32": True,
            "products in TF32": False,
        }
        assert torch.get_num_threads() == (1 if device == "cpu" else threads)
    assert settings() == others and torch.get_num_threads() == threads


def test_a_stage_that_fails_leaves_nothing_either(others):
    with pytest.raises(ZeroDivisionError), _steady_numbers("cuda"):
        raise ZeroDivisionError
    assert settings() == others
